/** Purpose: what organisation changes read and write of departments and employees; one query per method. */
import type { Database, Trx } from "../../../db/database.ts";
import { integer, text, type BulkValue, type DialectName } from "../../../db/dialect.ts";
import { inSet } from "../../../db/sets.ts";

type Rows = readonly (readonly BulkValue[])[];

const departmentColumns = [
  text("code"),
  text("name"),
  integer("parent"),
  text("cost_centre"),
  text("manager"),
  integer("dissolved_at"),
  integer("merged_into"),
] as const;

export const changeStore = {
  departments: (trx: Trx) =>
    trx
      .selectFrom("org_departments")
      .select(["ordinal", "code", "name", "parent", "cost_centre", "manager", "dissolved_at"])
      .orderBy("ordinal")
      .execute(),

  /** A device that enrols into one of these waits until the transaction ends (devices/store.ts). */
  async holdDepartments(trx: Trx, dialect: DialectName, ordinals: readonly number[]): Promise<void> {
    if (dialect === "postgres")
      await trx
        .selectFrom("org_departments")
        .select("ordinal")
        .where(inSet(dialect, "org_departments.ordinal", ordinals))
        .orderBy("ordinal")
        .forUpdate()
        .execute();
  },

  insertDepartment: async (
    trx: Trx,
    row: { code: string; name: string; parent: number | null; created_at: number },
  ): Promise<number> =>
    (
      await trx
        .insertInto("org_departments")
        .values({ ...row, cost_centre: null, manager: null, dissolved_at: null, merged_into: null })
        .returning("ordinal")
        .executeTakeFirstOrThrow()
    ).ordinal,

  /** ordinal, code */
  setCodes: (db: Database, trx: Trx, rows: Rows) =>
    db.bulk.update(trx, { table: "org_departments", keys: [integer("ordinal")], set: [text("code")] }, rows),

  /** ordinal, code, name, parent, cost_centre, manager, dissolved_at, merged_into */
  updateDepartments: (db: Database, trx: Trx, rows: Rows) =>
    db.bulk.update(trx, { table: "org_departments", keys: [integer("ordinal")], set: departmentColumns }, rows),

  peopleById: (trx: Trx, dialect: DialectName, ids: readonly string[]) =>
    people(trx)
      .where(inSet(dialect, "org_employees.id", ids))
      .execute(),

  peopleByOrdinal: (trx: Trx, dialect: DialectName, ordinals: readonly number[]) =>
    people(trx)
      .where(inSet(dialect, "org_employees.ordinal", ordinals))
      .execute(),

  /** Those who have not left. */
  peopleOf: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    people(trx)
      .where(inSet(dialect, "org_employees.department", departments))
      .where("left_at", "is", null)
      .execute(),

  headcount: async (trx: Trx, department: number): Promise<number> =>
    Number(
      (
        await trx
          .selectFrom("org_employees")
          .select(({ fn }) => fn.countAll<number>().as("count"))
          .where("department", "=", department)
          .where("left_at", "is", null)
          .executeTakeFirstOrThrow()
      ).count,
    ),

  /** ordinal, name, mail, department, title, manager, left_at */
  updatePeople: (db: Database, trx: Trx, rows: Rows) =>
    db.bulk.update(
      trx,
      {
        table: "org_employees",
        keys: [integer("ordinal")],
        set: [text("name"), text("mail"), integer("department"), text("title"), text("manager"), integer("left_at")],
      },
      rows,
    ),
};

function people(trx: Trx) {
  return trx
    .selectFrom("org_employees")
    .select(["ordinal", "id", "name", "mail", "department", "title", "manager", "left_at"]);
}
