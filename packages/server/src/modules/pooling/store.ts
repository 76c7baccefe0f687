/** Purpose: price tiers, group orders and what became of them as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { byBytes } from "../../db/sets.ts";
import type { PoolingTables } from "./tables.ts";

type Db = Kysely<Schema> | Trx;
export type TierRow = PoolingTables["pool_tiers"];
export type PooledOrderRow = PoolingTables["pool_orders"];
export type GrantRow = PoolingTables["pool_grants"];

export const poolingStore = {
  tiers: (db: Db) => db.selectFrom("pool_tiers").selectAll(),

  tiersOf: (db: Db, license: string) =>
    db.selectFrom("pool_tiers").selectAll().where("license", "=", license).executeTakeFirst(),

  saveTiers: (db: Db, row: TierRow) =>
    db
      .insertInto("pool_tiers")
      .values(row)
      .onConflict((c) =>
        c.column("license").doUpdateSet({ currency: row.currency, tiers: row.tiers, changed_at: row.changed_at }),
      )
      .execute(),

  async removeTiers(db: Db, license: string): Promise<boolean> {
    const result = await db.deleteFrom("pool_tiers").where("license", "=", license).executeTakeFirst();
    return Number(result.numDeletedRows) === 1;
  },

  orders: (db: Db) => db.selectFrom("pool_orders as o").selectAll("o"),

  ordersOfPeriod: (db: Db, period: string) =>
    db.selectFrom("pool_orders").selectAll().where("period", "=", period).execute(),

  insertOrder: (trx: Trx, row: PooledOrderRow) => trx.insertInto("pool_orders").values(row).execute(),

  insertGrants: (trx: Trx, rows: readonly GrantRow[]) => trx.insertInto("pool_grants").values(rows).execute(),

  grantsOf: (db: Db, orders: readonly string[]) =>
    db.selectFrom("pool_grants").selectAll().where("order_id", "in", orders).orderBy("id").execute(),

  newestGrant: async (db: Db, dialect: DialectName): Promise<string | undefined> =>
    (
      await db
        .selectFrom("pool_grants")
        .select("id")
        .orderBy(byBytes(dialect, "pool_grants.id"), "desc")
        .limit(1)
        .executeTakeFirst()
    )?.id,

  /** Granted, with the version of the company's positions that has it. */
  grantsByLicense: (db: Db) =>
    db
      .selectFrom("pool_grants as g")
      .innerJoin("pool_orders as o", "o.id", "g.order_id")
      .select(["g.company", "o.license", "g.quantity", "g.booked_version"])
      .execute(),

  /** What a company has not fetched yet, oldest first. */
  grantsAfter: (db: Db, dialect: DialectName, company: string, after: string, limit: number) =>
    db
      .selectFrom("pool_grants as g")
      .innerJoin("pool_orders as o", "o.id", "g.order_id")
      .select(["g.id", "g.metric", "g.quantity", "g.amount"])
      .select(["o.order_no", "o.period", "o.license", "o.unit_price", "o.currency", "o.at"])
      .where("g.company", "=", company)
      .where(sql<boolean>`${byBytes(dialect, "g.id")} > ${after}`)
      .orderBy(byBytes(dialect, "g.id"))
      .limit(limit)
      .execute(),

  /** The company has booked everything up to here, and its positions of this version show it. */
  async setBooked(db: Db, dialect: DialectName, company: string, upTo: string, version: number): Promise<void> {
    await db
      .updateTable("pool_grants")
      .set({ booked_version: version })
      .where("company", "=", company)
      .where("booked_version", "is", null)
      .where(sql<boolean>`${byBytes(dialect, "pool_grants.id")} <= ${upTo}`)
      .execute();
  },

  /** A company set back to an older copy of its data has to book again what came later. */
  async setUnbooked(db: Db, dialect: DialectName, company: string, after: string): Promise<void> {
    await db
      .updateTable("pool_grants")
      .set({ booked_version: null })
      .where("company", "=", company)
      .where("booked_version", "is not", null)
      .where(sql<boolean>`${byBytes(dialect, "pool_grants.id")} > ${after}`)
      .execute();
  },

  newestBooked: (db: Db, dialect: DialectName) =>
    db
      .selectFrom("pool_booked")
      .select(["id", "version"])
      .orderBy(byBytes(dialect, "pool_booked.id"), "desc")
      .limit(1)
      .executeTakeFirst(),

  bookedAmong: async (db: Db, ids: readonly string[]): Promise<ReadonlySet<string>> =>
    new Set((await db.selectFrom("pool_booked").select("id").where("id", "in", ids).execute()).map((row) => row.id)),

  insertBooked: (trx: Trx, rows: readonly PoolingTables["pool_booked"][]) =>
    trx.insertInto("pool_booked").values(rows).execute(),
};
