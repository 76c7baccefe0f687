export { createBookkeeping, type Bookkeeping } from "./bookkeeping.ts";
export type { GroupCompanies, KnownCompany } from "./demand.ts";
export { createPooling, type Pooling } from "./service.ts";
export { poolingRoutes } from "./routes.ts";
export { fetchOrders } from "./fetch.ts";
export { createWord, type Word } from "./word.ts";
export { pooledBy, type Pooled } from "./setting.ts";
