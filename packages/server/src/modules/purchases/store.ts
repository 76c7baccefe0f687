/** Purpose: purchase runs as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import { integer, text, type DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";
import type { PurchaseTables } from "./tables.ts";

type Db = Kysely<Schema> | Trx;
export type RunRow = PurchaseTables["pur_runs"];
export type RunOrderRow = PurchaseTables["pur_orders"];
export type RunChargebackRow = PurchaseTables["pur_chargebacks"];
export type RunRightsRow = PurchaseTables["pur_rights"];
export type RunMovedRow = PurchaseTables["pur_rights_moved"];

const reversibleRuns = sql<string>`(select id from pur_runs where state = 'done')`;

export const purchaseStore = {
  run: (db: Db, id: string) => db.selectFrom("pur_runs").selectAll().where("id", "=", id).executeTakeFirst(),

  runOfPeriod: (db: Db, period: string) =>
    db
      .selectFrom("pur_runs")
      .selectAll()
      .where("period", "=", period)
      .where("state", "<>", "reversed")
      .executeTakeFirst(),

  /** Reversed ones, too. */
  runsOfPeriod: async (db: Db, period: string): Promise<number> =>
    Number(
      (
        await db
          .selectFrom("pur_runs")
          .select(({ fn }) => fn.countAll<number>().as("count"))
          .where("period", "=", period)
          .executeTakeFirstOrThrow()
      ).count,
    ),

  runOfKey: (db: Db, idempotency: string) =>
    db.selectFrom("pur_runs").selectAll().where("idempotency", "=", idempotency).executeTakeFirst(),

  insertRun: (trx: Trx, row: RunRow) => trx.insertInto("pur_runs").values(row).execute(),

  setState: (trx: Trx, id: string, state: string, at: number) =>
    trx.updateTable("pur_runs").set({ state, changed_at: at }).where("id", "=", id).execute(),

  setSupplierOrder: (trx: Trx, run: string, supplier: string) =>
    trx.updateTable("pur_orders").set({ supplier_order: supplier }).where("run", "=", run).execute(),

  insertOrders: (db: Database, trx: Trx, rows: readonly RunOrderRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "pur_orders",
        columns: [
          text("run"),
          integer("license"),
          text("order_no"),
          integer("quantity"),
          integer("pack_size"),
          integer("unit_price"),
          integer("amount"),
          text("currency"),
          text("entitlement"),
        ],
      },
      rows.map((r) => [
        ...[r.run, r.license, r.order_no, r.quantity, r.pack_size],
        ...[r.unit_price, r.amount, r.currency, r.entitlement],
      ]),
    ),

  insertChargebacks: (db: Database, trx: Trx, rows: readonly RunChargebackRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "pur_chargebacks",
        columns: [
          text("id"),
          text("run"),
          integer("license"),
          integer("department"),
          text("department_code"),
          text("cost_centre"),
          integer("quantity"),
          integer("amount"),
          text("currency"),
        ],
      },
      rows.map((r) => [
        ...[r.id, r.run, r.license, r.department, r.department_code, r.cost_centre],
        ...[r.quantity, r.amount, r.currency],
      ]),
    ),

  insertRights: (db: Database, trx: Trx, rows: readonly RunRightsRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "pur_rights",
        columns: [
          text("run"),
          integer("place"),
          integer("license"),
          integer("department"),
          text("department_code"),
          integer("rights_before"),
          integer("rights_after"),
          integer("requested_before"),
          integer("requested_after"),
        ],
      },
      rows.map((r) => [
        ...[r.run, r.place, r.license, r.department, r.department_code],
        ...[r.rights_before, r.rights_after, r.requested_before, r.requested_after],
      ]),
    ),

  /** Runs with what each bought, one row per currency; a run that bought nothing has one without. */
  runs: (db: Db) =>
    db
      .selectFrom("pur_runs as r")
      .select(["r.id", "r.period", "r.state", "r.at", "r.version", "r.changed_at"])
      .select((eb) =>
        eb
          .selectFrom("pur_orders as o")
          .whereRef("o.run", "=", "r.id")
          .select(({ fn }) => fn.countAll<number>().as("count"))
          .as("orders"),
      ),

  amountsOf: (db: Db, runs: readonly string[]) =>
    db
      .selectFrom("pur_orders")
      .select(["run", "currency", sql<number>`cast(sum(amount) as bigint)`.as("amount")])
      .where("run", "in", runs)
      .groupBy(["run", "currency"])
      .orderBy("currency")
      .execute(),

  orders: (db: Db) =>
    db
      .selectFrom("pur_orders as o")
      .innerJoin("pur_runs as r", "r.id", "o.run")
      .innerJoin("lic_licenses as l", "l.ordinal", "o.license")
      .select([
        "o.order_no",
        "o.run",
        "r.period",
        "r.state",
        "r.at",
        "l.code as license",
        "o.license as license_ordinal",
        "o.quantity",
        "o.pack_size",
        "o.unit_price",
        "o.amount",
        "o.currency",
        "o.entitlement",
        "o.supplier_order",
      ]),

  ordersOfRun: (db: Db, run: string) =>
    db.selectFrom("pur_orders").selectAll().where("run", "=", run).orderBy("order_no").execute(),

  chargebacks: (db: Db) =>
    db
      .selectFrom("pur_chargebacks as c")
      .innerJoin("pur_runs as r", "r.id", "c.run")
      .innerJoin("lic_licenses as l", "l.ordinal", "c.license")
      .select([
        "c.id",
        "c.run",
        "r.period",
        "r.state",
        "r.at",
        "c.department_code as department",
        "c.cost_centre",
        "l.code as license",
        "c.quantity",
        "c.amount",
        "c.currency",
      ]),

  /** Of one run, in their order, after `place`. */
  rightsAfter: (db: Db, run: string, place: number, limit: number) =>
    db
      .selectFrom("pur_rights as p")
      .innerJoin("lic_licenses as l", "l.ordinal", "p.license")
      .selectAll("p")
      .select("l.code")
      .where("p.run", "=", run)
      .where("p.place", ">", place)
      .orderBy("p.place")
      .limit(limit)
      .execute(),

  /** Ids of the runs that may still be reversed, newest first. */
  reversible: async (trx: Trx): Promise<readonly string[]> =>
    (
      await trx
        .selectFrom("pur_runs")
        .select("id")
        .where("state", "=", "done")
        .orderBy("at", "desc")
        .orderBy("id", "desc")
        .execute()
    ).map(({ id }) => id),

  /** What those runs gave these departments of these licences; two rows of one pair add up. */
  claims: async (
    trx: Trx,
    dialect: DialectName,
    of: { readonly departments: readonly number[]; readonly licenses: readonly number[] },
  ): Promise<readonly RunMovedRow[]> => [
    ...(await trx
      .selectFrom("pur_rights")
      .select(["run", "license", "department", sql<number>`rights_after - rights_before`.as("rights")])
      .where(inSet(dialect, "pur_rights.department", of.departments))
      .where(inSet(dialect, "pur_rights.license", of.licenses))
      .where("run", "in", reversibleRuns)
      .execute()),
    ...(await trx
      .selectFrom("pur_rights_moved")
      .selectAll()
      .where(inSet(dialect, "pur_rights_moved.department", of.departments))
      .where(inSet(dialect, "pur_rights_moved.license", of.licenses))
      .where("run", "in", reversibleRuns)
      .execute()),
  ],

  /** Of runs that may still be reversed. */
  handRights: async (trx: Trx, dialect: DialectName, former: readonly number[], heir: number): Promise<void> => {
    for (const table of ["pur_rights", "pur_rights_moved"] as const)
      await trx
        .updateTable(table)
        .set({ department: heir })
        .where(inSet(dialect, `${table}.department`, former))
        .where("run", "in", reversibleRuns)
        .execute();
  },

  insertMoved: (db: Database, trx: Trx, rows: readonly RunMovedRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "pur_rights_moved",
        columns: [text("run"), integer("license"), integer("department"), integer("rights")],
      },
      rows.map((r) => [r.run, r.license, r.department, r.rights]),
    ),

  moved: (trx: Trx, run: string) => trx.selectFrom("pur_rights_moved").selectAll().where("run", "=", run).execute(),

  dissolved: (db: Db) =>
    db.selectFrom("org_departments").select("ordinal").where("dissolved_at", "is not", null).execute(),

  departments: (db: Db) => db.selectFrom("org_departments").select(["ordinal", "parent", "cost_centre"]).execute(),

  seenAt: (db: Db) => db.selectFrom("pur_schedule").select("seen_at").where("id", "=", 1).executeTakeFirst(),

  setSeenAt: (db: Db, at: number) =>
    db
      .insertInto("pur_schedule")
      .values({ id: 1, seen_at: at })
      .onConflict((c) => c.column("id").doUpdateSet({ seen_at: at }).where("pur_schedule.seen_at", "<", at))
      .execute(),
};
