export { createBookkeeping, type Bookkeeping } from "./bookkeeping.ts";
export type { KnownCompany } from "./demand.ts";
export { createPooling, type Pooling } from "./service.ts";
export { poolingRoutes } from "./routes.ts";
export { fetchOrders } from "./fetch.ts";
export { isPooled, pooledBy, type Pooled } from "./setting.ts";
