export { createPolicies, type Fault, type Policies, type PolicyState, type Served } from "./service.ts";
export { policyRoutes } from "./routes.ts";
