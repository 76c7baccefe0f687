export { createBookkeeping, type Bookkeeping } from "./bookkeeping.ts";
export { createPooling, type KnownCompany, type Pooling } from "./service.ts";
export { poolingRoutes } from "./routes.ts";
export { fetchOrders } from "./fetch.ts";
