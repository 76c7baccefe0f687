export { costCentres } from "./cost-centres.ts";
export { runStates, type PurchaseRun, type RunState } from "./answer.ts";
export { periodOf, PeriodName } from "./period.ts";
export { purchaseRoutes } from "./routes.ts";
export type { Granted, GrantedApplications } from "./applications.ts";
export { createPurchaseFollower } from "./follow.ts";
export { createPurchases, type Purchases } from "./service.ts";
export { createPurchaseSchedule, scheduleFault } from "./schedule.ts";
