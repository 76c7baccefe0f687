export { type DepartmentInput } from "./departments.ts";
export { unknownManagers, type EmployeeDevices, type EmployeeInput } from "./employees.ts";
export { createOrganization, type Department, type Employee, type Organization } from "./service.ts";
export { organizationRoutes } from "./routes.ts";
