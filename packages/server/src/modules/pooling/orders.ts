/**
 * Purpose: at a group: orders that were made - read back, placed, or taken back until they are placed.
 * Invariants: a reversal is one transaction and goes to every company of the order, also to one that has not booked its part yet: what it has not
 * fetched it never gets, what it booked it takes out of its books, each once. A reversed order leaves its period free for another.
 */
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { page, type Page } from "../../db/page.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import { orderOf, type GroupOrder } from "./answer.ts";
import { risingIds } from "./ids.ts";
import type { OwnCompany } from "./own.ts";
import { poolingStore as store, type PooledOrderRow } from "./store.ts";

export interface GroupOrderBook {
  orders(
    query: ListQuery & { readonly period?: string; readonly license?: string; readonly state?: string },
  ): Promise<Page<GroupOrder>>;
  /** By id or order number. */
  orderNamed(name: string): Promise<GroupOrder | undefined>;
  /** The order went to the supplier. @throws not-found, conflict */
  place(name: string, supplierOrder?: string): Promise<GroupOrder>;
  /** @throws not-found, conflict */
  reverse(name: string): Promise<GroupOrder>;
}

export function createGroupOrderBook(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly own: OwnCompany;
  readonly announce: () => void;
}): GroupOrderBook {
  const { db, clock, events, own } = deps;

  return {
    async orders(query) {
      let select = store.orders(db.kysely);
      if (query.period !== undefined) select = select.where("o.period", "=", query.period);
      if (query.license !== undefined) select = select.where("o.license", "=", query.license);
      if (query.state !== undefined) select = select.where("o.state", "=", query.state);
      const listed = await page(select, {
        dialect: db.dialect,
        query,
        fields: { order: { column: "o.order_no" }, period: { column: "o.period" }, license: { column: "o.license" } },
      });
      const ids = listed.rows.map((row) => row.id);
      const grants = ids.length === 0 ? [] : await store.grantsOf(db.kysely, ids);
      return { ...listed, rows: listed.rows.map((row) => orderOf(row, grants)) };
    },

    orderNamed: (name) =>
      db.snapshot(async (trx) => {
        const row = await store.orderNamed(trx, name);
        return row === undefined ? undefined : read(trx, row);
      }),

    place: (name, supplierOrder) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, name);
        if (row.state === "reversed") throw conflict(`Order ${row.order_no} was reversed: there is nothing to place`);
        if (supplierOrder !== undefined && (row.supplier_order ?? supplierOrder) !== supplierOrder)
          throw conflict(`Order ${row.order_no} is placed under ${row.supplier_order}`);
        const placed = { ...row, state: "placed", supplier_order: supplierOrder ?? row.supplier_order };
        await store.setState(trx, row.id, placed);
        return read(trx, placed);
      }),

    async reverse(name) {
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, name);
        if (row.state === "placed") throw conflict(`Order ${row.order_no} is placed: it cannot be reversed any more`);
        if (row.state === "reversed") return { order: await read(trx, row), changed: false };
        const reversed = { ...row, state: "reversed" };
        await store.setState(trx, row.id, reversed);
        const ids = await risingIds(trx, db.dialect, clock.now());
        const parts = (await store.grantsOf(trx, [row.id])).map((part) => ({ ...part, reversal_id: ids.next() }));
        for (const part of parts) await store.setReversal(trx, part.id, part.reversal_id);
        return { order: orderOf(reversed, await own.takeBack(trx, parts)), changed: true };
      });
      if (done.changed) {
        deps.announce();
        events.emit("positions-changed", {});
      }
      return done.order;
    },
  };

  async function found(trx: Trx, name: string): Promise<PooledOrderRow> {
    const row = await store.orderNamed(trx, name);
    if (row === undefined) throw serverErrors.make("not-found", { what: "group order", id: name });
    return row;
  }
}

async function read(trx: Trx, row: PooledOrderRow): Promise<GroupOrder> {
  return orderOf(row, await store.grantsOf(trx, [row.id]));
}

function conflict(reason: string): Error {
  return serverErrors.make("conflict", { reason });
}
