/**
 * Purpose: scanning with everything this package can read. The CLI and the resident agent come in here.
 */
import { systemClock } from "@daicho/kernel";
import type { Probe } from "@daicho/policy";
import { collectors } from "../collectors/index.ts";
import { collectHardware } from "../collectors/hardware/index.ts";
import { createMsixCollector } from "../collectors/msix/index.ts";
import { registry, type ProbeAnswers } from "../collectors/registry/index.ts";
import { evaluateFileProbes } from "../walk/index.ts";
import { runProgram } from "./exec.ts";
import { rescanProbesWith, scanWith, type ScanOptions, type ScanParts, type ScanResult } from "./scan.ts";

/** One scan. Never rejects for anything that is wrong with the scanned machine: see scan.errors. */
export function scan(options: ScanOptions = {}): Promise<ScanResult> {
  return scanWith(machineParts(), options);
}

/** Just the machine probes of a dictionary. */
export function rescanProbes(options: ScanOptions, probes: readonly Probe[]): Promise<ProbeAnswers> {
  return rescanProbesWith(machineParts(), options, probes);
}

function machineParts(): ScanParts {
  return {
    collectors,
    exportCollectors: [registry, createMsixCollector({ disk: false })],
    collectHardware,
    walkFiles: evaluateFileProbes,
    clock: systemClock,
    platform: process.platform,
    env: process.env,
    exec: runProgram,
  };
}

export type { ScanOptions, ScanResult, WalkOptions } from "./scan.ts";
