import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manualClock, systemClock } from "@daicho/kernel";
import { parseCondition, type Probe } from "@daicho/policy";
import {
  validateInventory,
  type Dictionary,
  type Inventory,
  type SoftwareDefinition,
  type Title,
} from "@daicho/protocol";
import type { Collector } from "../collectors/collector.ts";
import { collectors } from "../collectors/index.ts";
import { createMsixCollector } from "../collectors/msix/index.ts";
import { registry } from "../collectors/registry/index.ts";
import { evaluateFileProbes } from "../walk/index.ts";
import { writeHive, type HiveNode } from "../collectors/registry/fixtures/hive-writer.ts";
import { scan } from "./index.ts";
import { rescanProbesWith, scanWith, type ScanParts } from "./scan.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../collectors/registry/fixtures/${name}`, import.meta.url));

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "scan-"))));
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, content: string | Buffer): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

function parts(change: Partial<ScanParts> = {}): ScanParts {
  return {
    collectors,
    exportCollectors: [registry, createMsixCollector({ disk: false })],
    collectHardware: () => Promise.resolve({ hardware: {}, hostname: "host", errors: [] }),
    walkFiles: evaluateFileProbes,
    clock: systemClock,
    platform: "linux",
    env: {},
    ...change,
  };
}

const giving = (...titles: Title[]): Collector => ({ name: "given", collect: () => ({ titles, errors: [] }) });
const title = (name: string, more: Partial<Title> = {}): Title => ({ name, version: "1", source: "dpkg", ...more });

function dictionary(...software: SoftwareDefinition[]): Dictionary {
  return { daicho: "dictionary/v1", company: "acme", version: 7, generatedAt: "2026-01-01T00:00:00Z", software };
}

const codesOf = (inventory: Inventory): [string, string | undefined][] =>
  (inventory.codes ?? []).map((c) => [c.code, c.version]);

