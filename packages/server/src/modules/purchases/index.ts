export { costCentres } from "./cost-centres.ts";
export { periodOf } from "./period.ts";
export type { PurchaseRun } from "./answer.ts";
export { purchaseRoutes } from "./routes.ts";
export { createPurchases, type GrantedApplications, type Purchases } from "./service.ts";
export { createPurchaseSchedule, scheduleFault } from "./schedule.ts";
