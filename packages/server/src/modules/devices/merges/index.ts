export { createMerges, type ExchangeReports, type Merges } from "./service.ts";
export { mergeRoutes } from "./routes.ts";
