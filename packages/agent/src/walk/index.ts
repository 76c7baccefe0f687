/**
 * Purpose: the file walk that a dictionary asks for: which of its `file(…)` probes hold on this machine, and on which file.
 * Invariants: runs in slices of the event loop, so that a signal or a timer is heard in between; a polite walk rests after each slice
 * so long that it takes no more than its share of one core. No thread of its own: a process that scans does nothing else, and
 * starting a thread costs it more than a small disk.
 * On failure: never rejects.
 */
import type { Probe } from "@daicho/policy";
import { scanError } from "../collectors/findings.ts";
import { readFileVersion } from "../collectors/pe/file-version.ts";
import { search, type SearchRequest, type SearchResult, type SearchTools } from "./search.ts";

export type { FileVersion, SearchResult } from "./search.ts";

export interface FileProbeQuery {
  readonly probes: readonly Probe[];
  /** The directory to be treated as `/`. */
  readonly root: string;
  readonly live: boolean;
  /** Where to start, inside the root: `["/"]`. */
  readonly starts?: readonly string[];
  /** Globs over paths inside the root. */
  readonly exclude?: readonly string[];
  /** Also enter network and pseudo file systems. */
  readonly crossFileSystems?: boolean;
  readonly maxFiles?: number;
  readonly maxSeconds?: number;
  /** Of one core's time, what the walk may take: `politeShare`, or 1 (the default): as fast as it goes. */
  readonly share?: number;
  /** Replaces the reader of version resources. */
  readonly fileVersion?: SearchTools["fileVersion"];
  readonly signal?: AbortSignal;
}

/** A search in the background takes a twentieth of one core. */
export const politeShare = 0.05;
const sliceMs = 20;

export async function evaluateFileProbes(query: FileProbeQuery): Promise<SearchResult> {
  const request: SearchRequest = {
    probes: query.probes.filter((probe) => probe.kind === "file"),
    root: query.root,
    live: query.live,
    starts: query.starts ?? ["/"],
    exclude: query.exclude ?? [],
    crossFileSystems: query.crossFileSystems ?? false,
    maxFiles: query.maxFiles ?? 10_000_000,
    maxSeconds: query.maxSeconds ?? 3600,
  };
  if (request.probes.length === 0) return nothing([]);
  try {
    return await searchInSlices(request, query.share ?? 1, query.fileVersion ?? readFileVersion, query.signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return nothing([scanError("/", "failed", `the search for files failed: ${reason}`)]);
  }
}

function nothing(errors: SearchResult["errors"]): SearchResult {
  return { hits: [], errors, complete: errors.length === 0, files: 0, directories: 0 };
}

async function searchInSlices(
  request: SearchRequest,
  share: number,
  fileVersion: SearchTools["fileVersion"],
  signal: AbortSignal | undefined,
): Promise<SearchResult> {
  const now = (): number => performance.now();
  const calledOff = (): SearchResult => nothing([scanError("/", "failed", "the search for files was called off")]);
  const isOff = (): boolean => signal?.aborted === true;
  if (isOff()) return calledOff();
  const steps = search(request, { fileVersion, now, platform: process.platform });
  let since = now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    const worked = now() - since;
    if (worked < sliceMs) continue;
    if (isOff()) return calledOff();
    const restMs = restAfter(worked, share);
    await new Promise<void>((resolve) => (restMs > 0 ? setTimeout(resolve, restMs) : setImmediate(resolve)));
    since = now();
  }
}

/** How long to rest after so much work to stay within the share; ten seconds at most. */
export function restAfter(workedMs: number, share: number): number {
  return Math.min(10_000, Math.ceil(workedMs / share - workedMs));
}
