import { describe, expect, it } from "vitest";
import { createFindings } from "../findings.ts";
import { createLiveRegistry, type NativeRegistry } from "./live.ts";
import { collectUninstall } from "./uninstall.ts";

type Keys = Readonly<Record<string, Readonly<Record<string, readonly [number, Buffer]>>>>;

/** native-reg's functions over a flat list of keys; counts what is open. */
function fakeNative(keys: Keys, denied: readonly string[] = []) {
  let open = 0;
  const existing = (path: string): boolean =>
    Object.keys(keys).some((key) => `${key}\\`.toLowerCase().startsWith(`${path}\\`.toLowerCase()));
  const native: NativeRegistry<string> = {
    HKLM: "HKLM",
    HKU: "HKU",
    HKCU: "HKCU",
    HKCR: "HKCR",
    openKey(parent, path, access) {
      expect(access & 0x100, "the 64-bit view").toBe(0x100);
      const full = path === "" ? parent : `${parent}\\${path}`;
      if (denied.includes(full)) throw new Error("RegOpenKeyEx failed: 5");
      if (!existing(full)) return null;
      open++;
      return full;
    },
    enumKeyNames(key) {
      const below = Object.keys(keys).filter((k) => k.toLowerCase().startsWith(`${key}\\`.toLowerCase()));
      return [...new Set(below.map((k) => k.slice(key.length + 1).split("\\")[0] ?? ""))];
    },
    enumValueNames: (key) => Object.keys(keys[key] ?? {}),
    queryValueRaw(key, name) {
      const value = keys[key]?.[name];
      return value === undefined ? null : Object.assign(Buffer.from(value[1]), { type: value[0] });
    },
    closeKey: () => void open--,
  };
  return { native, openKeys: () => open };
}

const sz = (text: string): readonly [number, Buffer] => [1, Buffer.from(`${text}\0`, "utf16le")];
const dword = (n: number): readonly [number, Buffer] => [4, Buffer.from([n, 0, 0, 0])];
const suffix = "Microsoft\\Windows\\CurrentVersion\\Uninstall";

describe("the live registry", () => {
  it("gives the titles of the machine and of every loaded user, one for a hive that is seen twice", () => {
    const { native, openKeys } = fakeNative({
      [`HKLM\\SOFTWARE\\${suffix}\\A`]: { DisplayName: sz("サクラエディタ"), EstimatedSize: dword(2) },
      [`HKLM\\SOFTWARE\\WOW6432Node\\${suffix}\\B`]: { DisplayName: sz("Б"), WindowsInstaller: dword(1) },
      [`HKU\\S-1-5-21-1\\SOFTWARE\\${suffix}\\C`]: { DisplayName: sz("C") },
      [`HKU\\S-1-5-21-1_Classes\\SOFTWARE\\${suffix}\\Z`]: { DisplayName: sz("no hive of its own") },
      [`HKCU\\SOFTWARE\\${suffix}\\C`]: { DisplayName: sz("C") },
    });
    const findings = createFindings();
    collectUninstall(createLiveRegistry(native), findings);
    expect(findings.result().titles.map((t) => [t.name, t.source, t.arch, t.size])).toEqual([
      ["サクラエディタ", "registry", "x64", 2048],
      ["C", "registry", undefined, undefined],
      ["Б", "msi", "x86", undefined],
    ]);
    expect(openKeys()).toBe(0);
  });

  it("names a key that the system refuses, and goes on", () => {
    const refused = `HKLM\\SOFTWARE\\${suffix}\\B`;
    const { native, openKeys } = fakeNative(
      { [`HKLM\\SOFTWARE\\${suffix}\\A`]: { DisplayName: sz("A") }, [refused]: { DisplayName: sz("B") } },
      [refused],
    );
    const tree = createLiveRegistry(native);
    const findings = createFindings();
    collectUninstall(tree, findings);
    expect(findings.result().titles.map((t) => t.name)).toEqual(["A"]);
    expect(tree.takeFaults()).toEqual([
      {
        path: `HKEY_LOCAL_MACHINE\\SOFTWARE\\${suffix}\\B`,
        code: "unreadable",
        message: "the registry key cannot be read",
      },
    ]);
    expect(tree.takeFaults()).toEqual([]);
    expect(openKeys()).toBe(0);
  });
});
