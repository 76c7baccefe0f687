/**
 * Purpose: checks the form of each change - what its type needs, and what it has no use for - and finds whom and what it names. Pure.
 * Failure: a fault with the JSON pointer of the wrong place; changes with such a fault are not interpreted any further.
 */
import { rowFaults, type RowFaultCode } from "../../../rows.ts";
import type { HiredPerson, OrgChange, OrgChangeType, OrgFault } from "./types.ts";

export type Report = (path: string, code: RowFaultCode, details?: Readonly<Record<string, string | number>>) => void;

export function fault(
  path: string,
  code: RowFaultCode,
  details: Readonly<Record<string, string | number>> = {},
): OrgFault {
  return { path, code, message: rowFaults.make(code, details).message };
}

/** An id with its place in the request. */
export interface Named {
  readonly id: string;
  readonly path: string;
}

const known: Readonly<Record<OrgChangeType, readonly string[]>> = {
  hire: ["employee", "name", "mail", "department", "title", "manager", "to"],
  move: ["employee", "employees", "department", "to", "withRights"],
  leave: ["employee", "employees"],
  rename: ["department", "name", "code", "to"],
  merge: ["department", "departments", "to", "name"],
  split: ["department", "to", "name", "employees", "devices", "children", "rights", "applications"],
  dissolve: ["department", "to"],
};

/** Fields that the change's type has no use for, and alternatives of which not exactly one is given. */
export function checkForm(change: OrgChange, at: string, report: Report): void {
  const given = Object.entries(change)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  for (const name of given)
    if (name !== "type" && !known[change.type].includes(name))
      report(`${at}/${name}`, "value-invalid", {
        reason: `a ${change.type} has no ${name}; it has ${known[change.type].join(", ")}`,
      });
  const oneOf = (...names: readonly string[]): void => {
    const there = names.filter((name) => given.includes(name));
    if (there.length === 0) report(`${at}/${names[0] ?? ""}`, "value-required");
    for (const name of there.slice(1))
      report(`${at}/${name}`, "value-invalid", { reason: `give ${names.join(" or ")}, not both` });
  };
  const needs = (name: string): void => {
    if (!given.includes(name)) report(`${at}/${name}`, "value-required");
  };
  switch (change.type) {
    case "hire":
      needs("employee");
      if (given.includes("department")) oneOf("department", "to");
      if (typeof change.employee !== "object") break;
      for (const [name, value] of Object.entries(change.employee))
        if (name !== "id" && value !== undefined && given.includes(name))
          report(`${at}/${name}`, "value-invalid", { reason: `${name} is given beside the employee and within` });
      break;
    case "move":
      oneOf("employee", "employees", "department");
      needs("to");
      if (change.department !== undefined && change.withRights !== undefined)
        report(`${at}/withRights`, "value-invalid", { reason: "a department that moves keeps its rights" });
      break;
    case "leave":
      oneOf("employee", "employees");
      break;
    case "rename":
      needs("department");
      if (change.code !== undefined) oneOf("code", "to");
      else if (change.name === undefined && change.to === undefined) report(`${at}/name`, "value-required");
      break;
    case "merge":
      oneOf("department", "departments");
      needs("to");
      break;
    case "split":
      needs("department");
      needs("to");
      break;
    case "dissolve":
      needs("department");
      break;
  }
}

/** The employees a change names. */
export function peopleNamed(change: OrgChange, at: string): Named[] {
  if (change.type === "hire")
    return [
      typeof change.employee === "object"
        ? { id: change.employee.id, path: `${at}/employee/id` }
        : { id: change.employee, path: `${at}/employee` },
    ];
  const list = "employees" in change ? listed(change.employees, `${at}/employees`) : [];
  const one =
    "employee" in change && change.employee !== undefined ? [{ id: change.employee, path: `${at}/employee` }] : [];
  return [...one, ...list];
}

export function listed(ids: readonly string[] | undefined, path: string): Named[] {
  return (ids ?? []).map((id, index) => ({ id, path: `${path}/${index}` }));
}

/** The departments that a merge or a dissolution ends. */
export function departmentsEnded(change: OrgChange, at: string): Named[] {
  if (change.type !== "merge" && change.type !== "dissolve") return [];
  const one = change.department === undefined ? [] : [{ id: change.department, path: `${at}/department` }];
  return change.type === "merge" ? [...one, ...listed(change.departments, `${at}/departments`)] : one;
}

export interface Hired extends HiredPerson {
  /** Place of a field: beside the employee or within. */
  path(field: keyof HiredPerson): string;
}

export function hiredPerson(change: OrgChange & { readonly type: "hire" }, at: string): Hired {
  const { type: _, employee, to, ...fields } = change;
  const within = typeof employee === "object" ? employee : undefined;
  return {
    ...(to !== undefined && { department: to }),
    ...fields,
    ...within,
    id: within?.id ?? (employee as string),
    path(field) {
      if (field === "id") return within === undefined ? `${at}/employee` : `${at}/employee/id`;
      if (within?.[field] !== undefined) return `${at}/employee/${field}`;
      return field === "department" && to !== undefined ? `${at}/to` : `${at}/${field}`;
    },
  };
}
