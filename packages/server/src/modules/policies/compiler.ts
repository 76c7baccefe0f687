/**
 * Purpose: compiles policies without holding up the event loop: reading 500 products takes some hundred milliseconds, so it
 * happens in a thread that lives for that one time.
 * Failure: where no thread is to be had (sources without a build, a single executable) the same function runs right here.
 */
import { Worker } from "node:worker_threads";
import { compile, type CompileRequest, type Compiled } from "./compile.ts";

export async function compileAside(request: CompileRequest): Promise<Compiled> {
  return (await inThread(request)) ?? compile(request);
}

/** undefined: no thread to be had. */
function inThread(request: CompileRequest): Promise<Compiled | undefined> {
  const here = String(import.meta.url); // undefined inside a single executable
  const extension = here.slice(here.lastIndexOf("."));
  // Node cannot be relied upon to load TypeScript.
  if (extension !== ".js") return Promise.resolve(undefined);
  return new Promise((resolve) => {
    let worker: Worker;
    try {
      worker = new Worker(new URL("./compile-worker.js", here), { workerData: request });
    } catch {
      return resolve(undefined);
    }
    worker.once("message", (compiled: Compiled) => resolve(compiled));
    worker.once("error", () => resolve(undefined));
    worker.once("exit", () => resolve(undefined));
  });
}
