import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { daicho } from "../testing/run.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-cli-policy-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
};
const example = (path: string): string => fileURLToPath(new URL(`../../../../examples/${path}`, import.meta.url));

const sound = `daicho: policy/v1
id: group
edition: enterprise
version: 3
software:
  - { code: "@WRITER", name: Writer, detect: 'package(name = "writer")' }
  - { code: "@SUITE", name: Suite, detect: 'app(name ~ "Suite*")' }
licenses:
  - { rule: "@SUITE AND @WRITER = @OFFICE", name: Office }
  - { rule: "@WRITER = @WORD", name: Word }
`;
const faulty = `daicho: policy/v1
id: group
edition: enterprise
version: 3
software:
  - { code: "@WRITER", name: Writer, detect: 'package(nam = "writer")' }
licenses:
  - { rule: "@WRITER AND @NOBODY = @OFFICE" }
`;

describe("policy check (contract.md)", () => {
  it("names each fault with file, line and column and ends with status 1", async () => {
    const path = file("faulty.policy.yaml", faulty);
    const { status, out, err } = await daicho(["policy", "check", path]);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    const lines = err.trimEnd().split("\n");
    expect(lines[0]).toMatch(new RegExp(`^${path}:6:\\d+: .* \\[unknown-field\\]$`));
    expect(lines[1]).toMatch(new RegExp(`^${path}:8:\\d+: .* \\[unknown-code\\]$`));
    expect(lines).toHaveLength(2);
  });

  it("gives the same faults as JSON, and ends with status 1", async () => {
    const path = file("faulty.policy.yaml", faulty);
    const { status, out, err } = await daicho(["policy", "check", path, "--json"]);
    expect({ status, err }).toEqual({ status: 1, err: "" });
    const { faults } = JSON.parse(out) as { faults: Record<string, unknown>[] };
    expect(faults.map(({ file, line, code }) => ({ file, line, code }))).toEqual([
      { file: path, line: 6, code: "unknown-field" },
      { file: path, line: 8, code: "unknown-code" },
    ]);
    for (const fault of faults)
      expect(fault).toMatchObject({ column: expect.any(Number), message: expect.any(String) });
  });

  it("finds nothing wrong with a sound policy and says so with status 0", async () => {
    const { status, out, err } = await daicho(["policy", "check", file("sound.policy.yaml", sound), "--json"]);
    expect({ status, err, faults: JSON.parse(out) as unknown }).toEqual({ status: 0, err: "", faults: { faults: [] } });
  });

  it("fails on a file that is not there, naming it", async () => {
    const { status, err } = await daicho(["policy", "check", join(dir, "missing.yaml")]);
    expect(status).toBe(1);
    expect(err).toMatch(/missing\.yaml: cannot be read \(ENOENT\) \[file-unreadable\]/);
  });
});

describe("policy build", () => {
  it("writes the two documents, the same bytes each time", async () => {
    const path = file("sound.policy.yaml", sound);
    const texts = [];
    for (const out of [join(dir, "one"), join(dir, "two")]) {
      expect((await daicho(["policy", "build", path, "--out", out])).status).toBe(0);
      texts.push(["dictionary.json", "license-policy.json"].map((name) => readFileSync(join(out, name), "utf8")));
    }
    expect(texts[0]).toEqual(texts[1]);
    expect(JSON.parse(texts[0]?.[0] ?? "")).toMatchObject({ daicho: "dictionary/v1", version: 3 });
    expect(JSON.parse(texts[0]?.[1] ?? "")).toMatchObject({ daicho: "license-policy/v1", version: 3 });
  });

  it("writes nothing where there is a fault", async () => {
    const out = join(dir, "never");
    const { status } = await daicho(["policy", "build", file("faulty.policy.yaml", faulty), "--out", out]);
    expect(status).toBe(1);
    expect(() => readFileSync(join(out, "dictionary.json"))).toThrow();
  });
});

