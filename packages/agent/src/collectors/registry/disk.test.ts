import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFindings } from "../findings.ts";
import { rootedFiles } from "../rooted-files.ts";
import { openDiskRegistry } from "./disk.ts";
import { writeHive, type HiveNode } from "./fixtures/hive-writer.ts";
import { openHive } from "./hive.ts";
import type { RegistryTree } from "./tree.ts";
import { collectUninstall } from "./uninstall.ts";

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "daicho-disk-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, hive: HiveNode | Buffer): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), Buffer.isBuffer(hive) ? hive : writeHive(hive));
};
const below = (path: string, node: HiveNode): HiveNode =>
  path.split("\\").reduceRight<HiveNode>((inner, name) => ({ keys: { [name]: inner } }), node);
const uninstall = (keys: Record<string, HiveNode>): HiveNode => ({ keys, list: "ri" });
const suffix = "Microsoft\\Windows\\CurrentVersion\\Uninstall";
const opened = (): RegistryTree => {
  const tree = openDiskRegistry(rootedFiles(root, false));
  if (tree === undefined) throw new Error("no registry");
  return tree;
};
const titles = (tree: RegistryTree) => {
  const findings = createFindings();
  collectUninstall(tree, findings);
  return findings.result().titles;
};

const software = uninstall({
  "7-Zip": { values: { DisplayName: "7-Zip 23.01 (x64)", DisplayVersion: "23.01", Publisher: "Igor Pavlov", EstimatedSize: 5637 } },
  "{0000-1}": { values: { DisplayName: "サクラエディタ", DisplayVersion: "2.4.2", WindowsInstaller: 1 } },
  Part: { values: { DisplayName: "Shared part", SystemComponent: 1 } },
  KB5005565: { values: { DisplayName: "Update", ParentKeyName: "OperatingSystem" } },
}); // prettier-ignore

describe("the registry of a mounted Windows disk", () => {
  it("gives the titles of the machine, both views, and of every user; components and updates are none", () => {
    const both = {
      keys: {
        ...below(suffix, software).keys,
        WOW6432Node: below(suffix, uninstall({ Old: { values: { DisplayName: "Старая программа" } } })),
      },
    };
    put("Windows/System32/config/SOFTWARE", both);
    put("Users/hanako/NTUSER.DAT", below(`Software\\${suffix}`, uninstall({ Mine: { values: { DisplayName: "Только моё" } } }))); // prettier-ignore
    mkdirSync(join(root, "Users/Public"));
    const tree = opened();
    expect(titles(tree).map(({ name, version, source, size }) => [name, version, source, size])).toEqual([
      ["7-Zip 23.01 (x64)", "23.01", "registry", 5637 * 1024],
      ["サクラエディタ", "2.4.2", "msi", undefined],
      ["Только моё", "", "registry", undefined],
      ["Старая программа", "", "registry", undefined],
    ]);
    expect(tree.takeFaults()).toEqual([]);
  });

  it("says so where it may not look, instead of taking the disk for one without Windows", () => {
    put("Windows/System32/config/SOFTWARE", software);
    const files = rootedFiles(root, false);
    const denied = Object.assign(new Error("denied"), { code: "EACCES" });
    const refusing = (path: string): boolean => path.startsWith("/Windows/System32/config/");
    const tree = openDiskRegistry({
      ...files,
      stat(path) {
        if (refusing(path)) throw denied;
        return files.stat(path);
      },
    });
    expect(tree?.takeFaults()).toContainEqual({
      path: "/Windows/System32/config/SOFTWARE",
      code: "unreadable",
      message: "cannot be read (EACCES)",
    });
    rmSync(join(root, "Windows"), { recursive: true });
    expect(openDiskRegistry(files)).toBeUndefined();
  });

  it("finds CurrentControlSet where Select says, and places however the disk spells them", () => {
    put("WINDOWS/system32/config/software", below(suffix, uninstall({ A: { values: { DisplayName: "A" } } })));
    put("WINDOWS/system32/config/system", {
      keys: {
        Select: { values: { Current: 2 } },
        ControlSet001: below("Control\\ComputerName\\ComputerName", { values: { ComputerName: "OLD" } }),
        ControlSet002: below("Control\\ComputerName\\ComputerName", { values: { ComputerName: "PC-17" } }),
      },
    });
    const tree = opened();
    expect(titles(tree).map((t) => t.name)).toEqual(["A"]);
    const path = "hkey_local_machine\\system\\currentcontrolset\\control\\computername\\computername";
    expect(tree.values(path)).toEqual([{ name: "ComputerName", kind: "string", text: "PC-17" }]);
    expect(tree.subkeys("HKEY_LOCAL_MACHINE")).toEqual(["SOFTWARE", "SYSTEM"]);
    expect(tree.subkeys("HKEY_LOCAL_MACHINE\\SYSTEM")).toContain("CurrentControlSet");
  });

  it("is nothing where no Windows is, and a fault where a hive is none or was left unfinished", () => {
    expect(openDiskRegistry(rootedFiles(root, false))).toBeUndefined();
    put("Windows/System32/config/SOFTWARE", Buffer.from("not a hive at all".repeat(500)));
    put("Windows/System32/config/SYSTEM", writeHive({ keys: {} }, { dirty: true }));
    expect(opened().takeFaults()).toMatchObject([
      { path: "/Windows/System32/config/SOFTWARE", code: "malformed", message: "is no registry hive" },
      { path: "/Windows/System32/config/SYSTEM", code: "unsupported" },
    ]);
  });
});

describe("a hive", () => {
  const file = (bytes: Buffer) => ({
    size: bytes.length,
    readAt: (offset: number, length: number) => bytes.subarray(offset, offset + length),
  });

  it("holds values of every size and kind, and lists of every kind", () => {
    const data = Buffer.alloc(40_000, 7);
    const hive = openHive(
      file(
        writeHive({
          list: "ri",
          keys: {
            A: { values: { 名: "x", N: 5, Big: [3, data], Multi: [7, Buffer.from("a\0b\0\0", "utf16le")] } },
            B: { list: "li", keys: { サ: {}, C: {} } },
            D: { list: "lf", keys: { E: {} } },
          },
        }),
      ),
      (fault) => expect.fail(fault.message),
    );
    expect(hive.root.child("a")?.values()).toEqual([
      { name: "名", kind: "string", text: "x" },
      { name: "N", kind: "number", text: "5" },
      { name: "Big", kind: "binary", text: data.toString("hex") },
      { name: "Multi", kind: "multi", text: "a\nb" },
    ]);
    expect(hive.root.subkeys().map((key) => [key.name, key.subkeys().map((k) => k.name)])).toEqual([
      ["A", []],
      ["B", ["C", "サ"]],
      ["D", ["E"]],
    ]);
  });

  it("damaged anywhere neither crashes nor hangs, and what is not damaged stays readable", () => {
    const whole = writeHive(below(suffix, software));
    put("Windows/System32/config/SOFTWARE", whole);
    const names = titles(opened()).map((t) => t.name);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(whole.length)),
        (changes, end) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of changes) bytes[at] = value;
          put("Windows/System32/config/SOFTWARE", bytes.subarray(0, end ?? bytes.length));
          const found = titles(opened());
          expect(found.length).toBeLessThanOrEqual(names.length + 2);
        },
      ),
      { numRuns: 300 },
    );
  });
});
