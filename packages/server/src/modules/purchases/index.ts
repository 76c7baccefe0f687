export type { PurchaseRun } from "./answer.ts";
export { purchaseRoutes } from "./routes.ts";
export { createPurchases, type GrantedApplications, type Purchases } from "./service.ts";