describe("policy explain (contract.md)", () => {
  const title = (name: string): object => ({ name, version: "1", source: "dpkg" });
  const explain = async (inventory: object): Promise<Record<string, unknown>> => {
    const path = file(
      "inventory.json",
      JSON.stringify({ daicho: "inventory/v1", device: { hostname: "pc" }, ...inventory }),
    );
    const policy = file("sound.policy.yaml", sound);
    const { status, out, err } = await daicho(["policy", "explain", policy, "--inventory", path, "--json"]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    return JSON.parse(out) as Record<string, unknown>;
  };

  it.each([{}, { codes: [] }])("recognises an inventory without codes from its titles (%j)", async (codes) => {
    const { licenses, notMatched } = await explain({ software: [title("writer"), title("Suite 9")], ...codes });
    expect(licenses).toMatchObject([
      { license: "@OFFICE", rule: "@SUITE AND @WRITER = @OFFICE", codes: ["@SUITE", "@WRITER"] },
    ]);
    expect(notMatched).toMatchObject([{ license: "@WORD", because: expect.stringContaining("consumed") as unknown }]);
  });

  it("believes the codes of an inventory that has them", async () => {
    const { licenses } = await explain({
      software: [title("Suite 9")],
      codes: [{ code: "@WRITER", evidence: "seen" }],
    });
    expect(licenses).toMatchObject([{ license: "@WORD", evidence: [{ found: { evidence: "seen" } }] }]);
  });

  it("explains the example inventories in words", async () => {
    const inventory = example("inventories/windows-notebook.json");
    const { status, out } = await daicho([
      "policy",
      "explain",
      example("enterprise.policy.yaml"),
      "--inventory",
      inventory,
    ]);
    expect(status).toBe(0);
    expect(out).toContain("@M365-ENT\n  by ");
  });

  it("names the place where an inventory is not one", async () => {
    const path = file(
      "broken.json",
      JSON.stringify({ daicho: "inventory/v1", device: { hostname: "x" }, software: [{}] }),
    );
    const policy = file("sound.policy.yaml", sound);
    const { status, err } = await daicho(["policy", "explain", policy, "--inventory", path]);
    expect(status).toBe(1);
    expect(err).toMatch(/broken\.json: \/software\/0 .*\[file-invalid\]/);
  });
});

describe("policy count (domain.md §5)", () => {
  const enterprise = example("enterprise.policy.yaml");
  const count = (metric: string, hardware: unknown, ...more: string[]) =>
    daicho([
      ...["policy", "count", enterprise, "--metric", metric, "--json"],
      ...["--hardware", file("hardware.json", JSON.stringify(hardware)), ...more],
    ]);

  // ../../../../../shared/data/licence-vectors.json, by the rules of the example policy
  it.each([
    ["windows-server-standard", { cpu: { sockets: 1, cores: 8 } }, { units: 16, packs: 8 }],
    ["windows-server-standard", { cpu: { sockets: 2, cores: 16 } }, { units: 16, packs: 8 }],
    ["windows-server-standard", { cpu: { sockets: 2, cores: 32 } }, { units: 32, packs: 16 }],
    ["windows-server-standard", { cpu: { sockets: 2, cores: 16 }, virtualMachines: 2 }, { units: 16 }],
    ["windows-server-standard", { cpu: { sockets: 2, cores: 16 }, virtualMachines: 6 }, { units: 48 }],
    ["windows-server-datacenter", { cpu: { sockets: 2, cores: 16 }, virtualMachines: 50 }, { units: 16 }],
    ["windows-server-per-vm", { virtual: true, virtualCores: 12 }, { units: 12 }],
    ["windows-server-per-vm", { virtual: true, virtualCores: 1 }, { units: 8 }],
    ["sql-server-per-core", { cpu: { cores: 24 } }, { units: 24, packs: 12 }],
    ["sql-server-per-core", { cpu: { sockets: 2, cores: 4 } }, { units: 8, packs: 4 }],
    ["oracle-processor", { cpu: { model: "Xeon", sockets: 2, cores: 32 } }, { units: 16, userMinimum: 400 }],
    ["oracle-named-user", { cpu: { model: "Xeon", sockets: 2, cores: 32 } }, { units: 400, unit: "user" }],
    ["oracle-socket", { cpu: { sockets: 2, cores: 32 } }, { units: 2 }],
    ["ibm-pvu", { cpu: { model: "POWER10 S1022", cores: 16 } }, { units: 1120 }],
    ["ibm-pvu", { cpu: { cores: 8 } }, { units: 960 }],
    ["ibm-pvu", { cpu: { model: "POWER9 E980", cores: 8 }, os: { family: "linux" } }, { units: 560 }],
  ])("%s of %j is %j", async (metric, hardware, expected) => {
    const { status, out, err } = await count(metric, hardware);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({ rule: metric, ...expected });
  });

  it("tells each step in words, from an inventory too", async () => {
    const inventory = example("inventories/linux-server.json");
    const metric = ["--metric", "oracle-processor"];
    const { status, out } = await daicho(["policy", "count", enterprise, ...metric, "--inventory", inventory]);
    expect(status).toBe(0);
    expect(out).toContain("factor: 12  (times 0.5");
    expect(out.trimEnd().split("\n").at(-1)).toBe("12 processors, at least 300 users");
  });

  it("names a rule that is not there, hardware that is none, a date that is none", async () => {
    const missing = await count("nothing", {});
    expect([missing.status, missing.err]).toEqual([1, expect.stringContaining("[metric-rule-unknown]")]);
    const wrong = await count("ibm-pvu", { cpu: { cores: "many" } });
    expect([wrong.status, wrong.err]).toEqual([
      1,
      expect.stringMatching(/hardware\.json: \/cpu\/cores .*\[file-invalid\]/),
    ]);
    expect((await count("ibm-pvu", {}, "--at", "soon")).status).toBe(2);
    expect((await daicho(["policy", "count", enterprise, "--metric", "ibm-pvu"])).status).toBe(2);
  });
});
