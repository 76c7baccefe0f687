/** Purpose: entitlements as rows; one query per method. A row with `replaced_at` is history, kept under `<id>/<when>`. */
import { sql, type Kysely, type SqlBool } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import type { BulkValue, DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
export type EntitlementRow = Schema["lic_entitlements"];

const integer = (name: string) => ({ name, type: "integer" }) as const;
const text = (name: string) => ({ name, type: "text" }) as const;

const settable = [
  integer("license"),
  text("metric"),
  integer("quantity"),
  integer("unit_price"),
  text("currency"),
  integer("purchased_at"),
  integer("starts_at"),
  integer("expires_at"),
  text("rights"),
  text("contract"),
  text("order_no"),
  integer("department"),
  text("certificate"),
  text("supplier"),
  text("parent"),
  text("manager"),
  integer("pack_size"),
  integer("created_at"),
] as const;

function settableValues(row: EntitlementRow): BulkValue[] {
  return settable.map((column) => row[column.name as keyof EntitlementRow]);
}

export const entitlementStore = {
  /** A page, by id. */
  currentOfLicense: (db: Db, license: number, after: string, limit: number): Promise<EntitlementRow[]> =>
    db
      .selectFrom("lic_entitlements")
      .selectAll()
      .where("license", "=", license)
      .where("replaced_at", "is", null)
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute(),

  /** Those that these departments manage. */
  currentOfDepartments: (db: Db, dialect: DialectName, departments: readonly number[]): Promise<EntitlementRow[]> =>
    db
      .selectFrom("lic_entitlements")
      .selectAll()
      .where(inSet(dialect, "lic_entitlements.department", departments))
      .where("replaced_at", "is", null)
      .execute(),

  byId: (db: Db, dialect: DialectName, ids: readonly string[]): Promise<EntitlementRow[]> =>
    db
      .selectFrom("lic_entitlements")
      .selectAll()
      .where(inSet(dialect, "lic_entitlements.id", ids))
      .execute(),

  /** Withdrawn ones and former versions. */
  replacedOfLicenses: (db: Db, dialect: DialectName, licenses: readonly number[]) =>
    db
      .selectFrom("lic_entitlements")
      .select("id")
      .where(inSet(dialect, "lic_entitlements.license", licenses))
      .where("replaced_at", "is not", null)
      .execute(),

  list: (db: Db) =>
    db
      .selectFrom("lic_entitlements as t")
      .innerJoin("lic_licenses as l", "l.ordinal", "t.license")
      .leftJoin("org_departments as d", "d.ordinal", "t.department")
      .select([
        "t.id",
        "l.code as license",
        "l.name",
        "t.metric",
        "t.quantity",
        "t.unit_price",
        "t.currency",
        "t.purchased_at",
        "t.starts_at",
        "t.expires_at",
        "t.rights",
        "t.contract",
        "t.order_no",
        "d.code as department",
        "t.certificate",
        "t.supplier",
        "t.parent",
        "t.manager",
        "t.pack_size",
        "t.created_at",
        "t.replaced_at",
      ]),

  /** `id` is ours (letters and digits), so the range holds exactly its former versions. */
  formerVersions: (id: string) => sql<SqlBool>`substr(t.id, 1, ${id.length + 1}) = ${`${id}/`}`,

  insert: (db: Database, trx: Trx, rows: readonly EntitlementRow[]) =>
    db.bulk.insert(
      trx,
      { table: "lic_entitlements", columns: [text("id"), ...settable, integer("replaced_at")] },
      rows.map((row) => [row.id, ...settableValues(row), row.replaced_at]),
    ),

  update: (db: Database, trx: Trx, rows: readonly EntitlementRow[]) =>
    db.bulk.update(
      trx,
      { table: "lic_entitlements", keys: [text("id")], set: settable },
      rows.map((row) => [row.id, ...settableValues(row)]),
    ),

  async remove(db: Db, id: string, at: number): Promise<boolean> {
    const result = await db
      .updateTable("lic_entitlements")
      .set({ replaced_at: at })
      .where("id", "=", id)
      .where("replaced_at", "is", null)
      .executeTakeFirst();
    return Number(result.numUpdatedRows) === 1;
  },

  departments: (db: Db) =>
    db.selectFrom("org_departments").select(["code", "ordinal"]).where("dissolved_at", "is", null).execute(),

  /** Current ones with what they belong to, for walking upward. */
  parents: (db: Db, dialect: DialectName, ids: readonly string[]) =>
    db
      .selectFrom("lic_entitlements")
      .select(["id", "parent"])
      .where(inSet(dialect, "lic_entitlements.id", ids))
      .where("replaced_at", "is", null)
      .execute(),

  licenseMetrics: (db: Db, dialect: DialectName, codes: readonly string[]) =>
    db
      .selectFrom("lic_licenses")
      .select(["code", "metric"])
      .where(inSet(dialect, "lic_licenses.code", codes))
      .execute(),
};
