import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import { validateInventory } from "@daicho/protocol";
import { registry, type RegistryValue } from "./index.ts";
import { numberValue, stringValue } from "./tree.ts";
import { classifyEntry } from "./uninstall.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "registry-"))));
afterAll(() => rmSync(dir, { recursive: true }));

async function collect(...registryFiles: string[]) {
  return registry.collect({
    root: "/",
    live: true,
    platform: "linux",
    registryFiles,
    env: {},
    clock: systemClock,
  });
}

async function collectText(body: string) {
  const file = join(dir, "export.reg");
  writeFileSync(file, `Windows Registry Editor Version 5.00\r\n\r\n${body}`);
  return collect(file);
}

const U = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall";

describe("titles of exported Uninstall keys", () => {
  it("are exactly the installed products: components, updates and patches are none (domain.md §4)", async () => {
    const { titles, errors } = await collect(fixture("workstation.reg"));
    expect(errors).toEqual([]);
    expect(titles.map((t) => `${t.name} | ${t.version} | ${t.source} | ${t.arch ?? "-"}`)).toEqual([
      "7-Zip 19.00 (x64) | 19.00 | registry | x64",
      "Microsoft Office Professional Plus 2016 | 16.0.4266.1001 | registry | x64",
      "Microsoft Visual C++ 2010  x64 Redistributable - 10.0.40219 | 10.0.40219 | msi | x64",
      "サクラエディタ | 2.4.2.6048 | registry | x64",
      "一太郎2023 | 33.1 | registry | x64",
      "Microsoft Teams | 1.5.00.36367 | registry | -",
      "1С:Предприятие 8 (8.3.22.1709) | 8.3.22.1709 | msi | x86",
      "Notepad++ (32-bit x86) | 7.8.5 | registry | x86",
    ]);
    const software = titles;
    expect(validateInventory({ daicho: "inventory/v1", device: { hostname: "x" }, software }).ok).toBe(true);
  });

  it("carry date, size, path, publisher and key as found, and leave out a date that is none", async () => {
    const { titles } = await collect(fixture("workstation.reg"));
    expect(titles.find((t) => t.name === "サクラエディタ")).toEqual({
      name: "サクラエディタ",
      version: "2.4.2.6048",
      publisher: "サクラエディタ開発チーム",
      source: "registry",
      arch: "x64",
      identifier: "Sakura Editor_is1",
      installedAt: "2023-10-10",
      size: 0x3210 * 1024,
      path: "C:\\Program Files\\サクラエディタ\\",
    });
    expect(titles.find((t) => t.name === "一太郎2023")).not.toHaveProperty("installedAt");
  });

  it("are found in every hive, also one mounted under another name or exported without a root", async () => {
    const mounts = {
      "HKEY_LOCAL_MACHINE\\OFFLINE\\Microsoft\\Windows\\CurrentVersion\\Uninstall": "x64",
      "HKEY_LOCAL_MACHINE\\OFFLINE\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall": "x86",
      "HKEY_LOCAL_MACHINE\\NTUSER_TARO\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall": undefined,
      "HKEY_USERS\\S-1-5-21-1-2-3-1001\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall": undefined,
      "HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall": undefined,
      "\\Microsoft\\Windows\\CurrentVersion\\Uninstall": "x64",
      "\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall": undefined,
    };
    for (const [place, arch] of Object.entries(mounts)) {
      const { titles, errors } = await collectText(`[${place}\\A]\r\n"DisplayName"="A"\r\n`);
      expect(errors).toEqual([]);
      expect(titles.map((t) => [t.name, t.arch])).toEqual([["A", arch]]);
    }
  });

  it("are one for the same key, name and version in two views, and two when one of them differs", async () => {
    const W = U.replace("SOFTWARE", "SOFTWARE\\WOW6432Node");
    const same = await collectText(
      `[${U}\\A]\n"DisplayName"="A"\n"DisplayVersion"="1"\n[${W}\\a]\n"DisplayName"="A"\n"DisplayVersion"="1"\n`,
    );
    expect(same.titles).toHaveLength(1);
    expect(same.titles[0]?.arch).toBe("x64");
    const other = await collectText(
      `[${U}\\A]\n"DisplayName"="A"\n"DisplayVersion"="1"\n[${W}\\A]\n"DisplayName"="A"\n"DisplayVersion"="2"\n`,
    );
    expect(other.titles.map((t) => t.version)).toEqual(["1", "2"]);
  });

  it("say x86 for the native view of a 32-bit Windows, and nothing on ARM", async () => {
    const windows = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
    for (const [build, arch] of [
      ["x86fre", "x86"],
      ["arm64fre", undefined],
      ["amd64fre", "x64"],
    ] as const) {
      const body = `[${U}\\A]\n"DisplayName"="A"\n[${windows}]\n"BuildLabEx"="19041.1.${build}.vb_release.1"\n`;
      expect((await collectText(body)).titles[0]?.arch).toBe(arch);
    }
  });

  it("survive a broken entry and a missing file, which are named", async () => {
    const missing = join(dir, "missing.reg");
    const file = join(dir, "broken.reg");
    writeFileSync(
      file,
      `Windows Registry Editor Version 5.00\n\n[${U}\\A]\n"DisplayName"="A\n[${U}\\B]\n"DisplayName"="B"\n`,
    );
    const { titles, errors } = await collect(missing, file);
    expect(titles.map((t) => t.name)).toEqual(["B"]);
    expect(errors).toEqual([
      { path: missing, code: "unreadable", message: "cannot be read (ENOENT)" },
      { path: file, code: "malformed", message: "line 4: the string is never closed; the value was left out" },
    ]);
  });

  it("hold garbage to a bounded number of faults", async () => {
    const { titles, errors } = await collectText("garbage\n".repeat(5000));
    expect(titles).toEqual([]);
    expect(errors.length).toBeLessThanOrEqual(100);
    expect(errors.at(-1)?.message).toMatch(/4\d\d\d more faults/);
  });
});

