import { afterEach, describe, expect, it } from "vitest";
import { manualClock, silentLog } from "@daicho/kernel";
import { loadServerConfig } from "../../config.ts";
import type { Database } from "../../db/database.ts";
import { forEachStore } from "../../testing/stores.ts";
import { until } from "../../testing/server.ts";
import { createEvents } from "../../events.ts";
import { createEntitlements, createPositions } from "../licenses/index.ts";
import { createPurchases, createPurchaseSchedule, type Purchases } from "./index.ts";
import { periodOf } from "./period.ts";
import { purchaseStore } from "./store.ts";

const day = 86_400_000;

forEachStore((store) => {
  const open: { stop(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });

  async function assemble(start: string, schedule = "0 6 1 * *") {
    const clock = manualClock(Date.parse(start));
    const db = await store.open(clock);
    const events = createEvents(silentLog);
    const purchases = createPurchases({
      db,
      clock,
      events,
      positions: createPositions({ db, clock }),
      entitlements: createEntitlements({ db, clock, events }),
      counting: { settled: () => Promise.resolve(), underWay: false },
      settings: { timezone: "Asia/Tokyo", pooled: () => Promise.resolve(() => false) },
      applications: { settle: () => Promise.resolve(), unsettle: () => Promise.resolve([]) },
    });
    const startOne = (using: Purchases = purchases): { stop(): Promise<void> } => {
      const made = createPurchaseSchedule({
        db,
        purchases: using,
        schedule,
        timezone: "Asia/Tokyo",
        clock,
        log: silentLog,
      });
      made.start();
      open.push(made);
      return made;
    };
    return { clock, db, purchases, startOne };
  }
  const periods = async (db: Database): Promise<string[]> =>
    (await db.kysely.selectFrom("pur_runs").select("period").orderBy("id").execute()).map((row) => row.period);
  const seen = (db: Database, at: string): Promise<unknown> =>
    until(`seen ${at}`, async () => (await purchaseStore.seenAt(db.kysely))?.seen_at === Date.parse(at));

  describe("the purchase run by the calendar (domain.md §7)", () => {
    it("comes once a month in its time zone, however many servers there are", async () => {
      const { clock, db, startOne } = await assemble("2026-10-31T20:58:00Z");
      startOne();
      startOne();
      await seen(db, "2026-10-31T20:58:00Z");
      await until("the run", async () => {
        clock.advance(10_000);
        return (await periods(db)).length > 0;
      });
      const [first] = await db.kysely.selectFrom("pur_runs").selectAll().execute();
      // 6:00 in Tokyo on the first.
      expect(first?.at).toBeGreaterThanOrEqual(Date.parse("2026-10-31T21:00:00Z"));
      const later = clock.now() + 20 * day;
      await until("three weeks", async () => {
        clock.advance(12 * 3_600_000);
        return ((await purchaseStore.seenAt(db.kysely))?.seen_at ?? 0) >= later;
      });
      expect(await periods(db)).toEqual(["2026-11"]);
    });

    it("one that fell due while no server ran is caught up; a new database has missed nothing", async () => {
      const { clock, db, startOne } = await assemble("2026-10-20T00:00:00Z");
      const first = startOne();
      await seen(db, "2026-10-20T00:00:00Z");
      await first.stop();
      expect(await periods(db)).toEqual([]);
      clock.advance(100 * day);
      startOne();
      await until("the run", async () => (await periods(db)).length > 0);
      await seen(db, "2027-01-28T00:00:00Z");
      expect(await periods(db)).toEqual(["2027-01"]);
    });

    it("a period that was run by hand, or run and taken back, is not run again", async () => {
      const { clock, db, purchases, startOne } = await assemble("2026-10-20T00:00:00Z");
      const first = startOne();
      await seen(db, "2026-10-20T00:00:00Z");
      await first.stop();
      const { run } = await purchases.run({ period: "2026-11" });
      await purchases.reverse(run.id);
      clock.advance(20 * day);
      startOne();
      await seen(db, "2026-11-09T00:00:00Z");
      expect(await periods(db)).toEqual(["2026-11"]);
    });

    it("a run that fails is tried again", async () => {
      const { clock, db, purchases, startOne } = await assemble("2026-10-20T00:00:00Z");
      await purchaseStore.setSeenAt(db.kysely, clock.now());
      clock.advance(20 * day);
      let failures = 0;
      startOne({
        ...purchases,
        run: (options) => (++failures < 2 ? Promise.reject(new Error("the disk is full")) : purchases.run(options)),
      });
      await until("the failure", () => failures === 1);
      await until("the run", async () => {
        clock.advance(300_000);
        return (await periods(db)).length === 1;
      });
    });

    it("one that comes round more often than monthly names its runs by the day", async () => {
      const { clock, db, startOne } = await assemble("2026-10-20T00:00:00Z", "0 6 * * 1");
      await purchaseStore.setSeenAt(db.kysely, clock.now());
      clock.advance(7 * day);
      startOne();
      await until("the run", async () => (await periods(db)).length > 0);
      expect(await periods(db)).toEqual(["2026-10-26"]);
    });
  });
});

describe("its configuration", () => {
  const load = (purchase: object) =>
    loadServerConfig({ flags: { role: "corporate", name: "acme", purchase }, env: {} });

  it("is monthly unless told otherwise", () => {
    expect(load({}).purchase).toMatchObject({ enabled: true, schedule: "0 6 1 * *", timezone: "UTC", pooled: false });
  });

  it.each([
    [{ schedule: "whenever" }, "purchase.schedule: is no schedule that ever comes round"],
    [{ schedule: "0 0 30 2 *" }, "purchase.schedule: is no schedule that ever comes round"],
    [{ timezone: "Mars/Olympus" }, "purchase.timezone: is no time zone"],
    [{ every: "day" }, "purchase.every: unknown key"],
  ])("refuses %j with its path", (purchase, message) => {
    expect(() => load(purchase)).toThrow(message);
  });

  it("periods are those of the time zone", () => {
    const at = Date.parse("2026-10-31T21:00:00Z");
    expect(periodOf(at, "Asia/Tokyo")).toBe("2026-11");
    expect(periodOf(at, "UTC")).toBe("2026-10");
    expect(periodOf(at, "Asia/Tokyo", "day")).toBe("2026-11-01");
  });
});
