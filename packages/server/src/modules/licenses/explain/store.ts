/** Purpose: what an explanation names, as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

export const explainStore = {
  devices: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("dev_devices")
      .select(["ordinal", "id", "hostname"])
      .where(inSet(dialect, "dev_devices.ordinal", devices))
      .execute(),

  employees: (db: Db, dialect: DialectName, employees: readonly number[]) =>
    db
      .selectFrom("org_employees")
      .select(["ordinal", "id"])
      .where(inSet(dialect, "org_employees.ordinal", employees))
      .execute(),

  /** A device of the ledger with what decides for whom it counts, and its open interval. */
  device: (db: Db, id: string) =>
    db
      .selectFrom("dev_devices as v")
      .leftJoin("org_employees as e", "e.ordinal", "v.employee")
      .leftJoin("org_departments as ed", "ed.ordinal", "e.department")
      .leftJoin("org_departments as vd", "vd.ordinal", "v.department")
      .leftJoin("lic_repository as r", "r.device", "v.ordinal")
      .select([
        "v.ordinal",
        "v.id",
        "v.hostname",
        "v.state",
        "e.id as employee",
        "ed.code as employee_department",
        "vd.code as managing_department",
        "r.since",
        "r.employee as counted_employee",
        "r.department as counted_department",
        "r.licenses",
      ])
      .where("v.id", "=", id)
      .executeTakeFirst(),

  /** Since when the device has had what it has now, whoever it counted for: its closed intervals, the latest first. */
  closedIntervals: (db: Db, device: number, before: number, limit: number) =>
    db
      .selectFrom("lic_history")
      .select(["since", "until", "licenses"])
      .where("device", "=", device)
      .where("until", "<=", before)
      .orderBy("until", "desc")
      .orderBy("since", "desc")
      .limit(limit)
      .execute(),

  /** Those of some licences, as they are or were recorded at a moment. */
  entitlements: (db: Db, dialect: DialectName, licenses: readonly number[], at: number | undefined) =>
    db
      .selectFrom("lic_entitlements")
      .select(["id", "license", "quantity", "rights", "starts_at", "expires_at", "contract", "order_no"])
      .where(inSet(dialect, "lic_entitlements.license", licenses))
      .where((eb) =>
        at === undefined
          ? eb("replaced_at", "is", null)
          : eb.and([eb("created_at", "<=", at), eb.or([eb("replaced_at", "is", null), eb("replaced_at", ">", at)])]),
      )
      .execute(),

  /** Of a licence, as they are or were recorded at a moment. */
  allocations: (db: Db, license: number, at: number | undefined) =>
    db
      .selectFrom("lic_allocations as a")
      .leftJoin("dev_devices as d", "d.ordinal", "a.device")
      .leftJoin("org_employees as e", "e.ordinal", "a.employee")
      .select(["a.id", "a.entitlement", "d.id as device", "e.id as employee", "a.quantity", "a.since"])
      .where("a.license", "=", license)
      .where((eb) =>
        at === undefined
          ? eb("a.until", "is", null)
          : eb.and([eb("a.since", "<=", at), eb.or([eb("a.until", "is", null), eb("a.until", ">", at)])]),
      )
      .orderBy("a.id")
      .execute(),
};
