export { createAccessService, apiRoles, type AccessService, type ApiRole } from "./service.ts";
export { accessRoutes } from "./routes.ts";
