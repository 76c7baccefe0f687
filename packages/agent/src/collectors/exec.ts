/**
 * Purpose: running a program of this very machine for a collector (`rpm -qa`): no shell, bounded in time and output, in the C locale so
 * that what it says can be parsed.
 * On failure: never rejects; `reason` names why there is no exit status.
 */
import { execFile } from "node:child_process";
import type { Exec } from "./collector.ts";

export const execProgram: Exec = (program, args, { timeoutMs = 30_000, maxBytes = 16 * 1024 * 1024 } = {}) =>
  new Promise((resolve) => {
    const options = {
      timeout: timeoutMs,
      maxBuffer: maxBytes,
      killSignal: "SIGKILL" as const,
      windowsHide: true,
      encoding: "utf8" as const,
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ status: 0, stdout, stderr });
      if (typeof error.code === "number") return resolve({ status: error.code, stdout, stderr });
      const reason = error.code ?? (error.killed === true ? "ETIMEDOUT" : "it was stopped");
      resolve({ status: undefined, stdout, stderr, reason });
    });
  });
