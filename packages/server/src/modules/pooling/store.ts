/** Purpose: price tiers, group orders and what became of them as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { among, byBytes } from "../../db/sets.ts";
import type { PoolingTables } from "./tables.ts";

type Db = Kysely<Schema> | Trx;
export type TierRow = PoolingTables["pool_tiers"];
export type PooledOrderRow = PoolingTables["pool_orders"];
export type GrantRow = PoolingTables["pool_grants"];
/** A company's part with what it shares with the order. */
export type CompanyPartRow = Pick<GrantRow, "id" | "metric" | "quantity" | "amount"> &
  Pick<PooledOrderRow, "order_no" | "period" | "license" | "unit_price" | "currency" | "at">;

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

  /** Reversed ones, too. */
  ordersOfPeriod: (db: Db, period: string) =>
    db.selectFrom("pool_orders").selectAll().where("period", "=", period).execute(),

  ordersOfKey: (db: Db, idempotency: string) =>
    db.selectFrom("pool_orders").selectAll().where("idempotency", "=", idempotency).execute(),

  /** By id or order number. */
  orderNamed: (db: Db, name: string) =>
    db
      .selectFrom("pool_orders")
      .selectAll()
      .where((eb) => eb.or([eb("id", "=", name), eb("order_no", "=", name)]))
      .executeTakeFirst(),

  insertOrder: (trx: Trx, row: PooledOrderRow) => trx.insertInto("pool_orders").values(row).execute(),

  setState: (trx: Trx, id: string, { state, supplier_order }: Pick<PooledOrderRow, "state" | "supplier_order">) =>
    trx.updateTable("pool_orders").set({ state, supplier_order }).where("id", "=", id).execute(),

  insertGrants: (trx: Trx, rows: readonly GrantRow[]) => trx.insertInto("pool_grants").values(rows).execute(),

  grantsOf: (db: Db, orders: readonly string[]) =>
    db
      .selectFrom("pool_grants")
      .selectAll()
      .where(among(db, "order_id", orders))
      .orderBy("id")
      .execute(),

  setReversal: (trx: Trx, part: string, reversal: string) =>
    trx.updateTable("pool_grants").set({ reversal_id: reversal }).where("id", "=", part).execute(),

  newestGrant: async (db: Db, dialect: DialectName): Promise<string | undefined> =>
    (
      await db
        .selectFrom("pool_grants")
        .select("id")
        .orderBy(byBytes(dialect, "pool_grants.id"), "desc")
        .limit(1)
        .executeTakeFirst()
    )?.id,

  newestReversal: async (db: Db, dialect: DialectName): Promise<string | null | undefined> =>
    (
      await db
        .selectFrom("pool_grants")
        .select("reversal_id")
        .where("reversal_id", "is not", null)
        .orderBy(byBytes(dialect, "pool_grants.reversal_id"), "desc")
        .limit(1)
        .executeTakeFirst()
    )?.reversal_id,

  /** Every part, with the versions of the company's positions that have it, and have it no more. */
  granted: (db: Db) =>
    db
      .selectFrom("pool_grants as g")
      .innerJoin("pool_orders as o", "o.id", "g.order_id")
      .select(["g.company", "o.license", "g.quantity", "g.booked_version", "g.reversal_id", "g.reversal_version"])
      .execute(),

  /** What a company has not fetched yet, oldest first. */
  partsAfter: (db: Db, dialect: DialectName, company: string, after: string, limit: number) =>
    db
      .selectFrom("pool_grants as g")
      .innerJoin("pool_orders as o", "o.id", "g.order_id")
      .select(["g.id", "g.metric", "g.quantity", "g.amount"])
      .select(["o.order_no", "o.period", "o.license", "o.unit_price", "o.currency", "o.at"])
      .where("g.company", "=", company)
      .where("g.reversal_id", "is", null)
      .where(sql<boolean>`${byBytes(dialect, "g.id")} > ${after}`)
      .orderBy(byBytes(dialect, "g.id"))
      .limit(limit)
      .execute(),

  reversalsAfter: async (db: Db, dialect: DialectName, company: string, after: string, limit: number) =>
    (
      await db
        .selectFrom("pool_grants")
        .select(["id", "reversal_id"])
        .where("company", "=", company)
        .where("reversal_id", "is not", null)
        .where(sql<boolean>`${byBytes(dialect, "pool_grants.reversal_id")} > ${after}`)
        .orderBy(byBytes(dialect, "pool_grants.reversal_id"))
        .limit(limit)
        .execute()
    ).map(({ id, reversal_id }) => ({ id: reversal_id as string, part: id })),

  /** The company has booked everything up to here, and its positions of this version show it. Of what was reversed first that is not known. */
  async setBooked(db: Db, dialect: DialectName, company: string, upTo: string, version: number): Promise<void> {
    await db
      .updateTable("pool_grants")
      .set({ booked_version: version })
      .where("company", "=", company)
      .where("booked_version", "is", null)
      .where("reversal_id", "is", null)
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

  /** The company has taken back everything that was reversed up to here. */
  async setTakenBack(db: Db, dialect: DialectName, company: string, upTo: string, version: number): Promise<void> {
    await db
      .updateTable("pool_grants")
      .set({ reversal_version: version })
      .where("company", "=", company)
      .where("reversal_id", "is not", null)
      .where("reversal_version", "is", null)
      .where(sql<boolean>`${byBytes(dialect, "pool_grants.reversal_id")} <= ${upTo}`)
      .execute();
  },

  /** One that is set back to an older copy has to take it back again. */
  async setNotTakenBack(db: Db, dialect: DialectName, company: string, after: string): Promise<void> {
    await db
      .updateTable("pool_grants")
      .set({ reversal_version: null })
      .where("company", "=", company)
      .where("reversal_version", "is not", null)
      .where(sql<boolean>`${byBytes(dialect, "pool_grants.reversal_id")} > ${after}`)
      .execute();
  },

  word: (db: Db) => db.selectFrom("pool_word").select(["pooled", "count"]).where("id", "=", 1).executeTakeFirst(),

  setWord: (trx: Trx, word: Omit<PoolingTables["pool_word"], "id">) =>
    trx
      .insertInto("pool_word")
      .values({ id: 1, ...word })
      .onConflict((c) => c.column("id").doUpdateSet(word))
      .execute(),

  newestBooked: (db: Db, dialect: DialectName) =>
    db
      .selectFrom("pool_booked")
      .select(["id", "version"])
      .orderBy(byBytes(dialect, "pool_booked.id"), "desc")
      .limit(1)
      .executeTakeFirst(),

  newestReversed: (db: Db, dialect: DialectName) =>
    db
      .selectFrom("pool_reversed")
      .select(["id", "version"])
      .orderBy(byBytes(dialect, "pool_reversed.id"), "desc")
      .limit(1)
      .executeTakeFirst(),

  bookedAmong: (db: Db, parts: readonly string[]) =>
    db
      .selectFrom("pool_booked")
      .select(["id", "entitlement"])
      .where(among(db, "id", parts))
      .execute(),

  reversedAmong: (db: Db, parts: readonly string[]) =>
    db
      .selectFrom("pool_reversed")
      .select("part")
      .where(among(db, "part", parts))
      .execute(),

  insertBooked: (trx: Trx, rows: readonly PoolingTables["pool_booked"][]) =>
    trx.insertInto("pool_booked").values(rows).execute(),

  insertReversed: (trx: Trx, rows: readonly PoolingTables["pool_reversed"][]) =>
    trx.insertInto("pool_reversed").values(rows).execute(),
};
