/**
 * Purpose: the walk itself: every directory below the starting places once, and for files whose name a probe asks for, the facts the
 * probe asks for, cheapest first.
 * Invariants: links to directories are never followed, so there are no loops; a link to a file counts as that file. Doors to network
 * and pseudo file systems stay shut (mounts.ts). Of several files that satisfy a probe, the one with the smallest path is the hit,
 * so that the same disk always gives the same answer. Paths in results are as seen inside the root.
 * Pace: this is a generator that pauses after each directory and each megabyte hashed; whoever drives it decides how fast.
 * On failure: a directory or file that cannot be read is a ScanError (100 at most, then a count) and the walk goes on. A spent budget
 * is a ScanError too, and `complete` is false.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync, type Dirent } from "node:fs";
import { join, sep } from "node:path";
import { compileGlob, foldPath, matchGlob, type Probe } from "@daicho/policy";
import type { ProbeHit, ScanError } from "@daicho/protocol";
import { createFindings, type Findings } from "../collectors/findings.ts";
import { rootedFiles, type RootedFiles } from "../collectors/rooted-files.ts";
import { doors, type IsDoor } from "./mounts.ts";
import { indexProbes, type Fields, type FileProbe } from "./probe-index.ts";

export interface SearchRequest {
  readonly probes: readonly Probe[];
  /** The directory to be treated as `/`. */
  readonly root: string;
  /** Is `root` this running machine? */
  readonly live: boolean;
  /** Where to start, inside the root. */
  readonly starts: readonly string[];
  /** Globs over paths inside the root; what matches is neither entered nor looked at. Without a wildcard: that place and all below. */
  readonly exclude: readonly string[];
  readonly crossFileSystems: boolean;
  readonly maxFiles: number;
  readonly maxSeconds: number;
}

export interface FileVersion {
  readonly version?: string;
  readonly product?: string;
  readonly company?: string;
}

export interface SearchTools {
  /** What a program file says of itself; host path. May throw an errno error or a Fault. */
  readonly fileVersion: (hostPath: string) => FileVersion | undefined;
  /** Milliseconds, rising. */
  readonly now: () => number;
  readonly platform: NodeJS.Platform;
}

export interface SearchResult {
  readonly hits: ProbeHit[];
  readonly errors: ScanError[];
  /** False when a budget ended the walk. */
  readonly complete: boolean;
  readonly files: number;
  readonly directories: number;
}

export function* search(request: SearchRequest, tools: SearchTools): Generator<undefined, SearchResult> {
  const index = indexProbes(request.probes);
  const findings = createFindings();
  const best = new Map<string, { path: string; found: Record<string, string> }>();
  const rooted = rootedFiles(request.root, request.live);
  const deadline = tools.now() + request.maxSeconds * 1000;
  const excluded = compileExclusions(request.exclude);
  let files = 0;
  let directories = 0;
  let complete = true;

  for (const start of index.empty ? [] : distinctStarts(request.starts, rooted, findings)) {
    const isDoor: IsDoor = request.crossFileSystems ? () => false : doors(start.host, tools.platform);
    const pending = [start.host];
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      const inside = start.inside(directory);
      const entries = readDirectory(directory, inside, findings);
      directories++;
      const base = directory.endsWith(sep) ? directory : directory + sep;
      for (const entry of entries) {
        const { name } = entry;
        if (entry.isDirectory()) {
          const path = base + name;
          if (excluded !== undefined && excluded(start.inside(path))) continue;
          if (name.includes("\ufffd"))
            findings.error(start.inside(path), "unreadable", "its name is not UTF-8; it was not searched");
          else if (!isDoor(path)) pending.push(path);
          continue;
        }
        files++;
        const candidates = index.candidates(name);
        if (candidates === undefined) continue;
        const path = base + name;
        if (excluded !== undefined && excluded(start.inside(path))) continue;
        yield* examine(entry, path, start.inside(path), candidates, { best, rooted, findings, tools });
      }
      if (files > request.maxFiles || tools.now() > deadline) {
        if (pending.length === 0) break;
        const spent = files > request.maxFiles ? `${request.maxFiles} files` : `${request.maxSeconds} seconds`;
        findings.error(inside, "too-large", `the search ended here after ${spent}; what follows was not looked at`);
        complete = false;
        break;
      }
      yield;
    }
    if (!complete) break;
  }

  const hits = [...best].map(([probe, { found }]) => ({ probe, found }));
  hits.sort((a, b) => (a.probe < b.probe ? -1 : 1));
  return { hits, errors: findings.result().errors, complete, files, directories };
}

interface Start {
  readonly host: string;
  /** The path inside the root of a host path below this start. */
  inside(hostPath: string): string;
}

