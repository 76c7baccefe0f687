/**
 * Purpose: running a program of this machine for a collector (rpm's query).
 * Invariants: no shell, a fixed search path and the C locale, so neither the caller's PATH nor language decides; bounded in time and
 * output. Never rejects: what went wrong is in the result.
 */
import { execFile } from "node:child_process";
import type { Exec } from "../collectors/collector.ts";

const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin";

export const runProgram: Exec = (program, args, { timeoutMs = 30_000, maxBytes = 16 * 1024 * 1024 } = {}) =>
  new Promise((resolve) => {
    const env = { PATH: searchPath, LC_ALL: "C.UTF-8", HOME: "/" };
    const options = { env, timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: maxBytes, windowsHide: true } as const;
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr });
      else if (typeof error.code === "number") resolve({ status: error.code, stdout, stderr });
      else
        resolve({
          status: undefined,
          stdout,
          stderr,
          reason: error.killed === true ? "stopped" : (error.code ?? "failed"),
        });
    });
    child.stdin?.end();
  });
