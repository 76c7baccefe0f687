/** Purpose: `/api/v1/departments` and `/api/v1/employees` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { resourceRoutes, type ResourceAccess } from "../../http/resource.ts";
import { Key, limits, Text } from "../../http/text.ts";
import type { DepartmentInput } from "./departments.ts";
import type { EmployeeInput } from "./employees.ts";
import type { Department, Employee, Organization } from "./service.ts";

const DepartmentItem = Type.Object({
  code: Type.String(),
  name: Type.String(),
  parent: Type.Optional(Type.String({ description: "Code of the department above" })),
  costCentre: Type.Optional(Type.String()),
  manager: Type.Optional(Type.String({ description: "Employee id" })),
  dissolvedAt: Type.Optional(Type.String({ description: "RFC 3339; where it was dissolved" })),
  mergedInto: Type.Optional(Type.String({ description: "Code of the department that took over" })),
});

const EmployeeItem = Type.Object({
  id: Type.String(),
  name: Type.String(),
  mail: Type.Optional(Type.String()),
  department: Type.Optional(Type.String({ description: "Department code" })),
  title: Type.Optional(Type.String()),
  manager: Type.Optional(Type.String({ description: "Employee id" })),
  state: Type.String({ description: "active, or left" }),
  leftAt: Type.Optional(Type.String({ description: "RFC 3339; where the person left" })),
});

export function organizationRoutes(
  app: FastifyInstance,
  deps: { readonly organization: Organization } & ResourceAccess,
): void {
  const { organization } = deps;

  resourceRoutes<Department>(app, deps, {
    path: "/api/v1/departments",
    tag: "departments",
    what: "department",
    key: "code",
    keyLimit: limits.code,
    item: DepartmentItem,
    required: { name: Key(limits.name) },
    optional: { parent: Key(limits.code), costCentre: Key(limits.text), manager: Key(limits.id) },
    filters: {
      name: Text(limits.name),
      parent: Text(limits.code),
      manager: Text(limits.id),
      costCentre: Text(limits.text),
      under: Text(limits.code, "This department and everything below it"),
      dissolved: Type.Boolean({ description: "Also departments that were dissolved" }),
    },
    list: (query) => organization.listDepartments(query),
    get: (code) => organization.department(code),
    save: (input, mode) => organization.saveDepartment(input as unknown as DepartmentInput, mode),
  });

  resourceRoutes<Employee>(app, deps, {
    path: "/api/v1/employees",
    tag: "employees",
    what: "employee",
    key: "id",
    keyLimit: limits.id,
    item: EmployeeItem,
    required: { name: Key(limits.name) },
    optional: {
      mail: Key(limits.text),
      department: Key(limits.code),
      title: Key(limits.text),
      manager: Key(limits.id),
    },
    filters: {
      name: Text(limits.name),
      mail: Text(limits.text),
      department: Text(limits.code, "`unassigned`: employees of no department"),
      manager: Text(limits.id),
      title: Text(limits.text),
      under: Text(limits.code, "Employees of this department and everything below it"),
      state: Type.Unsafe<string>({ type: "string", enum: ["active", "left"] }),
    },
    list: (query) => organization.listEmployees(query),
    get: (id) => organization.employee(id),
    save: (input, mode) => organization.saveEmployee(input as unknown as EmployeeInput, mode),
  });
}
