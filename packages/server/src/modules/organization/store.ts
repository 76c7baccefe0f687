/** Purpose: departments and employees as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import type { BulkValue, DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

const integer = (name: string) => ({ name, type: "integer" }) as const;
const text = (name: string) => ({ name, type: "text" }) as const;

export interface DepartmentRow {
  readonly ordinal: number;
  readonly code: string;
  readonly name: string;
  readonly parent: number | null;
  readonly cost_centre: string | null;
  readonly manager: string | null;
  readonly dissolved_at: number | null;
}

export interface EmployeeRow {
  readonly ordinal: number;
  readonly id: string;
  readonly name: string;
  readonly mail: string | null;
  readonly department: number | null;
  readonly title: string | null;
  readonly manager: string | null;
  readonly left_at: number | null;
}

export const organizationStore = {
  /** Dissolved ones among them. */
  departments: (db: Db): Promise<DepartmentRow[]> =>
    db
      .selectFrom("org_departments")
      .select(["ordinal", "code", "name", "parent", "cost_centre", "manager", "dissolved_at"])
      .orderBy("ordinal")
      .execute(),

  /** With the parent's code. */
  departmentList: (db: Db) =>
    db
      .selectFrom("org_departments as d")
      .leftJoin("org_departments as p", "p.ordinal", "d.parent")
      .leftJoin("org_departments as m", "m.ordinal", "d.merged_into")
      .select([
        "d.code",
        "d.name",
        "p.code as parent",
        "d.cost_centre",
        "d.manager",
        "d.dissolved_at",
        "m.code as merged_into",
      ]),

  departmentOrdinal: (db: Db, code: string) =>
    db.selectFrom("org_departments").select(["ordinal", "dissolved_at"]).where("code", "=", code).executeTakeFirst(),

  insertDepartments: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "org_departments",
        columns: [text("code"), text("name"), text("cost_centre"), text("manager"), integer("created_at")],
      },
      rows,
    ),

  /** For every change of a department's code, name or parent: what was so until then. Past positions follow the tree as it was. */
  keepDepartments: (
    db: Database,
    trx: Trx,
    rows: readonly Pick<DepartmentRow, "ordinal" | "code" | "name" | "parent">[],
    until: number,
  ) =>
    db.bulk.insert(
      trx,
      {
        table: "org_department_history",
        columns: [integer("department"), text("code"), text("name"), integer("parent"), integer("until")],
      },
      rows.map((d) => [d.ordinal, d.code, d.name, d.parent, until]),
    ),

  /** These exist anew. */
  async reviveDepartments(trx: Trx, dialect: DialectName, ordinals: readonly number[]): Promise<void> {
    await trx
      .updateTable("org_departments")
      .set({ dissolved_at: null, merged_into: null })
      .where(inSet(dialect, "org_departments.ordinal", ordinals))
      .execute();
  },

  /** ordinal, name, parent, cost_centre, manager */
  updateDepartments: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.update(
      trx,
      {
        table: "org_departments",
        keys: [integer("ordinal")],
        set: [text("name"), integer("parent"), text("cost_centre"), text("manager")],
      },
      rows,
    ),

  employeesById: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<EmployeeRow[]> =>
    db
      .selectFrom("org_employees")
      .select(["ordinal", "id", "name", "mail", "department", "title", "manager", "left_at"])
      .where(inSet(dialect, "org_employees.id", ids))
      .execute(),

  /** With the department's code. */
  employeeList: (db: Db) =>
    db
      .selectFrom("org_employees as e")
      .leftJoin("org_departments as d", "d.ordinal", "e.department")
      .select(["e.id", "e.name", "e.mail", "d.code as department", "e.title", "e.manager", "e.left_at"]),

  insertEmployees: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "org_employees",
        columns: [
          text("id"),
          text("name"),
          text("mail"),
          integer("department"),
          text("title"),
          text("manager"),
          integer("created_at"),
        ],
      },
      rows,
    ),

  /** ordinal, name, mail, department, title, manager */
  updateEmployees: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.update(
      trx,
      {
        table: "org_employees",
        keys: [integer("ordinal")],
        set: [text("name"), text("mail"), integer("department"), text("title"), text("manager")],
      },
      rows,
    ),
};
