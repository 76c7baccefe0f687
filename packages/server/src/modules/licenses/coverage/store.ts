/** Purpose: what coverage is worked out from, as rows; one query per method, each as it is now or as it was recorded at a moment. */
import type { DeviceTraits } from "@daicho/licensing";
import type { ExpressionBuilder, Kysely } from "kysely";
import type { Database, Trx } from "../../../db/database.ts";
import { integer, type DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
/** undefined = now. */
type Moment = number | undefined;
/** By id. */
interface Page {
  readonly after: string;
  readonly limit: number;
}

export const coverageStore = {
  /** All that carry rights; and, where licences are named, all of these licences. */
  entitlements: (db: Db, dialect: DialectName, at: Moment, licenses: readonly number[] | undefined, page: Page) =>
    db
      .selectFrom("lic_entitlements")
      .select(["id", "license", "metric", "quantity", "pack_size", "rights", "starts_at", "expires_at"])
      .where((eb) => writtenAt(eb, at))
      .where((eb) =>
        licenses === undefined ? eb("rights", "is not", null) : inSet(dialect, "lic_entitlements.license", licenses),
      )
      .where("id", ">", page.after)
      .orderBy("id")
      .limit(page.limit)
      .execute(),

  allocations: (db: Db, at: Moment, page: Page) =>
    db
      .selectFrom("lic_allocations")
      .select(["id", "license", "entitlement", "device", "employee", "quantity", "since"])
      .where((eb) =>
        at === undefined
          ? eb("until", "is", null)
          : eb.and([eb("since", "<=", at), eb.or([eb("until", "is", null), eb("until", ">", at)])]),
      )
      .where("id", ">", page.after)
      .orderBy("id")
      .limit(page.limit)
      .execute(),

  paths: (db: Db, at: Moment) =>
    db
      .selectFrom("lic_version_paths")
      .select(["name", "licenses"])
      .where((eb) =>
        at === undefined
          ? eb("replaced_at", "is", null)
          : eb.and([eb("created_at", "<=", at), eb.or([eb("replaced_at", "is", null), eb("replaced_at", ">", at)])]),
      )
      .orderBy("name")
      .execute(),

  ofDepartments: (db: Db, dialect: DialectName, departments: readonly number[]) =>
    db
      .selectFrom("lic_repository")
      .select(["device", "employee", "department", "licenses"])
      .where(inSet(dialect, "lic_repository.department", departments))
      .execute(),

  openAfter: (db: Db, device: number, limit: number) =>
    db
      .selectFrom("lic_repository")
      .select(["device", "employee", "department", "licenses"])
      .where("device", ">", device)
      .orderBy("device")
      .limit(limit)
      .execute(),

  /** Intervals that covered the moment, of devices from `first` up to and including `last`. */
  async at(db: Db, at: number, first: number, last: number) {
    const columns = ["device", "employee", "department", "licenses"] as const;
    return [
      ...(await db
        .selectFrom("lic_repository")
        .select(columns)
        .where("device", ">=", first)
        .where("device", "<=", last)
        .where("since", "<=", at)
        .execute()),
      ...(await db
        .selectFrom("lic_history")
        .select(columns)
        .where("device", ">=", first)
        .where("device", "<=", last)
        .where("since", "<=", at)
        .where("until", ">", at)
        .execute()),
    ];
  },

  lastDevice: async (db: Db): Promise<number> =>
    (
      await db
        .selectFrom("dev_devices")
        .select(({ fn }) => fn.max("ordinal").as("last"))
        .executeTakeFirst()
    )?.last ?? 0,

  keepTraits: (
    db: Database,
    trx: Trx,
    rows: readonly { readonly device: number; readonly traits: DeviceTraits }[],
    until: number,
  ) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_traits_history",
        columns: [integer("device"), integer("until"), integer("portable"), integer("virtual")],
      },
      rows.map(({ device, traits }) => [device, until, Number(traits.portable), Number(traits.virtual)]),
    ),

  /** As they were at a moment, of devices whose traits have changed since. */
  async traitsAt(
    db: Db,
    dialect: DialectName,
    devices: readonly number[],
    at: number,
  ): Promise<ReadonlyMap<number, DeviceTraits>> {
    const rows = await db
      .selectFrom("lic_traits_history")
      .select(["device", "portable", "virtual"])
      .where(inSet(dialect, "lic_traits_history.device", devices))
      .where("until", ">", at)
      .orderBy("until", "desc")
      .orderBy("id", "desc")
      .execute();
    // The earliest comes last, and stays.
    return new Map(rows.map((row) => [row.device, { portable: row.portable === 1, virtual: row.virtual === 1 }]));
  },

  machines: (db: Db, dialect: DialectName, devices: readonly number[]) =>
    db
      .selectFrom("inv_states")
      .select(["device", "machine"])
      .where(inSet(dialect, "inv_states.device", devices))
      .execute(),
};

function writtenAt(eb: ExpressionBuilder<Schema, "lic_entitlements">, at: Moment) {
  return at === undefined
    ? eb("replaced_at", "is", null)
    : eb.and([eb("created_at", "<=", at), eb.or([eb("replaced_at", "is", null), eb("replaced_at", ">", at)])]);
}
