/**
 * Purpose: scanning with everything this package can read. The CLI and the resident agent come in here.
 */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { systemClock } from "@daicho/kernel";
import type { Probe } from "@daicho/policy";
import { collectors } from "../collectors/index.ts";
import { createMsixCollector } from "../collectors/msix/index.ts";
import { registry, type ProbeAnswers } from "../collectors/registry/index.ts";
import { evaluateFileProbes } from "../walk/index.ts";
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
    async collectHardware({ root, live }) {
      const machineId = await readFile(join(root, "etc/machine-id"), "utf8").catch(() => undefined);
      return { hardware: {}, hostname: live ? hostname() : undefined, machineId, errors: [] };
    },
    walkFiles: evaluateFileProbes,
    clock: systemClock,
    platform: process.platform,
    env: process.env,
  };
}

export type { ScanOptions, ScanResult, WalkOptions } from "./scan.ts";
