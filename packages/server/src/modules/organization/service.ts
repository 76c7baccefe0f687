/**
 * Purpose: the organisation - departments and employees - for the API, for imports and for other contexts (domain.md §4, §6).
 * Invariants: reads come from the database each time, so that several servers on one database agree; what was written is announced after the commit.
 */
import type { Clock } from "@daicho/kernel";
import { childrenOf, subtree, unassigned } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { inSet } from "../../db/sets.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import { page, type Page } from "../../db/page.ts";
import { errorOfRow, type WriteMode, type WriteResult } from "../../rows.ts";
import { writeDepartments, type DepartmentInput } from "./departments.ts";
import { writeEmployees, type EmployeeDevices, type EmployeeInput, type EmployeesWritten } from "./employees.ts";
import { organizationStore as store } from "./store.ts";

export interface Department {
  readonly code: string;
  readonly name: string;
  readonly parent?: string;
  readonly costCentre?: string;
  readonly manager?: string;
  /** RFC 3339; only where it was dissolved. */
  readonly dissolvedAt?: string;
  /** Who took over. */
  readonly mergedInto?: string;
}

export interface Employee {
  readonly id: string;
  readonly name: string;
  readonly mail?: string;
  readonly department?: string;
  readonly title?: string;
  readonly manager?: string;
  readonly state: "active" | "left";
  readonly leftAt?: string;
}

export interface Organization {
  departmentExists(code: string): Promise<boolean>;
  /** undefined where there is none. */
  department(code: string): Promise<Department | undefined>;
  listDepartments(query: ListQuery & DepartmentFilter): Promise<Page<Department>>;
  saveDepartment(
    input: DepartmentInput,
    mode: WriteMode,
  ): Promise<{ readonly created: boolean; readonly saved: Department }>;
  employee(id: string): Promise<Employee | undefined>;
  listEmployees(query: ListQuery & EmployeeFilter): Promise<Page<Employee>>;
  saveEmployee(input: EmployeeInput, mode: WriteMode): Promise<{ readonly created: boolean; readonly saved: Employee }>;
  /** For imports, inside their transaction. */
  writeDepartments(
    trx: Trx,
    rows: readonly DepartmentInput[],
    options: { mode: WriteMode; at: number },
  ): Promise<WriteResult>;
  writeEmployees(
    trx: Trx,
    rows: readonly EmployeeInput[],
    options: { mode: WriteMode; at: number },
  ): Promise<EmployeesWritten>;
  /** Ordinals of a department and all below it; of the department alone where `deep` is false. undefined where there is none. */
  departmentOrdinals(code: string, deep: boolean): Promise<readonly number[] | undefined>;
}

export interface DepartmentFilter {
  readonly code?: string;
  readonly name?: string;
  readonly parent?: string;
  readonly manager?: string;
  readonly costCentre?: string;
  /** The department with this code and everything below it. */
  readonly under?: string;
  /** Also departments that were dissolved. */
  readonly dissolved?: boolean;
}

export interface EmployeeFilter {
  readonly id?: string;
  readonly state?: string;
  readonly name?: string;
  readonly mail?: string;
  readonly department?: string;
  readonly manager?: string;
  readonly title?: string;
  /** The department and everything below it. */
  readonly under?: string;
}

