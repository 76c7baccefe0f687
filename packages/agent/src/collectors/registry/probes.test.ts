import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCondition, type Probe } from "@daicho/policy";
import { readRegistryFiles } from "./offline.ts";
import { evaluateRegistryProbes, keysOfProbes } from "./probes.ts";

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "registry-probes-"))));
afterAll(() => rmSync(dir, { recursive: true }));

const export_ = `Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Adobe\\Acrobat\\11.0\\Installer]
"Path"="C:\\\\Acrobat"
"VersionMax"=dword:0000000b

[HKEY_LOCAL_MACHINE\\SOFTWARE\\WOW6432Node\\JustSystem\\一太郎]
@="一太郎2023"
"Version"="33.1.0"

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Empty]

[HKEY_USERS\\S-1-5-21-1-2-3-1001\\Software\\Discord]
"Channel"="stable"

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Classes\\.vsdx]
@="Visio.Drawing.15"

[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\MSSQLSERVER]
"ImagePath"=hex(2):73,00,71,00,6c,00,00,00
`;

function probe(text: string): Probe {
  const { value, faults } = parseCondition(text);
  if (value?.op !== "term") throw new Error(`${text}: ${JSON.stringify(faults)}`);
  return value.term;
}

/** Opens the export keeping only what the probes need, as a scan does. */
async function ask(condition: string, text = export_, budget?: number) {
  const file = join(dir, "machine.reg");
  writeFileSync(file, text);
  const probes = [probe(condition)];
  const tree = await readRegistryFiles([file], keysOfProbes(probes));
  const { hits, errors } = evaluateRegistryProbes({ probes, tree, ...(budget === undefined ? {} : { budget }) });
  return { found: hits[0]?.found, probe: hits[0]?.probe, errors };
}

