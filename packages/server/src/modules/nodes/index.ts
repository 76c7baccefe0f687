export { createNodes, installProtocolCheck, type AgentDictionaryCounts, type Nodes } from "./service.ts";
export type { AgentEnrollment, TokenRow } from "./enrollment.ts";
export type { DistributionItem } from "./distribution.ts";
export { nodeIngestRoutes } from "./ingest-routes.ts";
export { nodeRoutes } from "./routes.ts";
export { createRemoved, type Removed } from "./removed.ts";
