export { createRights, type DepartmentRights, type Rights } from "./service.ts";
export { rightsRoutes } from "./routes.ts";
export { maxRights, type RightsInput } from "./write.ts";
export { handQuotas } from "./hand-quotas.ts";
export { setRightsRows } from "./set-rows.ts";
export { adjustRights, type RightsChange } from "./adjust.ts";
export { rightsAndQuota } from "./room.ts";
