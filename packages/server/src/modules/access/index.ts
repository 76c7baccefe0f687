export { createAccessService, apiRoles, type AccessService, type ApiRole, type Caller } from "./service.ts";
export { accessRoutes } from "./routes.ts";