/** Starting places that exist, without those that lie below another one. */
function distinctStarts(starts: readonly string[], rooted: RootedFiles, findings: Findings): Start[] {
  const found = new Map<string, Start>();
  const prefix = rooted.realPath("/");
  for (const start of starts) {
    const host = findings.attempt(start, () => rooted.realPath(start));
    if (host === undefined) continue;
    // Inside paths on the live machine are host paths; below an offline root they begin where the root ends.
    const inside = (path: string): string => {
      if (rooted.direct) return path;
      const rest = path.slice(prefix === sep ? 0 : prefix.length);
      return rest === "" ? "/" : sep === "/" ? rest : rest.replaceAll(sep, "/");
    };
    found.set(host, { host, inside });
  }
  const below = (path: string, other: string): boolean => path.startsWith(other.endsWith(sep) ? other : other + sep);
  return [...found.values()].filter(
    ({ host }) => ![...found.keys()].some((other) => other !== host && below(host, other)),
  );
}

function readDirectory(directory: string, inside: string, findings: Findings): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    findings.attempt(inside, () => {
      throw error;
    });
    return [];
  }
}

interface Examination {
  readonly best: Map<string, { path: string; found: Record<string, string> }>;
  readonly rooted: RootedFiles;
  readonly findings: Findings;
  readonly tools: SearchTools;
}

/** One file against the probes that its name suggests. */
function* examine(
  entry: Dirent,
  host: string,
  inside: string,
  candidates: readonly FileProbe[],
  { best, rooted, findings, tools }: Examination,
): Generator<undefined, void> {
  if (!entry.isFile() && !entry.isSymbolicLink()) return;
  if (inside.length > 4096) return findings.error(inside, "too-large", "the path is too long");
  const fields: Fields = { name: entry.name, path: inside };
  let open: { fd: number; target: string } | undefined;
  let resourceRead = false;
  try {
    for (const probe of candidates) {
      const known = best.get(probe.text);
      if (known !== undefined && known.path <= inside) continue;
      // A policy speaks of a Windows disk with its drive's letter, wherever it is mounted now.
      if (!probe.place(fields) && (rooted.direct || !probe.place({ ...fields, path: `C:${inside}` }))) continue;
      if (fields["size"] === undefined) {
        open = openRegular(entry, host, inside, rooted, findings);
        if (open === undefined) return;
        fields["size"] = String(fstatSync(open.fd).size);
      }
      if (open === undefined || probe.size?.(fields) === false) continue;
      if (probe.resource !== undefined && !resourceRead) {
        resourceRead = true;
        readResource(open.target, inside, fields, findings, tools);
      }
      if (probe.resource?.(fields) === false) continue;
      if (probe.hash !== undefined && fields["sha256"] === undefined) {
        fields["sha256"] = yield* hashFile(open.fd, inside, findings);
      }
      if (probe.hash?.(fields) === false) continue;
      if (!resourceRead) {
        // Not asked for, but worth knowing: the version found is the evidence an administrator looks for.
        resourceRead = true;
        readResource(open.target, inside, fields, findings, tools);
      }
      best.set(probe.text, { path: inside, found: evidence(fields) });
    }
  } finally {
    if (open !== undefined) closeSync(open.fd);
  }
}

/** Opens a regular file, or the one a link leads to (inside the root); anything else is no candidate. */
function openRegular(
  entry: Dirent,
  host: string,
  inside: string,
  rooted: RootedFiles,
  findings: Findings,
): { fd: number; target: string } | undefined {
  return findings.attempt(inside, () => {
    const target = entry.isSymbolicLink() ? rooted.realPath(rooted.direct ? host : inside) : host;
    // A link may lead to a device, and opening one can already do something.
    if (entry.isSymbolicLink() && !lstatSync(target).isFile()) return undefined;
    const fd = openSync(target, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
    if (fstatSync(fd).isFile()) return { fd, target };
    closeSync(fd);
    return undefined;
  });
}

function readResource(target: string, inside: string, fields: Fields, findings: Findings, tools: SearchTools): void {
  const resource = findings.attempt(inside, () => tools.fileVersion(target));
  for (const field of ["version", "product", "company"] as const) fields[field] = resource?.[field];
}

const chunk = 1024 * 1024;

function* hashFile(fd: number, inside: string, findings: Findings): Generator<undefined, string | undefined> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(chunk);
  for (let offset = 0; ;) {
    const at = offset;
    const count = findings.attempt(inside, () => readSync(fd, buffer, 0, chunk, at));
    if (count === undefined) return undefined;
    if (count === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
    offset += count;
    yield;
  }
}

function evidence(fields: Fields): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [field, value] of Object.entries(fields)) {
    if (value !== undefined && value !== "" && value.length <= 4096) found[field] = value;
  }
  return found;
}

function compileExclusions(patterns: readonly string[]): ((inside: string) => boolean) | undefined {
  if (patterns.length === 0) return undefined;
  const globs = patterns.map((pattern) => compileGlob(foldPath(join(pattern, ".")).replace(/(?<=.)\/+$/, "")));
  return (inside) => {
    const path = foldPath(inside);
    return globs.some((glob) =>
      glob.literal ? path === glob.pattern || path.startsWith(`${glob.pattern}/`) : matchGlob(glob, path),
    );
  };
}
