/**
 * Purpose: the `registry(key, value, data)` probes of a dictionary, answered from a live or exported registry.
 * A key names what it means, not where one machine happens to keep it: `HKLM\SOFTWARE\X` is looked for in both views, `HKCU\…` in the
 * hive of every user, `HKCR\…` also below the machine's Classes. The default value is called `@`; `(Default)` is understood too.
 * Invariants: an exact key costs a handful of look-ups; a glob walks only below its fixed beginning, and all globs together at most
 * `budget` keys - then an error names the probe. One hit per probe: the first in the order of keys and values.
 * Hives mounted under another name are not searched: nothing says whose they are.
 */
import type { ProbeHit, ScanError } from "@daicho/protocol";
import { satisfies, type Probe } from "@daicho/policy";
import { scanError } from "../findings.ts";
import type { WantsKey } from "./offline.ts";
import type { RegistryTree } from "./tree.ts";

export interface RegistryProbeQuery {
  readonly probes: readonly Probe[];
  /** undefined: this machine has no registry, and no probe holds. */
  readonly tree: RegistryTree | undefined;
  /** Keys that may be visited for globs. */
  readonly budget?: number;
}

export interface ProbeAnswers {
  readonly hits: ProbeHit[];
  readonly errors: ScanError[];
}

const defaultBudget = 200_000;
const maxDepth = 64;

export function evaluateRegistryProbes({ probes, tree, budget = defaultBudget }: RegistryProbeQuery): ProbeAnswers {
  const hits: ProbeHit[] = [];
  const errors: ScanError[] = [];
  if (tree === undefined) return { hits, errors };
  let left = budget;
  for (const probe of probes) {
    if (probe.kind !== "registry") continue;
    const { prefix, exact } = startOf(probe);
    const places = placesOf(tree, prefix);
    let found: ProbeHit["found"] | undefined;
    if (exact) {
      for (const place of places) found ??= answer(tree, probe, place);
    } else {
      const pending = [...places].reverse();
      for (let path = pending.pop(); path !== undefined && found === undefined; path = pending.pop()) {
        if (left-- <= 0) break;
        found = answer(tree, probe, path);
        if (found !== undefined || path.split("\\").length > maxDepth) continue;
        pending.push(...[...tree.subkeys(path)].sort(descending).map((name) => `${path}\\${name}`));
      }
      if (left < 0 && found === undefined) {
        errors.push(scanError(prefix, "too-large", `more than ${budget} keys to search; not answered: ${probe.text}`));
      }
    }
    if (found !== undefined) hits.push({ probe: probe.text, found });
  }
  errors.push(...tree.takeFaults());
  return { hits, errors };
}

/** Which keys of an export have to be kept so that these probes can be answered. */
export function keysOfProbes(probes: readonly Probe[]): WantsKey {
  const prefixes = new Set<string>();
  for (const probe of probes) if (probe.kind === "registry") prefixes.add(withoutHive(startOf(probe).prefix));
  if (prefixes.size === 0) return () => false;
  if (prefixes.has("")) return () => true;
  return (path) => {
    for (const known of aliases(path.slice(0, -1))) {
      const key = withoutHive(fold(known));
      if (prefixes.has(key)) return true;
      for (let at = key.indexOf("\\"); at !== -1; at = key.indexOf("\\", at + 1)) {
        if (prefixes.has(key.slice(0, at))) return true;
      }
    }
    return false;
  };
}

/** The part of the probe's key before any wildcard, folded, with its hive's full name; `exact`: it is the whole key. */
function startOf(probe: Probe): { prefix: string; exact: boolean } {
  let best = { prefix: "", exact: false };
  for (const { field, op, value } of probe.comparisons) {
    if (field !== "key" || (op !== "=" && op !== "~")) continue;
    const key = fold(value);
    const wildcard = op === "~" ? key.search(/[*?]/) : -1;
    const found =
      wildcard === -1
        ? { prefix: key, exact: true }
        : { prefix: key.slice(0, Math.max(0, key.lastIndexOf("\\", wildcard))), exact: false };
    if (found.exact || found.prefix.length > best.prefix.length) best = found;
    if (found.exact) break;
  }
  return best;
}

