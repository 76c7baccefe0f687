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
