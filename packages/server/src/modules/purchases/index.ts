export { costCentres } from "./cost-centres.ts";
export type { PurchaseRun } from "./answer.ts";
export { periodOf, PeriodName } from "./period.ts";
export { purchaseRoutes } from "./routes.ts";
export { createPurchases, type GrantedApplications, type Purchases } from "./service.ts";
export { createPurchaseSchedule, scheduleFault } from "./schedule.ts";
