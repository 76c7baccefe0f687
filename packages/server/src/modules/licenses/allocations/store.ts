/** Purpose: allocations as rows; one query per method. A row with `until` is history, kept under `<id>/<when>` where the allocation goes on otherwise. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { integer, text, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
export type AllocationRow = Schema["lic_allocations"];

const columns = [
  text("id"),
  integer("license"),
  text("entitlement"),
  integer("device"),
  integer("employee"),
  integer("quantity"),
  integer("since"),
  integer("until"),
] as const;

export const allocationStore = {
  list: (db: Db) =>
    db
      .selectFrom("lic_allocations as a")
      .innerJoin("lic_licenses as l", "l.ordinal", "a.license")
      .leftJoin("dev_devices as d", "d.ordinal", "a.device")
      .leftJoin("org_employees as e", "e.ordinal", "a.employee")
      .select([
        "a.id",
        "l.code as license",
        "l.name",
        "a.entitlement",
        "d.id as device",
        "e.id as employee",
        "a.quantity",
        "a.since",
        "a.until",
      ]),

  /** Those of any of these devices, and those of any of these people that name no device. */
  currentOf: (
    db: Db,
    dialect: DialectName,
    devices: readonly number[],
    employees: readonly number[],
  ): Promise<AllocationRow[]> =>
    db
      .selectFrom("lic_allocations")
      .selectAll()
      .where("until", "is", null)
      .where((eb) =>
        eb.or([
          inSet(dialect, "lic_allocations.device", devices),
          eb.and([eb("device", "is", null), inSet(dialect, "lic_allocations.employee", employees)]),
        ]),
      )
      .execute(),

  byId: (db: Db, id: string): Promise<AllocationRow | undefined> =>
    db.selectFrom("lic_allocations").selectAll().where("id", "=", id).executeTakeFirst(),

  insert: (db: Database, trx: Trx, rows: readonly AllocationRow[]) =>
    db.bulk.insert(
      trx,
      { table: "lic_allocations", columns },
      rows.map((row) => columns.map(({ name }) => row[name as keyof AllocationRow])),
    ),

  changeQuantities: (db: Database, trx: Trx, rows: readonly Pick<AllocationRow, "id" | "quantity" | "since">[]) =>
    db.bulk.update(
      trx,
      { table: "lic_allocations", keys: [text("id")], set: [integer("quantity"), integer("since")] },
      rows.map((row) => [row.id, row.quantity, row.since]),
    ),

  async end(db: Db, id: string, at: number): Promise<boolean> {
    const result = await db
      .updateTable("lic_allocations")
      .set({ until: at })
      .where("id", "=", id)
      .where("until", "is", null)
      .executeTakeFirst();
    return Number(result.numUpdatedRows) === 1;
  },

  /** Answers those it ended. */
  endOfEmployees: (db: Db, dialect: DialectName, employees: readonly number[], at: number) =>
    db
      .updateTable("lic_allocations")
      .set({ until: at })
      .where(inSet(dialect, "lic_allocations.employee", employees))
      .where("device", "is", null)
      .where("until", "is", null)
      .returning(["employee", "license", "quantity"])
      .execute(),

  currentOfDevice: (db: Db, device: number): Promise<AllocationRow[]> =>
    db
      .selectFrom("lic_allocations")
      .selectAll()
      .where("device", "=", device)
      .where("until", "is", null)
      .orderBy("id")
      .execute(),

  byIds: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<AllocationRow[]> =>
    db
      .selectFrom("lic_allocations")
      .selectAll()
      .where(inSet(dialect, "lic_allocations.id", ids))
      .execute(),

  place: (db: Database, trx: Trx, rows: readonly Pick<AllocationRow, "id" | "device" | "since" | "until">[]) =>
    db.bulk.update(
      trx,
      { table: "lic_allocations", keys: [text("id")], set: [integer("device"), integer("since"), integer("until")] },
      rows.map((row) => [row.id, row.device, row.since, row.until]),
    ),

  licenses: (db: Db, dialect: DialectName, codes: readonly string[]) =>
    db
      .selectFrom("lic_licenses")
      .select(["code", "ordinal"])
      .where(inSet(dialect, "lic_licenses.code", codes))
      .execute(),

  /** Without those that went into others. */
  devices: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("dev_devices")
      .select(["id", "ordinal", "state"])
      .where(inSet(dialect, "dev_devices.id", ids))
      .where("merged_into", "is", null)
      .execute(),

  employees: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("org_employees")
      .select(["id", "ordinal", "left_at"])
      .where(inSet(dialect, "org_employees.id", ids))
      .execute(),

  entitlements: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("lic_entitlements")
      .select(["id", "license"])
      .where(inSet(dialect, "lic_entitlements.id", ids))
      .where("replaced_at", "is", null)
      .execute(),
};
