/**
 * Purpose: at a company: books what its group bought for it - an entitlement for each part of an order - and takes out of its books what the group
 * reversed.
 * Invariants: each part is booked once and taken back once, however often it comes, in one transaction with the note that it was; a part whose
 * reversal was seen first is never booked. What was seen last, and from which position version on it shows, is what the company tells the group
 * when it asks for more. What is taken back goes as it is now, edited or not: the licences are not there. Rights that were handed out of it stay
 * until the next run, which hands out only what is held (docs/adr/0008).
 */
import { metrics, type CompanyOrder, type CompanyReversal, type Metric } from "@daicho/protocol";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { recordingTime, touchPositions, type Entitlements } from "../licenses/index.ts";
import type { HeldParts } from "./parts.ts";
import { poolingStore as store } from "./store.ts";

export interface FromGroup {
  readonly orders: readonly CompanyOrder[];
  readonly reversals: readonly CompanyReversal[];
}

export interface Bookkeeping {
  /** What the group is told; nothing yet: "" and 0. */
  held(): Promise<Required<HeldParts>>;
  /** Answers how many of these were new. */
  book(news: FromGroup): Promise<number>;
  /** The same inside a transaction that holds the ledger; answers the position version that has them. */
  within(trx: Trx, news: FromGroup): Promise<{ readonly count: number; readonly version: number }>;
}

export function createBookkeeping(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly entitlements: Entitlements;
}): Bookkeeping {
  const { db, clock, events, entitlements } = deps;

  const within: Bookkeeping["within"] = async (trx, { orders, reversals }) => {
    const at = await recordingTime(trx, clock.now());
    const parts = [...orders.map(({ id }) => id), ...reversals.map(({ part }) => part)];
    const booked = new Map((await store.bookedAmong(trx, parts)).map((row) => [row.id, row.entitlement]));
    const seen = await store.reversedAmong(trx, parts);
    const reversed = new Set(seen.map(({ part }) => part));
    const takingBack = reversals.filter(({ part }) => !reversed.has(part));
    for (const { part } of takingBack) reversed.add(part);
    const booking = orders
      .filter(({ id }) => !booked.has(id) && !reversed.has(id))
      .map((order) => ({ order, entitlement: newId(at) }));
    const count = booking.length + takingBack.length;
    if (count === 0) return { count, version: 0 };
    const written = await entitlements.write(
      trx,
      booking.map(({ order, entitlement }) => ({
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
    await entitlements.withdraw(
      trx,
      takingBack.flatMap(({ part }) => booked.get(part) ?? []),
      at,
    );
    const version = await touchPositions(db, trx, at, { entitlements: true });
    if (booking.length > 0)
      await store.insertBooked(
        trx,
        booking.map(({ order, entitlement }) => ({ id: order.id, entitlement, version, at })),
      );
    if (takingBack.length > 0)
      await store.insertReversed(
        trx,
        takingBack.map(({ id, part }) => ({ id, part, version, at })),
      );
    return { count, version };
  };

  return {
    within,

    held: () =>
      db.snapshot(async (trx) => {
        const booked = await store.newestBooked(trx, db.dialect);
        const reversed = await store.newestReversed(trx, db.dialect);
        return {
          after: booked?.id ?? "",
          reversed: reversed?.id ?? "",
          version: Math.max(booked?.version ?? 0, reversed?.version ?? 0),
        };
      }),

    async book(news) {
      if (news.orders.length + news.reversals.length === 0) return 0;
      const { count } = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        return within(trx, news);
      });
      if (count > 0) events.emit("positions-changed", {});
      return count;
    },
  };
}

/** A newer group may know metrics that this company does not. */
function metricOf({ metric }: CompanyOrder): Metric {
  return (metrics as readonly string[]).includes(metric) ? (metric as Metric) : "device";
}
