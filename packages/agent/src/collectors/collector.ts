/**
 * Purpose: the one contract every collector fulfils. A collector reads the titles of one source (dpkg, registry, app bundles …)
 * as found, from the running machine or from a disk mounted at `root`.
 * Invariants: `collect` never throws and never keeps silent: a place that cannot be read or understood is a ScanError whose
 * path is the one seen inside the root; a place that does not exist is nothing at all; one broken record never costs the other
 * records of its file. Nothing from an offline root is ever executed. Lists are bounded: at most `maxErrors` errors.
 * On failure: whatever escapes a collector all the same becomes one ScanError, made by `runCollector`.
 */
import type { Clock } from "@daicho/kernel";
import type { ScanError, Title } from "@daicho/protocol";

export interface CollectContext {
  /** The directory to be treated as `/`; an absolute host path. */
  readonly root: string;
  /** Is `root` this running machine? Commands are run and the live registry is read only then. */
  readonly live: boolean;
  /** The platform of the scanning machine. An offline root may hold any system, so file collectors ignore it there. */
  readonly platform: NodeJS.Platform;
  /** Exported registry text to read in place of the live registry. */
  readonly registryFiles?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Runs a program of the live machine; absent when none may be run. */
  readonly exec?: Exec;
}

export interface CollectResult {
  readonly titles: Title[];
  readonly errors: ScanError[];
}

export interface Collector {
  readonly name: string;
  /** Live scans run the collector on these platforms only; absent = everywhere. Offline roots are offered to every collector. */
  readonly platforms?: readonly NodeJS.Platform[];
  collect(context: CollectContext): Promise<CollectResult> | CollectResult;
}

export interface ExecResult {
  /** Exit status; `undefined` when the program could not be started (`reason` says why: ENOENT …) or was stopped. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly reason?: string;
}

/** Never rejects. No shell; bounded in time and in output. */
export type Exec = (
  program: string,
  args: readonly string[],
  options?: { timeoutMs?: number; maxBytes?: number },
) => Promise<ExecResult>;

export const maxErrors = 100;

/** Runs one collector if this scan is any of its business; turns even a thrown fault into a ScanError. */
export async function runCollector(collector: Collector, context: CollectContext): Promise<CollectResult> {
  if (context.live && collector.platforms !== undefined && !collector.platforms.includes(context.platform)) {
    return { titles: [], errors: [] };
  }
  try {
    return await collector.collect(context);
  } catch (error) {
    const message = `the ${collector.name} collector failed: ${error instanceof Error ? error.message : String(error)}`;
    return { titles: [], errors: [{ path: "/", code: "failed", message: message.slice(0, 1024) }] };
  }
}
