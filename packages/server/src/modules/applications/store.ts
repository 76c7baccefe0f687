/** Purpose: applications, their steps and grants as rows, and what is asked of the directory for them; one query per method. */
import { sql, type Kysely, type SqlBool } from "kysely";
import { integer, text, type BulkValue, type DialectName } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { byBytes, inSet } from "../../db/sets.ts";
import type { ApplicationRow, GrantRow, StepRow } from "./seal.ts";

type Db = Kysely<Schema> | Trx;

const settable = [
  integer("department"),
  text("state"),
  text("waiting_for"),
  integer("approved_at"),
  integer("closed_at"),
  text("withdrawal"),
  integer("requested"),
  integer("granted"),
  text("from_idle"),
  text("seal"),
] as const;
const stepColumns = [
  text("application"),
  integer("place"),
  integer("department"),
  text("approver"),
  text("state"),
  integer("decided_at"),
  text("decided_by"),
  integer("on_behalf"),
  text("comment"),
  text("signature"),
] as const;

export const applicationStore = {
  byIds: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<ApplicationRow[]> =>
    db
      .selectFrom("app_applications")
      .selectAll()
      .where(inSet(dialect, "app_applications.id", ids))
      .execute(),

  stepsOf: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<StepRow[]> =>
    db
      .selectFrom("app_steps")
      .selectAll()
      .where(inSet(dialect, "app_steps.application", ids))
      .orderBy("application")
      .orderBy("place")
      .execute(),

  grantsOf: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<GrantRow[]> =>
    db
      .selectFrom("app_grants")
      .selectAll()
      .where(inSet(dialect, "app_grants.application", ids))
      .execute(),

  byIdempotency: (db: Db, idempotency: string) =>
    db
      .selectFrom("app_applications")
      .select(["id", "content"])
      .where("idempotency", "=", idempotency)
      .executeTakeFirst(),

  /** Ids after `after`, in the order of their bytes: for walking over all. */
  idsAfter: (db: Db, dialect: DialectName, after: string, limit: number) => {
    const id = byBytes(dialect, "app_applications.id");
    return db
      .selectFrom("app_applications")
      .select("id")
      .where(sql<SqlBool>`${id} > ${after}`)
      .orderBy(id)
      .limit(limit)
      .execute();
  },

  /** Approved and not fully granted, the first approved first. */
  openOf: (db: Db, dialect: DialectName, licenses: readonly number[]) =>
    db
      .selectFrom("app_applications")
      .select(["id", "department", "license"])
      .where(inSet(dialect, "app_applications.license", licenses))
      .where("state", "=", "approved")
      .orderBy("approved_at")
      .orderBy("id")
      .execute(),

  /** Not closed yet, of these departments. */
  unclosedOf: (db: Db, dialect: DialectName, departments: readonly number[]) =>
    db
      .selectFrom("app_applications")
      .select("id")
      .where(inSet(dialect, "app_applications.department", departments))
      .where("state", "in", ["pending", "approved"])
      .execute(),

  /** Of these departments, granted, and by these sources. */
  grantedBy: (db: Db, dialect: DialectName, departments: readonly number[], sources: readonly string[]) =>
    db
      .selectFrom("app_applications")
      .select("id")
      .where(inSet(dialect, "app_applications.department", departments))
      .where("state", "=", "granted")
      .where("id", "in", (eb) =>
        eb
          .selectFrom("app_grants")
          .select("application")
          .where(inSet(dialect, "app_grants.source", sources)),
      )
      .execute(),

  grantsFrom: (db: Db, source: string): Promise<GrantRow[]> =>
    db.selectFrom("app_grants").selectAll().where("source", "=", source).execute(),

  /** Who is still to decide something, and has left or is in the directory no more. */
  async absentApprovers(db: Db): Promise<string[]> {
    // The few approvers first, then the directory: a join of all open steps takes SQLite as many steps as there are pairs of them.
    const rows = await db
      .selectFrom((eb) =>
        eb
          .selectFrom("app_steps")
          .select("approver")
          .distinct()
          .where("state", "=", "open")
          .where("approver", "is not", null)
          .as("s"),
      )
      .leftJoin("org_employees as e", "e.id", "s.approver")
      .select("s.approver")
      .where((eb) => eb.or([eb("e.id", "is", null), eb("e.left_at", "is not", null)]))
      .execute();
    return rows.flatMap((row) => row.approver ?? []);
  },

  /** Applications with open steps of these approvers: pending ones, for the steps of others are not open. */
  waitingFor: (db: Db, dialect: DialectName, approvers: readonly string[], limit: number) =>
    db
      .selectFrom("app_steps")
      .select("application as id")
      .distinct()
      .where(inSet(dialect, "app_steps.approver", approvers))
      .where("state", "=", "open")
      .orderBy("application")
      .limit(limit)
      .execute(),

  /** With the names of today, for lists and single ones. */
  list: (db: Db) =>
    db
      .selectFrom("app_applications as a")
      .innerJoin("org_departments as d", "d.ordinal", "a.department")
      .innerJoin("lic_licenses as l", "l.ordinal", "a.license")
      .select(["d.code as department_code", "l.code as license_code", "l.name as license_name"])
      .selectAll("a"),

  /** The application has a step of this approver. */
  hasApprover: (employee: string) =>
    sql<SqlBool>`exists (select 1 from app_steps s where s.application = a.id and s.approver = ${employee})`,

  concerns: (employee: string) =>
    sql<SqlBool>`(a.applicant = ${employee} or exists (select 1 from app_steps s where s.application = a.id and s.approver = ${employee}))`,

  insert: (db: Db, row: ApplicationRow) => db.insertInto("app_applications").values(row).execute(),

  update: (db: Database, trx: Trx, rows: readonly ApplicationRow[]) =>
    db.bulk.update(
      trx,
      { table: "app_applications", keys: [text("id")], set: settable },
      rows.map((row) => [row.id, ...settable.map((c): BulkValue => row[c.name as keyof ApplicationRow])]),
    ),

  allSeals: (db: Db) => db.selectFrom("app_applications").select("seal").execute(),

  register: (db: Db) =>
    db.selectFrom("app_register").select(["applications", "sum", "seal"]).where("id", "=", 1).executeTakeFirst(),

  setRegister: (trx: Trx, row: Omit<Schema["app_register"], "id">) =>
    trx.updateTable("app_register").set(row).where("id", "=", 1).execute(),

  removeSteps: (trx: Trx, dialect: DialectName, ids: readonly string[]) =>
    trx
      .deleteFrom("app_steps")
      .where(inSet(dialect, "app_steps.application", ids))
      .execute(),

  insertSteps: (db: Database, trx: Trx, rows: readonly StepRow[]) =>
    db.bulk.insert(
      trx,
      { table: "app_steps", columns: stepColumns },
      rows.map((row) => stepColumns.map((c): BulkValue => row[c.name as keyof StepRow])),
    ),

  removeGrants: (trx: Trx, dialect: DialectName, ids: readonly string[]) =>
    trx
      .deleteFrom("app_grants")
      .where(inSet(dialect, "app_grants.application", ids))
      .execute(),

  insertGrants: (db: Database, trx: Trx, rows: readonly GrantRow[]) =>
    db.bulk.insert(
      trx,
      { table: "app_grants", columns: [text("application"), text("source"), integer("quantity"), integer("at")] },
      rows.map((g) => [g.application, g.source, g.quantity, g.at]),
    ),

  department: (db: Db, code: string) =>
    db
      .selectFrom("org_departments")
      .select(["ordinal", "code", "parent", "cost_centre", "dissolved_at"])
      .where("code", "=", code)
      .executeTakeFirst(),

  departmentsOf: (db: Db, dialect: DialectName, ordinals: readonly number[]) =>
    db
      .selectFrom("org_departments")
      .select(["ordinal", "code", "parent", "cost_centre", "dissolved_at"])
      .where(inSet(dialect, "org_departments.ordinal", ordinals))
      .execute(),

  /** The department and those above it, upward. */
  async chain(
    db: Db,
    department: number,
  ): Promise<{ department: number; manager: string | null; cost_centre: string | null }[]> {
    const rows = await db
      .withRecursive("up(ordinal, parent, manager, cost_centre, depth)", (qb) =>
        qb
          .selectFrom("org_departments as d")
          .select(["d.ordinal", "d.parent", "d.manager", "d.cost_centre", sql<number>`0`.as("depth")])
          .where("d.ordinal", "=", department)
          .unionAll(
            qb
              .selectFrom("org_departments as d")
              .innerJoin("up", "up.parent", "d.ordinal")
              .select(["d.ordinal", "d.parent", "d.manager", "d.cost_centre", sql<number>`up.depth + 1`.as("depth")]),
          ),
      )
      .selectFrom("up")
      .select(["up.ordinal", "up.manager", "up.cost_centre"])
      .orderBy("up.depth")
      .execute();
    return rows.map(({ ordinal, ...row }) => ({ department: ordinal, ...row }));
  },

  /** Those of the employees who are there and have not left. */
  async present(db: Db, dialect: DialectName, employees: readonly string[]): Promise<Set<string>> {
    const rows = await db
      .selectFrom("org_employees")
      .select("id")
      .where(inSet(dialect, "org_employees.id", employees))
      .where("left_at", "is", null)
      .execute();
    return new Set(rows.map((row) => row.id));
  },

  employee: (db: Db, id: string) =>
    db.selectFrom("org_employees").select(["id", "department", "left_at"]).where("id", "=", id).executeTakeFirst(),

  /** Σ of what is approved and not granted, per department and licence. */
  outstanding: (db: Db) =>
    db
      .selectFrom("app_applications")
      .select(["department", "license"])
      .select(sql<number>`cast(sum(requested - granted) as bigint)`.as("quantity"))
      .where("state", "=", "approved")
      .groupBy(["department", "license"])
      .execute(),

  requested: (db: Db) =>
    db.selectFrom("lic_rights").select(["department", "license", "requested"]).where("requested", "<>", 0).execute(),

  licenseNames: (db: Db, dialect: DialectName, ordinals: readonly number[]) =>
    db
      .selectFrom("lic_licenses")
      .select(["ordinal", "code"])
      .where(inSet(dialect, "lic_licenses.ordinal", ordinals))
      .execute(),
};
