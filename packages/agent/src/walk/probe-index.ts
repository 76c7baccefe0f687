/**
 * Purpose: the file probes of a dictionary, arranged so that a walk over hundreds of thousands of files pays one hash look-up per base
 * name: by exact name where a probe tells one (also as the end of its path), else by a glob on the base name.
 * Each probe is cut into stages by what their facts cost: name and path are known, size needs a stat, version, product and company
 * need the file's headers, the SHA-256 all of it. A later stage is entered only when the earlier ones hold.
 * Invariants: a file that satisfies a probe is always among its candidates; names compare as @daicho/policy folds them.
 */
import { compileGlob, foldName, foldPath, matchGlob, satisfies, type Glob, type Probe } from "@daicho/policy";

/** Cheapest first. */
const stageFields = [["name", "path"], ["size"], ["version", "product", "company"], ["sha256"]] as const;
export type Fields = Record<string, string | undefined>;

export interface FileProbe {
  /** Canonical text. */
  readonly text: string;
  /** Does the stage ask for anything, and does the file satisfy it? */
  readonly place: (fields: Fields) => boolean;
  readonly size: Stage;
  readonly resource: Stage;
  readonly hash: Stage;
}

/** `undefined`: the probe asks for nothing of this stage. */
export type Stage = ((fields: Fields) => boolean) | undefined;

export interface ProbeIndex {
  readonly empty: boolean;
  /** The probes that a file of this base name may satisfy; `undefined` is the usual answer. */
  candidates(name: string): readonly FileProbe[] | undefined;
}

export function indexProbes(probes: readonly Probe[]): ProbeIndex {
  const exact = new Map<string, FileProbe[]>();
  const globs: { glob: Glob; probe: FileProbe }[] = [];
  for (const probe of probes) {
    if (probe.kind !== "file") continue;
    const anchor = anchorOf(probe);
    const compiled = compile(probe);
    if (typeof anchor !== "string") globs.push({ glob: anchor, probe: compiled });
    else {
      const others = exact.get(anchor);
      if (others === undefined) exact.set(anchor, [compiled]);
      else others.push(compiled);
    }
  }
  return {
    empty: exact.size === 0 && globs.length === 0,
    candidates(name) {
      const folded = foldName(name);
      const byName = exact.get(folded);
      if (globs.length === 0) return byName;
      let found: FileProbe[] | undefined;
      for (const { glob, probe } of globs) if (matchGlob(glob, folded)) (found ??= []).push(probe);
      return found === undefined ? byName : byName === undefined ? found : [...byName, ...found];
    },
  };
}

/** What the base name must be (text) or look like (glob). */
function anchorOf({ comparisons }: Probe): string | Glob {
  const value = (field: string, op: string): string | undefined =>
    comparisons.find((comparison) => comparison.field === field && comparison.op === op)?.value;
  const name = value("name", "=");
  if (name !== undefined) return foldName(name);
  const path = value("path", "=");
  if (path !== undefined) return lastPart(foldPath(path));
  const pattern = value("name", "~");
  if (pattern !== undefined) return compileGlob(foldName(pattern));
  // `*` of a path glob also stands for separators: only what follows the last separator and the last `*` is sure to be in the name.
  const tail = lastPart(foldPath(value("path", "~") ?? "*"));
  if (!/[*?]/.test(tail)) return tail;
  return compileGlob(`*${tail.slice(tail.lastIndexOf("*") + 1)}`);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function compile(probe: Probe): FileProbe {
  const stage = (fields: readonly string[]): Stage => {
    const comparisons = probe.comparisons.filter((comparison) => fields.includes(comparison.field));
    if (comparisons.length === 0) return undefined;
    const part: Probe = { ...probe, comparisons };
    return (found) => satisfies(part, found);
  };
  const [place, size, resource, hash] = stageFields.map(stage);
  return { text: probe.text, place: place ?? (() => true), size, resource, hash };
}
