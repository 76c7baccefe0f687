export type { Fault } from "./faults.ts";
export type { Served } from "./held.ts";
export { policyRoutes } from "./routes.ts";
export { createPolicies, type Policies, type PolicyState } from "./service.ts";
