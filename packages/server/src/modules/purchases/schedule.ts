/**
 * Purpose: the purchase run by the calendar (domain.md §7: "monthly by default").
 * Invariants: a run is named by its period, so several servers on one database run once; a period that was run by hand, or run and taken back, is not
 * run again. What fell due while no server was running is caught up at the start - the last one only, for it buys what all of them would have.
 * A new database has missed nothing.
 * Failure: a run that fails is tried again until it is done; nothing of it was written.
 */
import { Cron } from "croner";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { periodOf } from "./period.ts";
import type { Purchases } from "./service.ts";
import { purchaseStore as store } from "./store.ts";

export interface PurchaseSchedule {
  start(): void;
  /** Waits for a run under way. */
  stop(): Promise<void>;
}

/** A clock that is set, or a machine that slept, is noticed within this. */
const longestMs = 3_600_000;
const afterErrorMs = 300_000;

export function createPurchaseSchedule(deps: {
  readonly db: Database;
  readonly purchases: Purchases;
  readonly schedule: string;
  readonly timezone: string;
  readonly clock: Clock;
  readonly log: Log;
}): PurchaseSchedule {
  const { db, purchases, timezone, clock, log } = deps;
  const cron = new Cron(deps.schedule, { timezone, paused: true });
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;

  /** Months, unless the schedule comes round more often. */
  function periodAt(due: Date): string {
    const month = periodOf(due.getTime(), timezone);
    const near = [cron.nextRun(due), cron.previousRuns(1, due)[0]];
    const often = near.some((other) => other != null && periodOf(other.getTime(), timezone) === month);
    return often ? periodOf(due.getTime(), timezone, "day") : month;
  }

  async function catchUp(): Promise<void> {
    const now = clock.now();
    const seen = (await store.seenAt(db.kysely))?.seen_at;
    // The moment itself counts: occurrences are whole seconds.
    const due = cron.previousRuns(1, new Date(now + 1000))[0];
    if (seen !== undefined && due !== undefined && due.getTime() > seen && due.getTime() <= now) {
      const period = periodAt(due);
      if (!(await purchases.hasRunOf(period))) {
        const { run } = await purchases.run({ period });
        log.info("purchase-run-done", { period, orders: run.orders.length, skipped: run.skipped.length });
      }
    }
    await store.setSeenAt(db.kysely, now);
  }

  function again(ms: number): void {
    if (!stopped) timer = clock.after(ms, tick);
  }

  function tick(): void {
    running = catchUp().then(
      () => {
        running = undefined;
        const now = clock.now();
        again(Math.min(longestMs, Math.max(0, (cron.nextRun(new Date(now))?.getTime() ?? Infinity) - now)));
      },
      (error: unknown) => {
        running = undefined;
        log.error("purchase-run-failed", { reason: error instanceof Error ? error.message : "unknown" });
        again(afterErrorMs);
      },
    );
  }

  return {
    start: tick,
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
  };
}

/** Why this is no schedule, or undefined where it is one. */
export function scheduleFault(
  schedule: string,
  timezone: string,
): { key: "schedule" | "timezone"; reason: string } | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch {
    return { key: "timezone", reason: "is no time zone, such as Asia/Tokyo" };
  }
  try {
    if (new Cron(schedule, { timezone, paused: true }).nextRun() !== null) return undefined;
  } catch {
    // Said below.
  }
  return { key: "schedule", reason: 'is no schedule that ever comes round, such as "0 6 1 * *"' };
}