describe("a Windows disk", () => {
  it("whose hive is none is no silent machine without software", async () => {
    mkdirSync(join(dir, "Windows/System32/config"), { recursive: true });
    writeFileSync(join(dir, "Windows/System32/config/SOFTWARE"), "regf");
    const { titles, errors } = await registry.collect({
      root: dir,
      live: false,
      platform: "linux",
      env: {},
      clock: systemClock,
    });
    expect(titles).toEqual([]);
    expect(errors.map((e) => [e.path, e.code])).toEqual([["/Windows/System32/config/SOFTWARE", "malformed"]]);
  });
});

describe("an Uninstall entry", () => {
  const named = (name: string, ...more: RegistryValue[]): RegistryValue[] => [
    stringValue("DisplayName", name),
    ...more,
  ];

  it("is an update when its key, its parent, its release type or its name says so", () => {
    const updates: [string, RegistryValue[]][] = [
      ["{3C3901C5-3455-3E0A-A214-0B093A5070A6}.KB2468871v2", named("KB2468871v2")],
      ["KB954550-v5", named("Hotfix for Windows XP (KB954550-v5)")],
      ["X", named("Security Update for Windows Internet Explorer 8 (KB2510531)")],
      ["X", named("Definition Update for Microsoft Office 2013 (KB3115404) 32-Bit Edition")],
      ["X", named("Microsoft Office 2016 のセキュリティ更新プログラム (KB4011574)")],
      ["X", named("Обновление безопасности для Windows XP (KB923789)")],
      ["X", named("Actualizare pentru Microsoft Office 2016 (KB4011259)")],
      ["X", named("Оновлення для Microsoft Office 2016 (KB4011259)")],
      ["X", named("عرض تحديث Microsoft Office 2016 (KB4011259)")],
      ["{90120000-0020-0411-0000-0000000FF1CE}", named("KB2468871-v2")],
      ["X", named("A", stringValue("ReleaseType", "update rollup"))],
      ["X", named("A", stringValue("ReleaseType", "ServicePack"))],
      ["X", named("GDR 6439 for SQL Server 2014 (KB5014164) (64-bit)")],
      ["X", named("A", stringValue("ParentKeyName", "OperatingSystem"))],
      ["X", named("A", stringValue("ParentDisplayName", "B"))],
    ];
    for (const [key, values] of updates) expect(classifyEntry(key, values), key).toBe("update");
  });

  it("is a title although its name speaks of updates or of an article", () => {
    const titles = [
      "MSXML 4.0 SP2 (KB954430)",
      "Adobe Update Manager CS4",
      "Microsoft Update Health Tools",
      "Apple Software Update",
      "Java 8 Update 241 (64-bit)",
      "Dell Command | Update",
      "KeePass Password Safe 2.45",
    ];
    for (const name of titles) expect(classifyEntry("{A}", named(name)), name).toBe("title");
    expect(classifyEntry("X", named("A", numberValue("SystemComponent", 0), stringValue("ParentKeyName", "")))).toBe(
      "title",
    );
  });

  it("is a component or nameless when Windows does not show it", () => {
    expect(classifyEntry("X", named("A", numberValue("SystemComponent", 1)))).toBe("component");
    expect(classifyEntry("X", named("  "))).toBe("unnamed");
    expect(classifyEntry("X", [])).toBe("unnamed");
    expect(classifyEntry("X", [numberValue("DisplayName", 7)])).toBe("unnamed");
  });

  it("has a version from its other values only where DisplayVersion is missing", async () => {
    const versions: [string, string][] = [
      ['"DisplayVersion"="2.0"\n"VersionMajor"=dword:1', "2.0"],
      ['"VersionMajor"=dword:0000000b\n"VersionMinor"=dword:2', "11.2"],
      ['"VersionMajor"="7"', "7"],
      ['"Version"=dword:0a009d1b', "10.0.40219"],
      ['"Version"="5.1b"', "5.1b"],
      ['"Version"=dword:0', ""],
      ["", ""],
    ];
    for (const [body, version] of versions) {
      expect((await collectText(`[${U}\\A]\n"DisplayName"="A"\n${body}\n`)).titles[0]?.version, body).toBe(version);
    }
  });

  it("has an install date only where the value is a day of the calendar", async () => {
    const dates: [string, string | undefined][] = [
      ["20240229", "2024-02-29"],
      ["20230229", undefined],
      ["20231301", undefined],
      ["00000000", undefined],
      ["10/12/2023", undefined],
      ["1696896000", undefined],
    ];
    for (const [text, date] of dates) {
      const { titles } = await collectText(`[${U}\\A]\n"DisplayName"="A"\n"InstallDate"="${text}"\n`);
      expect(titles[0]?.installedAt, text).toBe(date);
    }
  });
});
