/** Purpose: merges and offers as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { Schema } from "../../../db/schema.ts";

type Db = Kysely<Schema> | Trx;

export const mergeStore = {
  device: (db: Db, id: string) =>
    db.selectFrom("dev_devices").select(["ordinal", "id", "merged_into"]).where("id", "=", id).executeTakeFirst(),

  setMergedInto: (trx: Trx, device: number, into: number | null) =>
    trx.updateTable("dev_devices").set({ merged_into: into }).where("ordinal", "=", device).execute(),

  insert: (trx: Trx, row: Omit<Schema["dev_merges"], "ordinal" | "undone_at">) =>
    trx
      .insertInto("dev_merges")
      .values({ ...row, undone_at: null })
      .execute(),

  setUndone: (trx: Trx, id: string, at: number) =>
    trx.updateTable("dev_merges").set({ undone_at: at }).where("id", "=", id).execute(),

  list: (db: Db) =>
    db
      .selectFrom("dev_merges as m")
      .innerJoin("dev_devices as k", "k.ordinal", "m.kept")
      .innerJoin("dev_devices as g", "g.ordinal", "m.gone")
      .leftJoin("inv_heads as h", "h.device", "m.gone")
      .select([
        "m.ordinal",
        "m.id",
        "m.kept",
        "m.gone",
        "m.exchanged",
        "m.allocations",
        "m.at",
        "m.undone_at",
        "k.id as keptId",
        "k.merged_into as keptMergedInto",
        "g.id as goneId",
        "h.received_at as goneSeen",
      ]),

  /** Offers that are still good: neither device was merged since. */
  offers: (db: Db) =>
    db
      .selectFrom("dev_merge_offers as o")
      .innerJoin("dev_devices as n", "n.ordinal", "o.device")
      .innerJoin("dev_devices as c", "c.ordinal", "o.candidate")
      .leftJoin("inv_heads as hn", "hn.device", "o.device")
      .leftJoin("inv_heads as hc", "hc.device", "o.candidate")
      .select([
        "o.device as ordinal",
        "n.id as from",
        "c.id as keep",
        "o.serial",
        "o.at",
        "hn.received_at as fromSeen",
        "hc.received_at as keepSeen",
      ])
      .where("n.merged_into", "is", null)
      .where("c.merged_into", "is", null),

  insertOffer: (trx: Trx, row: Schema["dev_merge_offers"]) =>
    trx
      .insertInto("dev_merge_offers")
      .values(row)
      .onConflict((c) => c.column("device").doNothing())
      .execute(),

  removeOffer: (trx: Trx, device: number) =>
    trx.deleteFrom("dev_merge_offers").where("device", "=", device).executeTakeFirst(),
};
