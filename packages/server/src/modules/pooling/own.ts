/**
 * Purpose: at a server that is group and company in one: its own part of an order is booked, and taken back, in the transaction of the order.
 * A group that is no company of its own has nothing to book.
 */
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import { companyOrder } from "./answer.ts";
import type { Bookkeeping } from "./bookkeeping.ts";
import { poolingStore as store, type GrantRow, type PooledOrderRow } from "./store.ts";

export interface OwnCompany {
  /** Answers the parts as they are then. */
  book(trx: Trx, orders: readonly PooledOrderRow[], parts: readonly GrantRow[]): Promise<GrantRow[]>;
  takeBack(trx: Trx, parts: readonly GrantRow[]): Promise<GrantRow[]>;
}

export function createOwnCompany(deps: {
  readonly dialect: DialectName;
  readonly own: { readonly name: string; readonly books: Bookkeeping } | undefined;
}): OwnCompany {
  const { dialect, own } = deps;
  return {
    async book(trx, orders, parts) {
      const byId = new Map(orders.map((order) => [order.id, order]));
      const mine = parts.filter((part) => part.company === own?.name);
      const last = mine[mine.length - 1];
      if (own === undefined || last === undefined) return [...parts];
      const { version } = await own.books.within(trx, {
        orders: mine.map((part) => companyOrder({ ...(byId.get(part.order_id) as PooledOrderRow), ...part })),
        reversals: [],
      });
      await store.setBooked(trx, dialect, own.name, last.id, version);
      return parts.map((part) => (part.company === own.name ? { ...part, booked_version: version } : part));
    },

    async takeBack(trx, parts) {
      const mine = parts.flatMap(({ company, id, reversal_id }) =>
        company === own?.name && reversal_id !== null ? [{ id: reversal_id, part: id }] : [],
      );
      const last = mine[mine.length - 1];
      if (own === undefined || last === undefined) return [...parts];
      const { version } = await own.books.within(trx, { orders: [], reversals: mine });
      await store.setTakenBack(trx, dialect, own.name, last.id, version);
      return parts.map((part) => (part.company === own.name ? { ...part, reversal_version: version } : part));
    },
  };
}