describe("a scan", () => {
  it("of a disk recognises titles, files and registry values with one dictionary (domain.md §2)", async () => {
    put(
      "var/lib/dpkg/status",
      "Package: libreoffice-core\nStatus: install ok installed\nVersion: 4:7.4.7-1\nArchitecture: amd64\nMaintainer: D <d@example.org>\nDescription: x\n\n",
    );
    put("opt/tool/soffice.bin", "binary");
    const file = put(
      "exports/pc.reg",
      'Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]\n"Edition"="Pro"\n',
    );
    const { inventory, hits } = await scanWith(parts(), {
      root,
      registryFiles: [file],
      dictionary: dictionary(
        {
          code: "@LIBO7",
          name: "LibreOffice",
          detect: 'package(name = "libreoffice-core", version >= "7", version < "8")',
        },
        {
          code: "@TOOL",
          name: "Tool",
          version: "1",
          detect: 'file(name = "soffice.bin", path ~ "*/tool/*") AND NOT registry=HKLM\\SOFTWARE\\None',
        },
        {
          code: "@ACME",
          name: "Acme",
          version: "2",
          detect: 'registry(key = "HKLM\\\\SOFTWARE\\\\Acme", value = "Edition", data = "Pro")',
        },
        { code: "@NONE", name: "None", detect: 'app(name = "nothing")' },
        { code: "@BROKEN", name: "Broken", detect: "nonsense(" },
      ),
    });
    expect(codesOf(inventory)).toEqual([
      ["@LIBO7", "4:7.4.7-1"],
      ["@TOOL", "1"],
      ["@ACME", "2"],
    ]);
    expect(hits.map((h) => h.found["path"] ?? h.found["data"])).toEqual(["/opt/tool/soffice.bin", "Pro"]);
    expect(inventory.scan?.errors.map((e) => e.path.split(":").slice(0, 2).join(":"))).toContain("dictionary:@BROKEN");
    expect(inventory.scan?.dictionaryVersion).toBe(7);
    expect(validateInventory(inventory)).toEqual({ ok: true, value: inventory });
  });

  it("without a dictionary leaves the codes to the server: there are none, not an empty list", async () => {
    const { inventory, hits } = await scanWith(parts({ collectors: [giving(title("a"))] }), {});
    expect(inventory).not.toHaveProperty("codes");
    expect(inventory.scan?.dictionaryVersion).toBe(0);
    expect(hits).toEqual([]);
  });

  it("walks where and as far as it is told", async () => {
    put("a/x.bin", "");
    put("b/x.bin", "");
    put("a/skip/y.bin", "");
    const walk = { roots: ["/a"], exclude: ["/a/skip"] };
    const asked = dictionary(
      { code: "@X", name: "X", detect: "file=x.bin" },
      { code: "@Y", name: "Y", detect: "file=y.bin" },
      { code: "@B", name: "B", detect: 'file(path = "/b/x.bin")' },
    );
    expect(codesOf((await scanWith(parts(), { root, dictionary: asked, walk })).inventory)).toEqual([
      ["@X", undefined],
    ]);
    const spent = await scanWith(parts(), { root, dictionary: asked, walk: { ...walk, exclude: [], maxEntries: 0 } });
    expect(spent.inventory.scan?.errors.map((e) => e.code)).toEqual(["too-large"]);
  });

  it("loses only what fails, and names it", async () => {
    const broken: Collector = {
      name: "broken",
      collect() {
        throw new TypeError("oh");
      },
    };
    const { inventory } = await scanWith(
      parts({
        collectors: [broken, giving(title("a"))],
        collectHardware: () => Promise.reject(new Error("no hardware")),
        walkFiles: () => Promise.reject(new Error("no walk")),
      }),
      { dictionary: dictionary({ code: "@A", name: "A", detect: "file=a OR app(name = a)" }) },
    );
    expect(inventory.software.map((t) => t.name)).toEqual(["a"]);
    expect(codesOf(inventory)).toEqual([["@A", "1"]]);
    expect(inventory.scan?.errors.map((e) => e.code)).toEqual(["failed", "failed", "failed"]);
    expect(validateInventory(inventory).ok).toBe(true);
  });

  it("takes name, id and system of a mounted Windows disk from its hives", async () => {
    const current: HiveNode = {
      values: { ProductName: "Windows 10 Pro", CurrentBuildNumber: "22631", BuildLabEx: "22621.1.amd64fre.x" },
    };
    const below = (path: string, node: HiveNode): HiveNode =>
      path.split("\\").reduceRight<HiveNode>((inner, name) => ({ keys: { [name]: inner } }), node);
    put(
      "Windows/System32/config/SOFTWARE",
      writeHive({
        keys: {
          Microsoft: {
            keys: {
              "Windows NT": { keys: { CurrentVersion: current } },
              Cryptography: { values: { MachineGuid: "6d9f4c2e-0000-4000-8000-000000000001" } },
            },
          },
        },
      }),
    );
    const name = { values: { ComputerName: "営業-PC" } };
    put(
      "Windows/System32/config/SYSTEM",
      writeHive({
        keys: {
          Select: { values: { Current: 2 } },
          ...below("ControlSet002\\Control\\ComputerName\\ComputerName", name).keys,
        },
      }),
    );
    const { inventory } = await scan({ root });
    expect(inventory.device.hostname).toBe("営業-PC");
    expect(inventory.hardware?.os).toMatchObject({
      family: "windows",
      name: "Windows 11 Pro",
      build: "22631",
      arch: "x64",
    });
    expect(inventory.scan?.errors).toEqual([]);
  });

  it("names a place that several readers could not read once", async () => {
    const unreadable = (path: string): Collector => ({
      name: "given",
      collect: () => ({ titles: [], errors: [{ path, code: "unreadable", message: "cannot be read (EACCES)" }] }),
    });
    const { inventory } = await scanWith(
      parts({ collectors: [unreadable("/a"), unreadable("/b"), unreadable("/a")] }),
      {},
    );
    expect(inventory.scan?.errors.map((e) => e.path)).toEqual(["/a", "/b"]);
  });

  it("sorts titles and lists the same record once, but two copies of a title twice", async () => {
    const { inventory } = await scanWith(
      parts({
        collectors: [giving(title("b"), title("a", { path: "/2" })), giving(title("a", { path: "/1" }), title("b"))],
      }),
      {},
    );
    expect(inventory.software.map((t) => `${t.name}${t.path ?? ""}`)).toEqual(["a/1", "a/2", "b"]);
  });

  it("cuts a text that no inventory can hold, and says so, rather than losing the title", async () => {
    const { inventory } = await scanWith(
      parts({ collectors: [giving(title("n".repeat(600)), title("half \ud800", { size: -1, publisher: "p\0q" }))] }),
      {},
    );
    expect(inventory.software).toEqual([
      { name: "half \ufffd", version: "1", source: "dpkg", publisher: "pq" },
      { name: "n".repeat(512), version: "1", source: "dpkg" },
    ]);
    expect(inventory.scan?.errors).toHaveLength(2);
    expect(validateInventory(inventory).ok).toBe(true);
  });

  it("stays valid when a part does not satisfy the schema", async () => {
    const hardware = { memory: -1 };
    const { inventory } = await scanWith(
      parts({ collectors: [giving(title("a"))], collectHardware: () => Promise.resolve({ hardware, errors: [] }) }),
      {},
    );
    expect(inventory).not.toHaveProperty("hardware");
    expect(inventory.scan?.errors.map((e) => e.code)).toEqual(["failed"]);
    expect(validateInventory(inventory).ok).toBe(true);
  });

  it("says when it began and how long it took", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 2, 3, 4, 5));
    const slow: Collector = { name: "slow", collect: () => (clock.advance(1500), { titles: [], errors: [] }) };
    const { inventory } = await scanWith(parts({ clock, collectors: [slow] }), {});
    expect(inventory.scan).toMatchObject({ startedAt: "2026-01-02T03:04:05.000Z", durationMs: 1500 });
  });
});

