/**
 * Purpose: what the rest of Daicho sees of the agent. Everything is loaded when it is first used: a scan has no room for the
 * resident's connections, the resident none for collectors (its scans are processes of their own).
 */
import type { Agent, AgentOptions } from "./resident/agent.ts";
import type { ScanProcessOptions } from "./resident/scan-process.ts";
import type { ScanPort } from "./resident/scan-port.ts";

/** One scan. Never rejects for anything that is wrong with the scanned machine: see scan.errors. */
export const scan: typeof import("./recognise/index.ts").scan = async (options) =>
  (await import("./recognise/index.ts")).scan(options);

/** Just the machine probes of a dictionary. */
export const rescanProbes: typeof import("./recognise/index.ts").rescanProbes = async (options, probes) =>
  (await import("./recognise/index.ts")).rescanProbes(options, probes);

/** The agent that stays, or that does one round (`runOnce`). */
export function createAgent(options: AgentOptions): Agent {
  let agent: Agent | undefined;
  let loading: Promise<Agent> | undefined;
  const load = (): Promise<Agent> =>
    (loading ??= import("./resident/agent.ts").then((resident) => (agent = resident.createAgent(options))));
  return {
    start: async () => (await load()).start(),
    stop: async () => (await loading)?.stop(),
    runOnce: async (round) => (await load()).runOnce(round),
    status: () => agent?.status(),
  };
}

/** What an agent does or last did, from its data directory. @throws agent-data-missing */
export const agentStatus: typeof import("./resident/status.ts").agentStatus = async (dir) =>
  (await import("./resident/status.ts")).agentStatus(dir);

/** A resident's scans, each in a process of its own. */
export const createScanProcess =
  (options: ScanProcessOptions): ScanPort =>
  async (request, signal) =>
    (await import("./resident/scan-process.ts")).createScanProcess(options)(request, signal);

/** The child's side of `createScanProcess`, for a single executable that is its own child. */
export const runScanChild: typeof import("./resident/scan-child.ts").runScanChild = async (requestFile, answerFile) =>
  (await import("./resident/scan-child.ts")).runScanChild(requestFile, answerFile);

/** A resident's scan, in this very process instead of one of its own. */
export const scanHere: ScanPort = async (request) => (await import("./resident/scan-child.ts")).scanHere(request);

export { agentErrors } from "./errors.ts";
export { evidenceHash, machineEvidence } from "./identity/evidence.ts";
export { agentConfigSchema, loadAgentConfig, type AgentConfig } from "./resident/config.ts";
export type { Agent, AgentOptions, RunOnceResult } from "./resident/agent.ts";
export type { AgentStatus } from "./resident/status.ts";
export type { ScanProcessOptions } from "./resident/scan-process.ts";
export type { ScanOptions, ScanResult, WalkOptions } from "./recognise/index.ts";
export type { ScanAnswer, ScanPort, ScanRequest } from "./resident/scan-port.ts";
