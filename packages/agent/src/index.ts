export { rescanProbes, scan, type ScanOptions, type ScanResult, type WalkOptions } from "./recognise/index.ts";
export { agentErrors } from "./errors.ts";
export { evidenceHash, machineEvidence } from "./identity/evidence.ts";
export { createAgent, type Agent, type AgentOptions, type RunOnceResult } from "./resident/agent.ts";
export { agentConfigSchema, loadAgentConfig, type AgentConfig } from "./resident/config.ts";
export { runScanChild, scanHere } from "./resident/scan-child.ts";
export { createScanProcess, type ScanProcessOptions } from "./resident/scan-process.ts";
export type { ScanAnswer, ScanPort, ScanRequest } from "./resident/scan-port.ts";
export { agentStatus, type AgentStatus } from "./resident/status.ts";
