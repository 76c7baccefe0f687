/**
 * Purpose: keeps systeminformation from taking the scan with it. Where PowerShell is missing, forbidden or dies, the library writes into
 * a closed pipe - an exception nobody can catch - or waits for an answer for ever. In a thread both end the thread alone.
 * On failure: rejects, at the latest when the time is up.
 */
import { Worker } from "node:worker_threads";
import type { ScanError } from "@daicho/protocol";
import type { PortableFacts } from "./portable.ts";

export interface IsolatedAnswer {
  readonly facts: PortableFacts;
  readonly errors: readonly ScanError[];
}

/** A cold PowerShell on an old disk takes its time. */
const limitMs = 90_000;

export function readIsolated(
  thread: string | URL = new URL("./portable-thread.js", import.meta.url),
  patienceMs = limitMs,
): Promise<IsolatedAnswer> {
  return new Promise((resolve, reject) => {
    // What the library prints belongs to nobody.
    const worker = new Worker(thread, { stdout: true, stderr: true });
    const end = (settle: () => void): void => {
      clearTimeout(limit);
      settle();
      void worker.terminate();
    };
    const limit = setTimeout(
      () => end(() => reject(new Error(`no answer within ${patienceMs / 1000} seconds`))),
      patienceMs,
    );
    worker.once("message", (answer: IsolatedAnswer) => end(() => resolve(answer)));
    worker.once("error", (error) => end(() => reject(new Error((error as NodeJS.ErrnoException).code ?? error.name))));
    worker.once("exit", () => end(() => reject(new Error("ended without an answer"))));
  });
}