export function createOrganization(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly devices: EmployeeDevices;
}): Organization {
  const { db, clock, events } = deps;

  const departmentOrdinals = async (code: string, deep: boolean): Promise<readonly number[] | undefined> => {
    if (!deep) {
      const row = await store.departmentOrdinal(db.kysely, code);
      return row === undefined ? undefined : [row.ordinal];
    }
    const all = (await store.departments(db.kysely)).filter((d) => d.dissolved_at === null || d.code === code);
    const root = all.find((d) => d.code === code);
    return root === undefined
      ? undefined
      : subtree(childrenOf(new Map(all.map((d) => [d.ordinal, d.parent]))), root.ordinal);
  };

  const department = async (code: string): Promise<Department | undefined> => {
    const row = await store.departmentList(db.kysely).where("d.code", "=", code).executeTakeFirst();
    return row === undefined ? undefined : departmentOf(row);
  };
  const employee = async (id: string): Promise<Employee | undefined> => {
    const row = await store.employeeList(db.kysely).where("e.id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : employeeOf(row);
  };
  const ordinalsOf = async (field: string, code: string, deep: boolean): Promise<readonly number[]> => {
    const ordinals = await departmentOrdinals(code, deep);
    if (ordinals === undefined) throw serverErrors.make("not-found", { what: `${field} department`, id: code });
    return ordinals;
  };

  const organization: Organization = {
    departmentExists: async (code) => (await store.departmentOrdinal(db.kysely, code))?.dissolved_at === null,
    department,
    employee,
    departmentOrdinals,

    async listDepartments(query) {
      let select = store.departmentList(db.kysely);
      if (query.dissolved !== true) select = select.where("d.dissolved_at", "is", null);
      if (query.code !== undefined) select = select.where("d.code", "=", query.code);
      if (query.name !== undefined) select = select.where("d.name", "=", query.name);
      if (query.parent !== undefined) select = select.where("p.code", "=", query.parent);
      if (query.manager !== undefined) select = select.where("d.manager", "=", query.manager);
      if (query.costCentre !== undefined) select = select.where("d.cost_centre", "=", query.costCentre);
      if (query.under !== undefined)
        select = select.where(inSet(db.dialect, "d.ordinal", await ordinalsOf("under", query.under, true)));
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          code: { column: "d.code" },
          name: { column: "d.name" },
          parent: { column: "p.code", nullable: true },
          costCentre: { column: "d.cost_centre", nullable: true },
          manager: { column: "d.manager", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(departmentOf) };
    },

    async saveDepartment(input, mode) {
      const result = await saved("department", input.code, (trx) =>
        writeDepartments(db, trx, [input], { mode, at: clock.now() }),
      );
      if (result.unchanged === 0) events.emit("positions-changed", {});
      return { created: result.created === 1, saved: (await department(input.code)) as Department };
    },

    async listEmployees(query) {
      let select = store.employeeList(db.kysely);
      if (query.state !== undefined) select = select.where("e.left_at", query.state === "left" ? "is not" : "is", null);
      if (query.id !== undefined) select = select.where("e.id", "=", query.id);
      if (query.name !== undefined) select = select.where("e.name", "=", query.name);
      if (query.mail !== undefined) select = select.where("e.mail", "=", query.mail);
      if (query.manager !== undefined) select = select.where("e.manager", "=", query.manager);
      if (query.title !== undefined) select = select.where("e.title", "=", query.title);
      if (query.department === unassigned) select = select.where("e.department", "is", null);
      else if (query.department !== undefined) select = select.where("d.code", "=", query.department);
      if (query.under !== undefined)
        select = select.where(inSet(db.dialect, "e.department", await ordinalsOf("under", query.under, true)));
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "e.id" },
          name: { column: "e.name" },
          mail: { column: "e.mail", nullable: true },
          department: { column: "d.code", nullable: true },
          title: { column: "e.title", nullable: true },
          manager: { column: "e.manager", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(employeeOf) };
    },

    async saveEmployee(input, mode) {
      const result = await saved("employee", input.id, (trx) =>
        writeEmployees(db, deps.devices, trx, [input], { mode, at: clock.now() }),
      );
      if (result.moved > 0) {
        events.emit("devices-changed", {});
        events.emit("positions-changed", {});
      }
      return { created: result.created === 1, saved: (await employee(input.id)) as Employee };
    },

    writeDepartments: (trx, rows, options) => writeDepartments(db, trx, rows, options),
    writeEmployees: (trx, rows, options) => writeEmployees(db, deps.devices, trx, rows, options),
  };

  /** One row in a transaction of its own; its fault is the caller's error. */
  async function saved<R extends WriteResult>(what: string, id: string, write: (trx: Trx) => Promise<R>): Promise<R> {
    return db.transaction(async (trx) => {
      const result = await write(trx);
      if (result.faults[0] !== undefined) throw errorOfRow(result.faults[0], what, id);
      return result;
    });
  }
  return organization;
}

function departmentOf(row: {
  code: string;
  name: string;
  parent: string | null;
  cost_centre: string | null;
  manager: string | null;
  dissolved_at: number | null;
  merged_into: string | null;
}): Department {
  return {
    code: row.code,
    name: row.name,
    ...(row.parent !== null && { parent: row.parent }),
    ...(row.cost_centre !== null && { costCentre: row.cost_centre }),
    ...(row.manager !== null && { manager: row.manager }),
    ...(row.dissolved_at !== null && { dissolvedAt: new Date(row.dissolved_at).toISOString() }),
    ...(row.merged_into !== null && { mergedInto: row.merged_into }),
  };
}

function employeeOf(row: {
  id: string;
  name: string;
  mail: string | null;
  department: string | null;
  title: string | null;
  manager: string | null;
  left_at: number | null;
}): Employee {
  return {
    id: row.id,
    name: row.name,
    ...(row.mail !== null && { mail: row.mail }),
    ...(row.department !== null && { department: row.department }),
    ...(row.title !== null && { title: row.title }),
    ...(row.manager !== null && { manager: row.manager }),
    state: row.left_at === null ? "active" : "left",
    ...(row.left_at !== null && { leftAt: new Date(row.left_at).toISOString() }),
  };
}
