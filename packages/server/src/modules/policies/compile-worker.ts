/** Purpose: the thread in which policies are compiled; takes one CompileRequest, answers with one Compiled. */
import { parentPort, workerData } from "node:worker_threads";
import { compile, type CompileRequest } from "./compile.ts";

parentPort?.postMessage(compile(workerData as CompileRequest));
