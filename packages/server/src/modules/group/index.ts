export { createCompanies, type Companies, type Company, type OwnPositions } from "./companies.ts";
export { groupRoutes } from "./routes.ts";
export { createUpstream, type Upstream } from "./upstream.ts";