describe("a scan with everything the agent has", () => {
  it("of an empty disk finds nothing, takes nothing from this machine and is valid", async () => {
    const { inventory, hits } = await scan({ root });
    expect(inventory).toMatchObject({ device: { hostname: basename(root) }, software: [] });
    expect(inventory).not.toHaveProperty("hardware");
    expect(inventory.scan?.errors).toEqual([]);
    expect(hits).toEqual([]);
    expect(validateInventory(inventory).ok).toBe(true);
  });

  it("of this very machine is valid, and the same device twice", async () => {
    const [first, second] = [await scan(), await scan()];
    expect(validateInventory(first.inventory).ok).toBe(true);
    expect(first.inventory.device.hostname).not.toBe("");
    expect(second.inventory.device).toEqual(first.inventory.device);
  });
});

describe("a scan of an export alone", () => {
  it("holds nothing of the machine that runs it", async () => {
    const forbidden = (): never => {
      throw new Error("this machine was looked at");
    };
    const { inventory } = await scanWith(
      parts({ collectors: [{ name: "dpkg", collect: forbidden }], collectHardware: forbidden, walkFiles: forbidden }),
      {
        registryFiles: [fixture("workstation.reg"), fixture("joined-utf8.reg")],
        dictionary: dictionary({
          code: "@7ZIP",
          name: "7-Zip",
          detect: 'file(name = "7z.exe") OR app(name ~ "7-Zip*")',
        }),
      },
    );
    expect(inventory.device.hostname).toBe("KEIRI-PC07");
    expect(inventory.hardware).toEqual({
      os: {
        family: "windows",
        name: "Windows 10 Pro",
        version: "10.0.19045",
        edition: "Professional",
        build: "19045",
        arch: "x64",
      },
    });
    expect(inventory.software).toHaveLength(10);
    expect(codesOf(inventory)).toEqual([["@7ZIP", "19.00"]]);
    expect(inventory.scan?.errors).toEqual([]);
  });

  it("is named after its file where the export does not say, and is no other export's device", async () => {
    const one = (await scanWith(parts(), { registryFiles: [fixture("workstation.reg")] })).inventory.device;
    expect(one.hostname).toBe("workstation");
    expect((await scanWith(parts(), { registryFiles: [fixture("workstation.reg")] })).inventory.device).toEqual(one);
    const other = put("workstation.reg", "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\X]\n");
    const device = (await scanWith(parts(), { registryFiles: [other] })).inventory.device;
    expect(device.hostname).toBe("workstation");
    expect(device.id).not.toBe(one.id);
  });

  it("reports an export that cannot be read, and is an inventory all the same", async () => {
    const missing = join(root, "missing.reg");
    const { inventory } = await scanWith(parts(), { registryFiles: [missing] });
    expect(inventory.software).toEqual([]);
    expect(inventory.scan?.errors).toEqual([{ path: missing, code: "unreadable", message: "cannot be read (ENOENT)" }]);
  });
});

