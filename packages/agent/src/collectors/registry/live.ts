/**
 * Purpose: the registry of the running Windows, through native-reg (an optional dependency, loaded only there).
 * Invariants: reads only; always the 64-bit view, whatever node.exe is; every opened key is closed; what the system refuses is a
 * fault with the key's path.
 */
import type { ScanError } from "@daicho/protocol";
import { scanError } from "../findings.ts";
import { decodeValue, type RegistryTree, type RegistryValue } from "./tree.ts";

/** What is used of native-reg. `Key` is its handle type. */
export interface NativeRegistry<Key> {
  readonly HKLM: Key;
  readonly HKU: Key;
  readonly HKCU: Key;
  readonly HKCR: Key;
  openKey(parent: Key, path: string, access: number): Key | null;
  enumKeyNames(key: Key): string[];
  enumValueNames(key: Key): string[];
  queryValueRaw(key: Key, name: string): (Buffer & { readonly type: number }) | null;
  closeKey(key: Key): void;
}

const readAccess = 0x20019;
const view64 = 0x100;
const roots = {
  hkey_local_machine: "HKLM",
  hkey_users: "HKU",
  hkey_current_user: "HKCU",
  hkey_classes_root: "HKCR",
} as const;

export async function openLiveRegistry(): Promise<RegistryTree> {
  return createLiveRegistry(await import("native-reg"));
}

export function createLiveRegistry<Key>(native: NativeRegistry<Key>): RegistryTree {
  let faults: ScanError[] = [];

  /** Opens the key for the time of `action`; undefined where there is no such key. */
  function withKey<T>(path: string, action: (key: Key) => T): T | undefined {
    const [root = "", ...rest] = path.split("\\");
    const name = roots[root.toLowerCase() as keyof typeof roots];
    if (name === undefined) return undefined;
    try {
      const key = native.openKey(native[name], rest.join("\\"), readAccess | view64);
      if (key === null) return undefined;
      try {
        return action(key);
      } finally {
        native.closeKey(key);
      }
    } catch {
      faults.push(scanError(path, "unreadable", "the registry key cannot be read"));
      return undefined;
    }
  }

  const tree: RegistryTree = {
    subkeys(path) {
      if (path === "") return ["HKEY_LOCAL_MACHINE", "HKEY_USERS", "HKEY_CURRENT_USER", "HKEY_CLASSES_ROOT"];
      return withKey(path, (key) => native.enumKeyNames(key)) ?? [];
    },

    values(path) {
      const read = (key: Key): RegistryValue[] => {
        const values: RegistryValue[] = [];
        for (const name of native.enumValueNames(key)) {
          const raw = native.queryValueRaw(key, name);
          if (raw !== null) values.push(decodeValue(name, raw.type, raw));
        }
        return values;
      };
      return withKey(path, read) ?? [];
    },

    below(suffix) {
      // HKEY_CURRENT_USER is one of the users; it is named too because a service account's hive may be all that is loaded.
      const users = tree.subkeys("HKEY_USERS").filter((name) => !/_classes$/i.test(name));
      const hives = ["HKEY_LOCAL_MACHINE", ...users.map((name) => `HKEY_USERS\\${name}`), "HKEY_CURRENT_USER"];
      const paths = [
        ...hives.map((hive) => `${hive}\\SOFTWARE\\${suffix}`),
        ...hives.map((hive) => `${hive}\\SOFTWARE\\WOW6432Node\\${suffix}`),
      ];
      return paths.filter((path) => withKey(path, () => true) === true);
    },

    takeFaults() {
      const taken = faults;
      faults = [];
      return taken;
    },
  };
  return tree;
}
