/**
 * Purpose: at a company: books what its group bought for it - an entitlement for each part of an order.
 * Invariants: each part is booked once, however often it comes, in one transaction with the note that it was; what was booked last, and from which
 * position version on it shows, is what the company tells the group when it asks for more.
 */
import { metrics, type CompanyOrder, type Metric } from "@daicho/protocol";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { recordingTime, touchPositions, type Entitlements } from "../licenses/index.ts";
import { poolingStore as store } from "./store.ts";

export interface Bookkeeping {
  /** The newest part booked, and the position version from which on everything booked shows; nothing yet: "" and 0. */
  newest(): Promise<{ readonly after: string; readonly version: number }>;
  /** Answers how many of these were new. */
  book(orders: readonly CompanyOrder[]): Promise<number>;
  /** The same inside a transaction that holds the ledger; answers the position version that has them. */
  bookWithin(trx: Trx, orders: readonly CompanyOrder[]): Promise<{ readonly booked: number; readonly version: number }>;
}

export function createBookkeeping(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly entitlements: Entitlements;
}): Bookkeeping {
  const { db, clock, events, entitlements } = deps;

  const bookWithin: Bookkeeping["bookWithin"] = async (trx, orders) => {
    const at = await recordingTime(trx, clock.now());
    const known = await store.bookedAmong(
      trx,
      orders.map((order) => order.id),
    );
    const fresh = orders.filter((order) => !known.has(order.id));
    if (fresh.length === 0) return { booked: 0, version: 0 };
    const rows = fresh.map((order) => ({ order, entitlement: newId(at) }));
    const written = await entitlements.write(
      trx,
      rows.map(({ order, entitlement }) => ({
        id: entitlement,
        license: order.license,
        metric: metricOf(order),
        quantity: order.quantity,
        unitPrice: order.unitPrice,
        currency: order.currency,
        purchasedAt: Date.parse(order.at),
        order: order.order,
      })),
      { mode: "create", at },
    );
    if (written.faults[0] !== undefined) throw serverErrors.make("conflict", { reason: written.faults[0].message });
    const version = await touchPositions(db, trx, at, { entitlements: true });
    await store.insertBooked(
      trx,
      rows.map(({ order, entitlement }) => ({ id: order.id, entitlement, version, at })),
    );
    return { booked: fresh.length, version };
  };

  return {
    bookWithin,

    async newest() {
      const row = await store.newestBooked(db.kysely, db.dialect);
      return { after: row?.id ?? "", version: row?.version ?? 0 };
    },

    async book(orders) {
      if (orders.length === 0) return 0;
      const { booked } = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        return bookWithin(trx, orders);
      });
      if (booked > 0) events.emit("positions-changed", {});
      return booked;
    },
  };
}

/** A newer group may know metrics that this company does not. */
function metricOf({ metric }: CompanyOrder): Metric {
  return (metrics as readonly string[]).includes(metric) ? (metric as Metric) : "device";
}
