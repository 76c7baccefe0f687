/**
 * Purpose: scans in a child process of low priority. Its memory goes back to the system when it ends; the resident's event
 * loop stays free; a scan that crashes or hangs takes nothing with it.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { validateInventory, validator, ProbeHits, ScanError } from "@daicho/protocol";
import { writeFileAtomic } from "@daicho/uplink";
import { agentErrors } from "../errors.ts";
import { isTexts } from "../report/facts.ts";
import type { ScanAnswer, ScanPort } from "./scan-port.ts";

export interface ScanProcessOptions {
  /** Directory for request and answer. */
  readonly dir: string;
  /** Program and arguments before the two file names. Default: this Node with scan-entry.js; a single executable gives its own. */
  readonly command?: readonly [string, ...string[]];
}

/** Beyond what the file walk may take. */
const graceMs = 10 * 60_000;
const checkHits = validator(ProbeHits);
const checkError = validator(ScanError);

export function createScanProcess(options: ScanProcessOptions): ScanPort {
  const command = options.command ?? [
    process.execPath,
    "--max-semi-space-size=2",
    fileURLToPath(new URL("./scan-entry.js", import.meta.url)),
  ];
  return async (request, signal) => {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    const requestFile = join(options.dir, "scan-request.json");
    const answerFile = join(options.dir, "scan-answer.json");
    try {
      await rm(answerFile, { force: true });
      await writeFileAtomic(requestFile, JSON.stringify(request));
      await run([...command, requestFile, answerFile], request.walk.maxMilliseconds + graceMs, signal);
      return parseAnswer(await readFile(answerFile, "utf8"), request.kind);
    } catch (error) {
      if ((error as { code?: string }).code === "scan-failed") throw error;
      const reason = (error as NodeJS.ErrnoException).code ?? "answer not valid";
      throw agentErrors.make("scan-failed", { reason }, { cause: error });
    } finally {
      await rm(requestFile, { force: true });
      await rm(answerFile, { force: true });
    }
  };
}

function run([program, ...args]: readonly string[], limitMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => reject(agentErrors.make("scan-failed", { reason }));
    if (signal?.aborted === true) return fail("stopped");
    const child = spawn(program ?? "", args, { stdio: ["ignore", "ignore", "inherit"], windowsHide: true });
    const kill = (): void => void child.kill("SIGKILL");
    const limit = setTimeout(kill, limitMs);
    signal?.addEventListener("abort", kill, { once: true });
    child.on("spawn", () => lowerPriority(child.pid));
    child.on("error", (error) => fail((error as NodeJS.ErrnoException).code ?? "not started"));
    child.on("close", (status, killedBy) => {
      clearTimeout(limit);
      signal?.removeEventListener("abort", kill);
      if (status === 0) resolve();
      else
        fail(signal?.aborted === true ? "stopped" : killedBy === null ? `status ${status}` : `killed by ${killedBy}`);
    });
  });
}

function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Ended already, or a system that does not let us; a scan is polite by itself.
  }
}

function parseAnswer(text: string, kind: "scan" | "probes"): ScanAnswer {
  const answer = JSON.parse(text) as Readonly<Record<keyof ScanAnswer, unknown>>;
  const invalid = (what: string): Error => agentErrors.make("scan-failed", { reason: `${what} not valid` });
  const hits = checkHits(answer.hits);
  if (!hits.ok) throw invalid(`hits${hits.faults[0]?.path ?? ""}`);
  const { probes, dictionary, errors } = answer;
  if (!isTexts(probes)) throw invalid("probes");
  if (!Number.isSafeInteger(dictionary)) throw invalid("dictionary");
  if (!Array.isArray(errors) || !errors.every((error) => checkError(error).ok)) throw invalid("errors");
  const rest = { hits: hits.value, probes, dictionary: dictionary as number, errors: errors as ScanError[] };
  if (kind === "probes") return rest;
  const inventory = validateInventory(answer.inventory);
  if (!inventory.ok) throw invalid(`inventory${inventory.faults[0]?.path ?? ""}`);
  return { inventory: inventory.value, ...rest };
}
