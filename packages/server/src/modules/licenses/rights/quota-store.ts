/** Purpose: quotas per department and licence as rows: how many rights and requested together may be at most. No row = no quota. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { integer, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

export const quotaStore = {
  find: async (db: Db, department: number, license: number): Promise<number | undefined> =>
    (
      await db
        .selectFrom("lic_quotas")
        .select("quota")
        .where("department", "=", department)
        .where("license", "=", license)
        .executeTakeFirst()
    )?.quota,

  findByCode: async (db: Db, department: string, license: string): Promise<number | undefined> =>
    (
      await db
        .selectFrom("lic_quotas as q")
        .innerJoin("org_departments as d", "d.ordinal", "q.department")
        .innerJoin("lic_licenses as l", "l.ordinal", "q.license")
        .select("q.quota")
        .where("d.code", "=", department)
        .where("l.code", "=", license)
        .executeTakeFirst()
    )?.quota,

  ofDepartments: (db: Db, dialect: DialectName, departments: readonly number[]) =>
    db
      .selectFrom("lic_quotas")
      .selectAll()
      .where(inSet(dialect, "lic_quotas.department", departments))
      .orderBy("license")
      .execute(),

  removeDepartments: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    trx
      .deleteFrom("lic_quotas")
      .where(inSet(dialect, "lic_quotas.department", departments))
      .execute(),

  set: (trx: Trx, row: Schema["lic_quotas"]) =>
    trx
      .insertInto("lic_quotas")
      .values(row)
      .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ quota: row.quota }))
      .execute(),

  setAll: (db: Database, trx: Trx, rows: readonly Schema["lic_quotas"][]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_quotas",
        columns: [integer("department"), integer("license"), integer("quota")],
        conflict: ["department", "license"],
        update: { quota: "replace" },
      },
      rows.map((row) => [row.department, row.license, row.quota]),
    ),

  removeOf: (trx: Trx, dialect: DialectName, department: number, licenses: readonly number[]) =>
    trx
      .deleteFrom("lic_quotas")
      .where("department", "=", department)
      .where(inSet(dialect, "lic_quotas.license", licenses))
      .execute(),
};
