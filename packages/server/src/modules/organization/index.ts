export { type DepartmentInput } from "./departments.ts";
export {
  createOrgChangeRequests,
  createOrgChangesApply,
  orgChangeRoutes,
  type OrgChangeRequests,
  type DepartmentFollower,
  type DepartmentsFollowed,
  type OrgChange,
  type OrgChanges,
  type OrgDevices,
  type OrgLicenses,
  type OrgOutcome,
} from "./changes/index.ts";
export { unknownManagers, type EmployeeDevices, type EmployeeInput } from "./employees.ts";
export { createOrganization, type Department, type Employee, type Organization } from "./service.ts";
export { organizationRoutes } from "./routes.ts";