describe("registry probes (domain.md §2: key, value, string found)", () => {
  it("hold where the key is, however its hive is written", async () => {
    for (const key of [
      "HKLM\\SOFTWARE\\Empty",
      "hkey_local_machine\\software\\empty\\",
      "Computer\\HKEY_LOCAL_MACHINE\\Software\\Empty",
      "SOFTWARE\\Empty",
      "ＨＫＬＭ\\SOFTWARE\\Ｅｍｐｔｙ",
    ]) {
      const { found, errors } = await ask(`registry(key = "${key.replaceAll("\\", "\\\\")}")`);
      expect(found, key).toEqual({ key: expect.stringMatching(/^HKEY_LOCAL_MACHINE\\SOFTWARE\\Empty$/i) as string });
      expect(errors).toEqual([]);
    }
    expect((await ask("registry=HKLM\\SOFTWARE\\Adobe\\Acrobat")).found).toBeDefined();
    expect((await ask("registry=HKLM\\SOFTWARE\\Absent")).found).toBeUndefined();
    expect((await ask("registry=HKCU\\SOFTWARE\\Empty")).found).toBeUndefined();
  });

  it("see both views through one key, and say where they found it", async () => {
    const { found } = await ask(
      'registry(key = "HKLM\\\\SOFTWARE\\\\JustSystem\\\\一太郎", value = "version", data >= "33")',
    );
    expect(found?.["key"]?.toLowerCase()).toBe("hkey_local_machine\\software\\wow6432node\\justsystem\\一太郎");
    expect(found).toMatchObject({ value: "Version", data: "33.1.0" });
    expect((await ask("registry=HKLM\\SOFTWARE\\WOW6432Node\\JustSystem")).found).toBeDefined();
  });

  it("look into every user's hive for HKCU, and below Classes for HKCR", async () => {
    const user = await ask('registry(key = "HKCU\\\\Software\\\\Discord", value = "Channel", data = "STABLE")');
    expect(user.found?.["key"]).toMatch(/^HKEY_USERS\\S-1-5-21-1-2-3-1001\\/i);
    expect((await ask('registry(key = "HKCR\\\\.vsdx", value = "@", data ~ "Visio.*")')).found).toMatchObject({
      value: "@",
      data: "Visio.Drawing.15",
    });
  });

  it("compare key, value and data by their operators; all must hold for one value", async () => {
    const key = 'key = "HKLM\\\\SOFTWARE\\\\Adobe\\\\Acrobat\\\\11.0\\\\Installer"';
    expect((await ask(`registry(${key}, value = "VersionMax", data = "11")`)).found).toBeDefined();
    expect((await ask(`registry(${key}, value = "VersionMax", data >= "10")`)).found).toBeDefined();
    expect((await ask(`registry(${key}, value = "VersionMax", data < "11")`)).found).toBeUndefined();
    expect((await ask(`registry(${key}, data ~ "c:\\\\*")`)).found).toMatchObject({ value: "Path" });
    expect((await ask(`registry(${key}, value = "VersionMax", data ~ "c:\\\\*")`)).found).toBeUndefined();
    expect((await ask(`registry(${key}, value ~ "v?rsion*")`)).found).toMatchObject({ data: "11" });
  });

  it("walk below the fixed beginning of a glob, and hold once", async () => {
    const { found, probe: text } = await ask(
      'registry(key ~ "HKLM\\\\SOFTWARE\\\\Adobe\\\\*\\\\Installer", value = "Path")',
    );
    expect(found).toMatchObject({ data: "C:\\Acrobat" });
    expect(text).toBe('registry(key ~ "HKLM\\\\SOFTWARE\\\\Adobe\\\\*\\\\Installer", value = "Path")');
    expect((await ask('registry(key ~ "HKLM\\\\SOFTWARE\\\\Just*\\\\一太郎")')).found).toBeDefined();
    expect((await ask('registry(key ~ "*\\\\MSSQLSERVER", value = "ImagePath", data = "sql")')).found).toBeDefined();
  });

  it("are named as unanswered when a glob asks for more keys than may be visited", async () => {
    const many = Array.from({ length: 50 }, (_, i) => `[HKEY_LOCAL_MACHINE\\SOFTWARE\\K${i}]\n`).join("");
    const { found, errors } = await ask('registry(key ~ "HKLM\\\\SOFTWARE\\\\*\\\\Absent")', `${export_}${many}`, 20);
    expect(found).toBeUndefined();
    expect(errors.map((e) => e.code)).toEqual(["too-large"]);
  });

  it("do not hold, without a fault, on a machine that has no registry", () => {
    const answers = evaluateRegistryProbes({ probes: [probe("registry=HKLM\\SOFTWARE\\A")], tree: undefined });
    expect(answers).toEqual({ hits: [], errors: [] });
  });

  it("get the same answer from an export of which only the wanted keys were kept as from the whole", async () => {
    const file = join(dir, "whole.reg");
    writeFileSync(file, export_);
    const part = fc.constantFrom(
      "SOFTWARE",
      "Adobe",
      "WOW6432Node",
      "Acrobat",
      "*",
      "Ado*",
      "Classes",
      ".vsdx",
      "Discord",
      "JustSystem",
      "?.vsdx",
    );
    const hive = fc.constantFrom("HKLM", "HKCU", "HKCR", "HKU", "", "*");
    await fc.assert(
      fc.asyncProperty(hive, fc.array(part, { minLength: 1, maxLength: 4 }), async (root, rest) => {
        const key = [root, ...rest].filter((p) => p !== "").join("\\");
        const probes = [probe(`registry(key ~ "${key.replaceAll("\\", "\\\\")}")`)];
        const whole = await readRegistryFiles([file], () => true);
        const kept = await readRegistryFiles([file], keysOfProbes(probes));
        expect(evaluateRegistryProbes({ probes, tree: kept })).toEqual(evaluateRegistryProbes({ probes, tree: whole }));
      }),
      { numRuns: 60 },
    );
  });
});