describe("the machine probes of a changed dictionary", () => {
  const probe = (text: string): Probe => {
    const { value } = parseCondition(text);
    if (value?.op !== "term") throw new Error(text);
    return value.term;
  };

  it("are answered without another scan", async () => {
    put("opt/a.bin", "a");
    const collect = (): never => {
      throw new Error("scanned again");
    };
    const probes = [
      probe("file=a.bin"),
      probe("file=b.bin"),
      probe("registry=HKLM\\SOFTWARE\\JustSystem"),
      probe("app(name = a)"),
    ];
    const { hits, errors } = await rescanProbesWith(
      parts({ collectors: [{ name: "x", collect }], collectHardware: collect }),
      { root, registryFiles: [fixture("workstation.reg")] },
      probes,
    );
    expect(hits.map((h) => h.probe)).toEqual(['file(name = "a.bin")']);
    expect(errors).toEqual([]);
  });
});

describe("the id of a machine that was never enrolled", () => {
  const idOf = async (machine: Awaited<ReturnType<ScanParts["collectHardware"]>>): Promise<string | undefined> =>
    (await scanWith(parts({ collectors: [], collectHardware: () => Promise.resolve(machine) }), {})).inventory.device
      .id;

  it("comes from the machine's evidence: a renamed machine keeps it, another machine has another", async () => {
    const facts = {
      hardware: { uuid: "4c4c4544-0042-4d10-8057-b7c04f503332", serial: "7BM" },
      machineId: "a1b2",
      errors: [],
    };
    const id = await idOf({ ...facts, hostname: "old" });
    expect(id).toMatch(/^m-[0-9a-f]{32}$/);
    expect(await idOf({ ...facts, hostname: "new" })).toBe(id);
    expect(await idOf({ ...facts, hostname: "old", machineId: "c3d4" })).not.toBe(id);
  });

  it("tells copies of one image apart, which carry the same machine id", async () => {
    const copy = { hardware: {}, machineId: "a1b2", errors: [] };
    expect(await idOf({ ...copy, hostname: "one" })).not.toBe(await idOf({ ...copy, hostname: "two" }));
  });

  it("comes from the host name where there is no other evidence", async () => {
    const one = await idOf({ hardware: {}, hostname: "one", errors: [] });
    expect(await idOf({ hardware: { manufacturer: "x" }, hostname: "ONE", errors: [] })).toBe(one);
    expect(await idOf({ hardware: {}, hostname: "two", errors: [] })).not.toBe(one);
  });

  it("gives way to the one given at enrollment", async () => {
    const { inventory } = await scanWith(parts({ collectors: [] }), { deviceId: "d-1" });
    expect(inventory.device).toEqual({ id: "d-1", hostname: "host" });
  });
});