/** Every path at which the folded key can lie. */
function placesOf(tree: RegistryTree, key: string): string[] {
  const users = tree.subkeys("HKEY_USERS").filter((name) => !/_classes$/i.test(name));
  const userHives = [...users.map((name) => `HKEY_USERS\\${name}`), "HKEY_CURRENT_USER"];
  const rest = withoutHive(key);
  const below = (hive: string, path = rest): string => (path === "" ? hive : `${hive}\\${path}`);
  let paths: string[];
  if (rest === key) paths = ["HKEY_LOCAL_MACHINE", ...userHives].map((hive) => below(hive));
  else if (key.startsWith("hkey_current_user")) paths = userHives.map((hive) => below(hive));
  else if (key.startsWith("hkey_classes_root"))
    paths = [
      below("HKEY_CLASSES_ROOT"),
      below("HKEY_LOCAL_MACHINE\\SOFTWARE\\Classes"),
      ...userHives.map((hive) => below(`${hive}\\Software\\Classes`)),
    ];
  else paths = [key];
  return paths.flatMap((path) => {
    const narrow = path.replace(/^((?:[^\\]+\\){1,2}software)(?=\\|$)/i, "$1\\WOW6432Node");
    return narrow === path || /\\wow6432node(\\|$)/i.test(path) ? [path] : [path, narrow];
  });
}

/** What of the key at `path` satisfies the probe. */
function answer(tree: RegistryTree, probe: Probe, path: string): ProbeHit["found"] | undefined {
  const values = tree.values(path);
  const named = probe.comparisons.some((c) => c.field !== "key");
  if (!named) {
    if (values.length === 0 && tree.subkeys(path).length === 0 && !exists(tree, path)) return undefined;
    return aliases(path).some((key) => satisfies(probe, { key })) ? { key: path.slice(0, 4096) } : undefined;
  }
  for (const { name, text } of values) {
    const names = name === "" ? ["@", "(Default)"] : [name];
    for (const key of aliases(path)) {
      for (const value of names) {
        if (!satisfies(probe, { key, value, data: text })) continue;
        return { key: path.slice(0, 4096), value: value.slice(0, 4096), data: text.slice(0, 4096) };
      }
    }
  }
  return undefined;
}

/** A key without values and subkeys is still there: its parent names it. */
function exists(tree: RegistryTree, path: string): boolean {
  const cut = path.lastIndexOf("\\");
  const name = path.slice(cut + 1).toLowerCase();
  return tree.subkeys(path.slice(0, Math.max(0, cut))).some((sibling) => sibling.toLowerCase() === name);
}

/** The names under which a policy may speak of the key at `path`. */
function aliases(path: string): string[] {
  const names = [path];
  const wide = path.replace(/\\wow6432node(?=\\|$)/i, "");
  if (wide !== path) names.push(wide);
  for (const name of [...names]) {
    const user = /^HKEY_USERS\\[^\\]+(?=\\|$)/i.exec(name)?.[0];
    if (user !== undefined) names.push(`HKEY_CURRENT_USER${name.slice(user.length)}`);
  }
  for (const name of [...names]) {
    const classes = /^HKEY_(?:LOCAL_MACHINE|CURRENT_USER)\\software\\classes(?=\\|$)/i.exec(name)?.[0];
    if (classes !== undefined) names.push(`HKEY_CLASSES_ROOT${name.slice(classes.length)}`);
  }
  return names;
}

const hives: Readonly<Record<string, string>> = {
  hklm: "hkey_local_machine",
  hkcu: "hkey_current_user",
  hkcr: "hkey_classes_root",
  hku: "hkey_users",
  hkcc: "hkey_current_config",
};

/** As names compare everywhere (full- and half-width forms and case alike), with the hive's full name. */
function fold(key: string): string {
  const text = key
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\\/]+/g, "\\")
    .replace(/^computer\\/, "")
    .replace(/\\$/, "");
  const hive = text.split("\\", 1)[0] ?? "";
  const full = Object.hasOwn(hives, hive) ? hives[hive] : undefined;
  return full === undefined ? text : full + text.slice(hive.length);
}

function withoutHive(key: string): string {
  return key.replace(/^hkey_[a-z_]+(?:\\|$)/, "");
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
