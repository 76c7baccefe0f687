/** Purpose: what positions are made of, as rows; one query per method. Everything here runs inside one snapshot. */
import { sql, type Kysely, type SqlBool } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";
import { everythingScope, touchesScope } from "../version.ts";

export const positionStore = {
  version: (db: Kysely<Schema> | Trx) =>
    db.selectFrom("lic_version").select(["version", "changed_at"]).where("id", "=", 1).executeTakeFirstOrThrow(),

  /** Scopes that changed after `version`, and the count of touches. */
  marks: (trx: Trx, version: number) =>
    trx
      .selectFrom("lic_marks")
      .select(["scope", "version"])
      .where((eb) => eb.or([eb("version", ">", version), eb("scope", "in", [touchesScope, everythingScope])]))
      .execute(),

  licenses: (trx: Trx) => trx.selectFrom("lic_licenses").selectAll().orderBy("ordinal").execute(),

  departments: (trx: Trx) =>
    trx.selectFrom("org_departments").select(["ordinal", "code", "name", "parent"]).orderBy("ordinal").execute(),

  entitlements: (trx: Trx, after: string, limit: number) =>
    trx
      .selectFrom("lic_entitlements")
      .select(["id", "license", "metric", "quantity", "pack_size", "starts_at", "expires_at"])
      .where("replaced_at", "is", null)
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute(),

  usage: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    trx
      .selectFrom("lic_usage")
      .selectAll()
      .where(inSet(dialect, "lic_usage.department", departments))
      .where("used", "<>", 0)
      .orderBy("department")
      .orderBy("license")
      .execute(),

  rights: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    trx
      .selectFrom("lic_rights")
      .selectAll()
      .where(inSet(dialect, "lic_rights.department", departments))
      .orderBy("department")
      .orderBy("license")
      .execute(),

  userUsage: (
    trx: Trx,
    after: { readonly employee: number; readonly department: number; readonly license: number } | undefined,
    limit: number,
  ) =>
    trx
      .selectFrom("lic_user_usage")
      .selectAll()
      .$if(after !== undefined, (q) =>
        q.where(
          sql<SqlBool>`(employee, department, license) > (${after?.employee}, ${after?.department}, ${after?.license})`,
        ),
      )
      .orderBy("employee")
      .orderBy("department")
      .orderBy("license")
      .limit(limit)
      .execute(),

  usedDepartments: async (trx: Trx): Promise<number[]> =>
    (await trx.selectFrom("lic_usage").select("department").distinct().orderBy("department").execute()).map(
      (row) => row.department,
    ),

  deviceCount: async (trx: Trx): Promise<number> =>
    (
      await trx
        .selectFrom("dev_devices")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .where("state", "<>", "disposed")
        .executeTakeFirstOrThrow()
    ).count,

  /** Open intervals above `after` with whom the ledger says the device counts for. */
  intervals: (trx: Trx, after: number, limit: number) =>
    trx
      .selectFrom("lic_repository as r")
      .leftJoin("dev_devices as v", "v.ordinal", "r.device")
      .leftJoin("org_employees as e", "e.ordinal", "v.employee")
      .leftJoin("dev_handovers as h", (join) => join.onRef("h.device", "=", "r.device").on("h.done_at", "is", null))
      .select([
        "r.device",
        "r.department",
        "r.employee",
        "v.id",
        "v.state",
        sql<number | null>`case when h.device is null then v.employee else 0 end`.as("ledger_employee"),
        sql<number>`coalesce(e.department, v.department, 0)`.as("ledger_department"),
      ])
      .where("r.device", ">", after)
      .orderBy("r.device")
      .limit(limit)
      .execute(),
};
