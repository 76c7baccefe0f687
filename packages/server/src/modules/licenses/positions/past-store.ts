/** Purpose: what positions of the past are made of, as rows; one query per method. Everything here runs inside one snapshot. */
import type { Trx } from "../../../db/database.ts";
import type { DialectName } from "../../../db/dialect.ts";
import { inSet } from "../../../db/sets.ts";

export const pastStore = {
  /** What licences were until each of these moments, in the order in which it was recorded. */
  licenseHistory: (trx: Trx, after: number) =>
    trx
      .selectFrom("lic_license_history")
      .select(["id", "license", "name", "metric", "managed", "until"])
      .where("until", ">", after)
      .orderBy("id")
      .execute(),

  departmentHistory: (trx: Trx, after: number) =>
    trx
      .selectFrom("org_department_history")
      .select(["id", "department", "code", "name", "parent", "until"])
      .where("until", ">", after)
      .orderBy("id")
      .execute(),

  departments: (trx: Trx) =>
    trx
      .selectFrom("org_departments")
      .select(["ordinal", "code", "name", "parent", "created_at"])
      .orderBy("ordinal")
      .execute(),

  /** The highest ordinal of a device that uses or used something. */
  async lastDevice(trx: Trx): Promise<number> {
    const open = await trx
      .selectFrom("lic_repository")
      .select((eb) => eb.fn.max("device").as("device"))
      .executeTakeFirst();
    const closed = await trx
      .selectFrom("lic_history")
      .select((eb) => eb.fn.max("device").as("device"))
      .executeTakeFirst();
    return Math.max(Number(open?.device ?? 0), Number(closed?.device ?? 0));
  },

  /** Of the devices (after, upTo] the intervals that are open and began by `at`. */
  open: (trx: Trx, after: number, upTo: number, at: number) =>
    trx
      .selectFrom("lic_repository")
      .select(["device", "since", "employee", "department", "licenses", "cause"])
      .where("device", ">", after)
      .where("device", "<=", upTo)
      .where("since", "<=", at)
      .orderBy("device")
      .execute(),

  /** Of the devices (after, upTo] the closed intervals that began by `began` and ended later than `ended`. */
  closed: (trx: Trx, after: number, upTo: number, began: number, ended: number) =>
    trx
      .selectFrom("lic_history")
      .select(["device", "since", "until", "employee", "department", "licenses", "cause", "closed"])
      .where("device", ">", after)
      .where("device", "<=", upTo)
      .where("until", ">", ended)
      .where("since", "<=", began)
      .orderBy("device")
      .orderBy("until")
      .execute(),

  /** For each licence of some departments the first values that were replaced after the moment: what was true at it. */
  rightsAt: (trx: Trx, dialect: DialectName, departments: readonly number[], at: number) =>
    trx
      .selectFrom("lic_rights_history as h")
      .innerJoin(
        (eb) =>
          eb
            .selectFrom("lic_rights_history")
            .select((e) => ["department", "license", e.fn.min("id").as("id")])
            .where(inSet(dialect, "lic_rights_history.department", departments))
            .where("until", ">", at)
            .groupBy(["department", "license"])
            .as("f"),
        (join) => join.onRef("f.id", "=", "h.id"),
      )
      .select(["h.department", "h.license", "h.rights", "h.required", "h.requested"])
      .execute(),

  /** What departments might use until each of these moments in (from, to], in the order in which it was recorded. */
  rightsBetween: (trx: Trx, dialect: DialectName, departments: readonly number[], from: number, to: number) =>
    trx
      .selectFrom("lic_rights_history")
      .selectAll()
      .where(inSet(dialect, "lic_rights_history.department", departments))
      .where("until", ">", from)
      .where("until", "<=", to)
      .orderBy("id")
      .execute(),

  /** Versions of entitlements that were recorded by `to` and replaced later than `from`, if at all. */
  entitlementsBetween: (trx: Trx, from: number, to: number, after: string, limit: number) =>
    trx
      .selectFrom("lic_entitlements")
      .select([
        "id",
        "license",
        "metric",
        "quantity",
        "pack_size",
        "starts_at",
        "expires_at",
        "created_at",
        "replaced_at",
      ])
      .where("created_at", "<=", to)
      .where((eb) => eb.or([eb("replaced_at", "is", null), eb("replaced_at", ">", from)]))
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute(),

  deviceIds: (trx: Trx, dialect: DialectName, devices: readonly number[]) =>
    trx
      .selectFrom("dev_devices")
      .select(["ordinal", "id"])
      .where(inSet(dialect, "dev_devices.ordinal", devices))
      .execute(),

  employeeIds: (trx: Trx, dialect: DialectName, employees: readonly number[]) =>
    trx
      .selectFrom("org_employees")
      .select(["ordinal", "id"])
      .where(inSet(dialect, "org_employees.ordinal", employees))
      .execute(),

  /** Entitlements as they were recorded at the moment. */
  entitlementsAt: (trx: Trx, at: number, after: string, limit: number) =>
    trx
      .selectFrom("lic_entitlements")
      .selectAll()
      .where("created_at", "<=", at)
      .where((eb) => eb.or([eb("replaced_at", "is", null), eb("replaced_at", ">", at)]))
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute(),
};
