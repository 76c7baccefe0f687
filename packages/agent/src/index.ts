/**
 * Purpose: what the rest of Daicho sees of the agent. Whatever reads a machine is loaded when it is first used: a resident agent
 * scans in a process of its own and has no room for collectors.
 */
import type { ScanPort } from "./resident/scan-port.ts";

/** One scan. Never rejects for anything that is wrong with the scanned machine: see scan.errors. */
export const scan: typeof import("./recognise/index.ts").scan = async (options) =>
  (await import("./recognise/index.ts")).scan(options);

/** Just the machine probes of a dictionary. */
export const rescanProbes: typeof import("./recognise/index.ts").rescanProbes = async (options, probes) =>
  (await import("./recognise/index.ts")).rescanProbes(options, probes);

/** A resident's scan, in this very process instead of one of its own. */
export const scanHere: ScanPort = async (request) => (await import("./resident/scan-child.ts")).scanHere(request);

/** The child's side of `createScanProcess`, for a single executable that is its own child. */
export const runScanChild: typeof import("./resident/scan-child.ts").runScanChild = async (requestFile, answerFile) =>
  (await import("./resident/scan-child.ts")).runScanChild(requestFile, answerFile);

export { agentErrors } from "./errors.ts";
export { evidenceHash, machineEvidence } from "./identity/evidence.ts";
export { createAgent, type Agent, type AgentOptions, type RunOnceResult } from "./resident/agent.ts";
export { agentConfigSchema, loadAgentConfig, type AgentConfig } from "./resident/config.ts";
export { createScanProcess, type ScanProcessOptions } from "./resident/scan-process.ts";
export { agentStatus, type AgentStatus } from "./resident/status.ts";
export type { ScanOptions, ScanResult, WalkOptions } from "./recognise/index.ts";
export type { ScanAnswer, ScanPort, ScanRequest } from "./resident/scan-port.ts";
