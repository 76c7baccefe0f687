/**
 * Purpose: the file walk that a dictionary asks for: which of its `file(…)` probes hold on this machine, and on which file.
 * Invariants: runs in a worker thread unless told otherwise, so the agent goes on answering; polite unless told otherwise (20 ms of work, 20 ms of rest).
 * On failure: never rejects. Where a worker cannot be started (a single executable, sources without a build) the same walk runs in
 * pieces on the event loop.
 */
import { Worker } from "node:worker_threads";
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
  /** Milliseconds of work and of rest in turn; `false`: as fast as it goes. */
  readonly pace?: Pace | false;
  /** False: on the event loop. A process that only scans saves the time that a thread takes to load its modules. */
  readonly thread?: boolean;
  /** Replaces the reader of version resources; then the walk runs on the event loop. */
  readonly fileVersion?: SearchTools["fileVersion"];
  readonly signal?: AbortSignal;
}

export interface Pace {
  readonly workMs: number;
  readonly restMs: number;
}

export interface WorkerTask {
  readonly request: SearchRequest;
  readonly pace: Pace | false;
}

const politePace: Pace = { workMs: 20, restMs: 20 };
/** A walk on the event loop leaves room for others even when it is not to be polite. */
const sharedPace: Pace = { workMs: 20, restMs: 0 };

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
  const pace = query.pace ?? politePace;
  if (request.probes.length === 0) return nothing([]);
  try {
    if (query.fileVersion === undefined && query.thread !== false) {
      const result = await searchInWorker({ request, pace }, query.signal);
      if (result !== undefined) return result;
    }
    return await searchHere(request, pace || sharedPace, query.fileVersion ?? readFileVersion, query.signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return nothing([scanError("/", "failed", `the search for files failed: ${reason}`)]);
  }
}

function nothing(errors: SearchResult["errors"]): SearchResult {
  return { hits: [], errors, complete: errors.length === 0, files: 0, directories: 0 };
}

/** `undefined`: no worker to be had. */
function searchInWorker(task: WorkerTask, signal: AbortSignal | undefined): Promise<SearchResult | undefined> {
  const here = String(import.meta.url); // undefined inside a single executable
  const extension = here.slice(here.lastIndexOf("."));
  if (extension === ".ts") return Promise.resolve(undefined); // Node cannot be relied upon to load TypeScript
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = new Worker(new URL(`./worker${extension}`, here), { workerData: task });
    } catch {
      return resolve(undefined);
    }
    const abort = (): void => {
      void worker.terminate();
      resolve(nothing([scanError("/", "failed", "the search for files was called off")]));
    };
    if (signal?.aborted === true) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    worker.once("message", (result: SearchResult) => resolve(result));
    worker.once("error", () => resolve(undefined));
    worker.once("exit", () => {
      signal?.removeEventListener("abort", abort);
      resolve(undefined);
    });
  });
}

async function searchHere(
  request: SearchRequest,
  pace: Pace,
  fileVersion: SearchTools["fileVersion"],
  signal: AbortSignal | undefined,
): Promise<SearchResult> {
  const steps = search(request, { fileVersion, now: () => performance.now(), platform: process.platform });
  let since = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - since < pace.workMs) continue;
    if (signal?.aborted === true) return nothing([scanError("/", "failed", "the search for files was called off")]);
    await new Promise<void>((resolve) => (pace.restMs > 0 ? setTimeout(resolve, pace.restMs) : setImmediate(resolve)));
    since = performance.now();
  }
}
