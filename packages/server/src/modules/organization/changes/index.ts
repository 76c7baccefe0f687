export { createOrgChangesApply } from "./apply.ts";
export type {
  DepartmentFollower,
  DepartmentsFollowed,
  OrgChange,
  OrgChanges,
  OrgDevices,
  OrgLicenses,
  OrgOutcome,
} from "./types.ts";
export { orgChangeRoutes } from "./routes.ts";
export { createOrgChangeRequests, type OrgChangeDetails, type OrgChangeRequests } from "./service.ts";
