export { entitlementsOfDepartments, handEntitlements } from "./hand-over.ts";
export { currencies, maxAmount, maxPackSize, maxQuantity } from "./fields.ts";
export { createEntitlements, type Entitlement, type Entitlements } from "./service.ts";
export { entitlementRoutes } from "./routes.ts";
export type { EntitlementInput } from "./write.ts";
