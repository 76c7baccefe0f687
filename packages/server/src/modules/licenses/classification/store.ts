/** Purpose: rules, categories and corrections of installations as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { integer, text, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
export type CorrectionRow = Schema["lic_class_corrections"];

export const classificationStore = {
  rules: (db: Db) => db.selectFrom("lic_class_rules").select("rule").orderBy("place").execute(),

  async replaceRules(db: Database, trx: Trx, rules: readonly string[]): Promise<void> {
    await trx.deleteFrom("lic_class_rules").execute();
    await db.bulk.insert(
      trx,
      { table: "lic_class_rules", columns: [integer("place"), text("rule")] },
      rules.map((rule, place) => [place, rule]),
    );
  },

  license: (db: Db, code: string) =>
    db
      .selectFrom("lic_licenses")
      .select(["ordinal", "code", "name"])
      .where("code", "=", code)
      .where("base", "is", null)
      .executeTakeFirst(),

  categories: (db: Db) =>
    db
      .selectFrom("lic_class_categories as c")
      .innerJoin("lic_licenses as l", "l.ordinal", "c.license")
      .select(["l.code", "c.category"])
      .orderBy("l.code")
      .execute(),

  async setCategory(trx: Trx, license: number, category: string | undefined): Promise<void> {
    await trx.deleteFrom("lic_class_categories").where("license", "=", license).execute();
    if (category !== undefined) await trx.insertInto("lic_class_categories").values({ license, category }).execute();
  },

  anyCorrection: (db: Db) => db.selectFrom("lic_class_corrections").select("device").limit(1).executeTakeFirst(),

  correctionsOf: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("lic_class_corrections as c")
      .innerJoin("lic_licenses as l", "l.ordinal", "c.license")
      .select(["c.device", "l.code", "c.class", "c.reason", "c.by", "c.at"])
      .where(inSet(dialect, "c.device", devices))
      .execute(),

  listCorrections: (db: Db) =>
    db
      .selectFrom("lic_class_corrections as c")
      .innerJoin("lic_licenses as l", "l.ordinal", "c.license")
      .innerJoin("dev_devices as d", "d.ordinal", "c.device")
      .select(["d.id as device", "l.code as license", "c.class", "c.reason", "c.by", "c.at"]),

  async setCorrection(trx: Trx, row: CorrectionRow): Promise<void> {
    const { class: to, reason, by, at } = row;
    await trx
      .insertInto("lic_class_corrections")
      .values(row)
      .onConflict((c) => c.columns(["device", "license"]).doUpdateSet({ class: to, reason, by, at }))
      .execute();
  },

  async removeCorrection(trx: Trx, device: number, license: number): Promise<boolean> {
    const { numDeletedRows } = await trx
      .deleteFrom("lic_class_corrections")
      .where("device", "=", device)
      .where("license", "=", license)
      .executeTakeFirst();
    return numDeletedRows > 0n;
  },

  /** Licences that are allocated to devices, or to employees, now. */
  allocatedToDevices: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("lic_allocations as a")
      .innerJoin("lic_licenses as l", "l.ordinal", "a.license")
      .select(["a.device", "l.code"])
      .where("a.until", "is", null)
      .where(inSet(dialect, "a.device", devices))
      .execute(),

  allocatedToEmployees: (db: Db, dialect: DialectName, employees: readonly number[]) =>
    db
      .selectFrom("lic_allocations as a")
      .innerJoin("lic_licenses as l", "l.ordinal", "a.license")
      .select(["a.employee", "l.code"])
      .where("a.until", "is", null)
      .where("a.device", "is", null)
      .where(inSet(dialect, "a.employee", employees))
      .execute(),

  /** Whom each device belongs to, and the code of the department that it counts for. */
  owners: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("dev_devices as v")
      .leftJoin("org_employees as e", "e.ordinal", "v.employee")
      .leftJoin("org_departments as d", (join) =>
        join.on("d.ordinal", "=", sql<number>`coalesce(e.department, v.department)`),
      )
      .select(["v.ordinal", "v.employee", "d.code as department"])
      .where(inSet(dialect, "v.ordinal", devices))
      .execute(),

  device: (db: Db, id: string) =>
    db.selectFrom("dev_devices").select("ordinal").where("id", "=", id).executeTakeFirst(),

  devicesOf: (db: Db, dialect: DialectName, employees: readonly number[]) =>
    db
      .selectFrom("dev_devices")
      .select("ordinal")
      .where(inSet(dialect, "dev_devices.employee", employees))
      .execute(),
};
