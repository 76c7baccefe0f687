/** Purpose: quotas per department and licence as rows: how many rights and requested together may be at most. No row = no quota. */
import type { Kysely } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { DialectName } from "../../../db/dialect.ts";
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

  ordinals: (db: Db, department: string, license: string) =>
    db
      .selectFrom(["org_departments as d", "lic_licenses as l"])
      .select(["d.ordinal as department", "l.ordinal as license"])
      .where("d.code", "=", department)
      .where("l.code", "=", license)
      .executeTakeFirst(),

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

  remove: (trx: Trx, department: number, license: number) =>
    trx.deleteFrom("lic_quotas").where("department", "=", department).where("license", "=", license).execute(),
};
