/**
 * Purpose: the registry of a Windows that does not run: a mounted disk or image. Its hives are put together as that Windows would:
 * SOFTWARE and SYSTEM below HKEY_LOCAL_MACHINE (CurrentControlSet is the set that `Select` names), every user's NTUSER.DAT and
 * UsrClass.dat below HKEY_USERS.
 * Invariants: hives are read in place, cell by cell, and closed after the scan's last question; what cannot be read is a fault with the hive's path.
 */
import type { ScanError } from "@daicho/protocol";
import { describeFault, Fault, isAbsent, scanError } from "../findings.ts";
import type { OpenFile, RootedFiles } from "../rooted-files.ts";
import { openHive, type HiveKey } from "./hive.ts";
import type { RegistryTree } from "./tree.ts";
import { valueText } from "./tree.ts";

const maxUsers = 1_000;
/** Of one hive that is read whole: real ones are far below. */
const maxHiveBytes = 512 * 1024 * 1024;

/** undefined where no Windows lies below the root. */
export function openDiskRegistry(files: RootedFiles): RegistryTree | undefined {
  let faults: ScanError[] = [];
  const fault = (file: string, error: unknown): void => {
    const { code, message } = describeFault(error);
    if (faults.some((known) => known.path === file && known.message === message)) return;
    if (faults.length < 100) faults.push(scanError(file, code, message));
  };
  const guarded = <T>(file: string, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      fault(file, error);
      return undefined;
    }
  };

  const at = (path: string): string | undefined => guarded(path, () => spelled(files, path));
  const config = at("/Windows/System32/config") ?? "/Windows/System32/config";
  if (at(`${config}/SOFTWARE`) === undefined && faults.length === 0) return undefined;

  /** Path of a mount point, in lower case, and the key that lies there. */
  const mounts = new Map<string, { readonly path: string; readonly key: HiveKey }>();
  const mount = (path: string, place: string, below: readonly string[] = []): HiveKey | undefined => {
    const file = at(place);
    if (file === undefined) return undefined;
    return guarded(file, () => {
      const hive = openHive(held(files, file), (found) => fault(file, found));
      if (hive.unfinished)
        fault(
          file,
          new Fault("unsupported", "Windows was not shut down: changes that lie in the hive's log are not read"),
        );
      let key: HiveKey | undefined = hive.root;
      for (const name of below) key = key?.child(name);
      if (key !== undefined) mounts.set(path.toLowerCase(), { path, key });
      return hive.root;
    });
  };

  mount("HKEY_LOCAL_MACHINE\\SOFTWARE", `${config}/SOFTWARE`);
  const system = mount("HKEY_LOCAL_MACHINE\\SYSTEM", `${config}/SYSTEM`);
  const set = system && guarded(`${config}/SYSTEM`, () => Number(valueText(system.child("Select")?.values() ?? [], "Current") ?? 1)); // prettier-ignore
  if (set !== undefined)
    mount("HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet", `${config}/SYSTEM`, [`ControlSet${String(set).padStart(3, "0")}`]); // prettier-ignore
  const users: string[] = [];
  for (const profiles of [at("/Users"), at("/Documents and Settings")]) {
    if (users.length > 0 || profiles === undefined) continue;
    for (const entry of guarded(profiles, () => files.list(profiles)) ?? []) {
      if (users.length >= maxUsers) break;
      if (!entry.isDirectory()) continue;
      const path = `HKEY_USERS\\${entry.name}`;
      if (mount(path, `${profiles}/${entry.name}/NTUSER.DAT`) !== undefined) users.push(path);
      mount(`${path}\\SOFTWARE\\Classes`, `${profiles}/${entry.name}/AppData/Local/Microsoft/Windows/UsrClass.dat`);
    }
  }

  /** The key at `path`, by the longest mount point that it lies below. */
  const find = (path: string): HiveKey | undefined => {
    const names = path.split("\\").slice(0, 512);
    for (let depth = names.length; depth > 0; depth--) {
      const found = mounts.get(names.slice(0, depth).join("\\").toLowerCase());
      if (found === undefined) continue;
      let key: HiveKey | undefined = found.key;
      for (const name of names.slice(depth)) key = key?.child(name);
      return key;
    }
    return undefined;
  };

  return {
    subkeys(path) {
      if (path === "") return ["HKEY_LOCAL_MACHINE", "HKEY_USERS"];
      const prefix = `${path}\\`.toLowerCase();
      const mounted = [...mounts]
        .filter(([at]) => at.startsWith(prefix))
        .map(([, { path: at }]) => at.slice(prefix.length).split("\\")[0] ?? "");
      const own = (find(path)?.subkeys() ?? []).map((key) => key.name);
      const seen = new Set<string>();
      return [...own, ...mounted].filter((name) => !seen.has(name.toLowerCase()) && seen.add(name.toLowerCase()));
    },

    values(path) {
      return find(path)?.values() ?? [];
    },

    below(suffix) {
      const hives = ["HKEY_LOCAL_MACHINE", ...users];
      return [
        ...hives.map((hive) => `${hive}\\SOFTWARE\\${suffix}`),
        ...hives.map((hive) => `${hive}\\SOFTWARE\\WOW6432Node\\${suffix}`),
        `HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\${suffix}`,
      ].filter((path) => find(path) !== undefined);
    },

    takeFaults() {
      const taken = faults;
      faults = [];
      return taken;
    },
  };
}

/**
 * The path as the disk spells it: Windows does not tell cases apart, the system that mounted its disk may. `undefined` where there is none.
 * @throws what the system says of a place on the way that it does not let us see.
 */
function spelled(files: RootedFiles, path: string): string | undefined {
  try {
    files.stat(path);
    return path;
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  let here = "";
  for (const part of path.split("/").slice(1)) {
    const wanted = part.toLowerCase();
    const name = namesIn(files, here === "" ? "/" : here).find((one) => one.toLowerCase() === wanted);
    if (name === undefined) return undefined;
    here += `/${name}`;
  }
  return here;
}

function namesIn(files: RootedFiles, directory: string): string[] {
  try {
    return files.list(directory).map((entry) => entry.name);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** The hive in memory: a scan asks it thousands of times, and its file must not stay open. */
function held(files: RootedFiles, file: string): OpenFile {
  const bytes = files.read(file, maxHiveBytes);
  return { size: bytes.length, readAt: (offset, length) => bytes.subarray(offset, offset + length) };
}
