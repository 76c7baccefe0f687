/**
 * Purpose: the thread in which the walk runs; takes one WorkerTask, answers with one SearchResult.
 * Invariants: rests by sleeping, for nothing else happens in this thread. On Linux a polite walk also yields to everything else that
 * wants a processor: a priority belongs to one thread there, elsewhere to the process, which must not be slowed down.
 */
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { readFileVersion } from "../collectors/pe/file-version.ts";
import type { WorkerTask } from "./index.ts";
import { search } from "./search.ts";

const { request, pace } = workerData as WorkerTask;
const now = (): number => performance.now();
const steps = search(request, { fileVersion: readFileVersion, now, platform: process.platform });
const bell = new Int32Array(new SharedArrayBuffer(4));

if (pace !== false && process.platform === "linux") {
  try {
    setPriority(19);
  } catch {
    // a sandbox may forbid it; the pace alone is polite enough
  }
}

let since = now();
let step = steps.next();
while (step.done !== true) {
  if (pace !== false && now() - since >= pace.workMs) {
    Atomics.wait(bell, 0, 0, pace.restMs);
    since = now();
  }
  step = steps.next();
}
parentPort?.postMessage(step.value);
