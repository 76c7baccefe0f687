export { budgetRoutes } from "./budget-routes.ts";
export { applicationRoutes } from "./routes.ts";
export { createApplications, type Applications } from "./service.ts";
export type { Granted, Settlement } from "./settle.ts";
export type { Verification, VerificationResult } from "./verify.ts";
