/** Purpose: the hardware ledger as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import type { BulkColumn, BulkValue, DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

const integer = (name: string) => ({ name, type: "integer" }) as const;
const text = (name: string) => ({ name, type: "text" }) as const;

export type DeviceRow = Omit<
  Schema["dev_devices"],
  "ordinal" | "created_at" | "origin" | "merged_into" | "split_from"
> & {
  readonly ordinal: number;
};

/** Columns that a write can set, by field of the API. */
export const settable = {
  hostname: text("hostname"),
  serial: text("serial"),
  employee: integer("employee"),
  department: integer("department"),
  manager: text("manager"),
  state: text("state"),
} as const satisfies Readonly<Record<string, BulkColumn>>;

export const deviceStore = {
  byId: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<DeviceRow[]> =>
    db
      .selectFrom("dev_devices")
      .select(["ordinal", "id", "hostname", "serial", "employee", "department", "manager", "state"])
      .where(inSet(dialect, "dev_devices.id", ids))
      .execute(),

  findId: (db: Db, id: string) =>
    db.selectFrom("dev_devices").select("ordinal").where("id", "=", id).executeTakeFirst(),

  idsOf: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("dev_devices")
      .select(["ordinal", "id"])
      .where(inSet(dialect, "dev_devices.ordinal", devices))
      .execute(),

  disposedBetween: (db: Db, after: number, last: number) =>
    db
      .selectFrom("dev_devices")
      .select("ordinal")
      .where("ordinal", ">", after)
      .where("ordinal", "<=", last)
      .where((eb) => eb.or([eb("state", "=", "disposed"), eb("merged_into", "is not", null)]))
      .execute(),

  /** Locked on PostgreSQL, so that two machines with one serial number do not both take the same device. */
  bySerial(db: Db, dialect: DialectName, serial: string) {
    const query = db
      .selectFrom("dev_devices")
      .select("ordinal")
      .where("serial", "=", serial)
      .where("merged_into", "is", null)
      .orderBy("ordinal");
    return (dialect === "postgres" ? query.forUpdate() : query).execute();
  },

  async insertOne(db: Db, row: Omit<Schema["dev_devices"], "ordinal">): Promise<number | undefined> {
    const made = await db
      .insertInto("dev_devices")
      .values(row)
      .onConflict((c) => c.column("id").doNothing())
      .returning("ordinal")
      .executeTakeFirst();
    return made?.ordinal;
  },

  /** A device that was enrolled a moment ago under the same id is the same device. */
  insert: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "dev_devices",
        columns: [text("id"), ...Object.values(settable), text("origin"), integer("created_at")],
        conflict: ["id"],
        update: Object.fromEntries(Object.values(settable).map((c) => [c.name, "replace"])),
      },
      rows,
    ),

  update: (db: Database, trx: Trx, columns: readonly BulkColumn[], rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.update(trx, { table: "dev_devices", keys: [integer("ordinal")], set: columns }, rows),

  setSplitFrom: (db: Database, trx: Trx, rows: readonly (readonly [device: number, from: number])[]) =>
    db.bulk.update(trx, { table: "dev_devices", keys: [integer("ordinal")], set: [integer("split_from")] }, rows),

  /** Devices in ascending order, held until the transaction ends (PostgreSQL; SQLite has one writer). */
  async hold(db: Db, dialect: DialectName, devices: readonly number[], how: "update" | "share"): Promise<void> {
    if (dialect !== "postgres") return;
    const query = db
      .selectFrom("dev_devices")
      .select("ordinal")
      .where(inSet(dialect, "dev_devices.ordinal", devices))
      .orderBy("ordinal");
    await (how === "update" ? query.forUpdate() : query.forShare()).execute();
  },

  async ofEmployees(db: Db, dialect: DialectName, employees: readonly number[]): Promise<number[]> {
    const rows = await db
      .selectFrom("dev_devices")
      .select("ordinal")
      .where(inSet(dialect, "dev_devices.employee", employees))
      .execute();
    return rows.map((row) => row.ordinal);
  },

  /** Whom devices count for: the user's department, else the managing one, else 0 (domain.md §5.3). */
  assignments: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("dev_devices as v")
      .leftJoin("org_employees as e", "e.ordinal", "v.employee")
      .leftJoin("dev_handovers as h", (join) => join.onRef("h.device", "=", "v.ordinal").on("h.done_at", "is", null))
      .select([
        "v.ordinal",
        // On the hand-over list: nobody's (ports.ts).
        sql<number | null>`case when h.device is null then v.employee else 0 end`.as("employee"),
        "v.state",
        "v.merged_into",
        sql<number>`coalesce(e.department, v.department, 0)`.as("department"),
      ])
      .where(inSet(dialect, "v.ordinal", devices))
      .execute(),

  /**
   * The department of this code, or who took it over. It is not dissolved before the transaction ends: a machine that enrols into it must not stay
   * behind.
   */
  async departmentOrdinal(db: Db, dialect: DialectName, code: string): Promise<{ ordinal: number } | undefined> {
    let query = db.selectFrom("org_departments").select(["ordinal", "dissolved_at", "merged_into"]);
    if (dialect === "postgres") query = query.forShare();
    let row = await query.where("code", "=", code).executeTakeFirst();
    while (row !== undefined && row.dissolved_at !== null)
      row =
        row.merged_into === null ? undefined : await query.where("ordinal", "=", row.merged_into).executeTakeFirst();
    return row;
  },

  departmentTree: (db: Db) => db.selectFrom("org_departments").select(["ordinal", "code", "parent"]).execute(),

  departmentOrdinals: (db: Db) =>
    db.selectFrom("org_departments").select(["code", "ordinal"]).where("dissolved_at", "is", null).execute(),

  employeeOrdinals: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("org_employees")
      .select(["id", "ordinal", "left_at"])
      .where(inSet(dialect, "org_employees.id", ids))
      .execute(),

  list: (db: Db) =>
    db
      .selectFrom("dev_devices as v")
      .leftJoin("org_employees as e", "e.ordinal", "v.employee")
      .leftJoin("org_departments as d", "d.ordinal", "v.department")
      .leftJoin("org_departments as c", (join) =>
        join.on("c.ordinal", "=", sql<number>`coalesce(e.department, v.department)`),
      )
      // One that went into another device is shown no more.
      .leftJoin("dev_devices as o", (join) =>
        join.onRef("o.ordinal", "=", "v.split_from").on("o.merged_into", "is", null),
      )
      .select([
        "v.ordinal",
        "v.id",
        "v.hostname",
        "v.serial",
        "v.state",
        "v.manager",
        "v.origin",
        "v.created_at",
        "e.id as employee",
        "d.code as department",
        "c.code as counts_for",
        "o.id as split_from",
      ]),
};
