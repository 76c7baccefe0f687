import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "@daicho/kernel";
import { longestWaitMs } from "@daicho/uplink";
import { packBatch, type ReportsResponse } from "@daicho/protocol";
import { openSite, away } from "../fixtures/site.ts";
import { post } from "../fixtures/client.ts";
import { createNextContact } from "./next-contact.ts";

const setting = (random = (): number => 0.5) => {
  const clock = manualClock(1e12);
  const spool = { bytes: 0 };
  const nextContact = createNextContact({
    clock,
    random,
    spoolBytes: 1_000_000,
    spool: { stats: () => spool },
  });
  return { clock, spool, nextContact };
};

test("what a loaded node above asks for is passed on until it is over, or nothing was heard for minutes", () => {
  const { clock, nextContact } = setting();
  expect(nextContact.seconds).toBeUndefined();
  nextContact.heard(600);
  expect(nextContact.seconds).toBe(600);
  nextContact.heard(undefined);
  expect(nextContact.seconds).toBeUndefined();
  nextContact.heard(600);
  clock.advance(299_000);
  expect(nextContact.seconds).toBe(600);
  clock.advance(1_000);
  expect(nextContact.seconds).toBeUndefined();
});

test("a relay whose spool is more than half full asks for fewer heartbeats by itself", () => {
  const { spool, nextContact } = setting();
  spool.bytes = 500_000;
  expect(nextContact.seconds).toBeUndefined();
  spool.bytes = 500_001;
  expect(nextContact.seconds).toBe(5_400);
});

test("those who call in one instant are told different times, none beyond the bound, whatever is said above", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e300, noNaN: true }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (seconds, rs) => {
        const { nextContact } = setting(() => rs.next().value as number);
        nextContact.heard(seconds);
        for (let caller = 0; caller < 10; caller++) {
          const told = nextContact.seconds ?? Number.NaN;
          expect(told).toBeGreaterThanOrEqual(Math.min(Math.floor(seconds / 2), longestWaitMs / 1000));
          expect(told).toBeLessThanOrEqual(Math.min(Math.ceil(seconds * 1.5), longestWaitMs / 1000));
        }
      },
    ),
  );
});

test("an agent below two relays hears when the loaded server wants it back, and no longer than it does", async () => {
  const site = await openSite();
  try {
    let loaded = true;
    site.above.extra = () => (loaded ? { nextContactSeconds: 1_000 } : {});
    const upper = await site.start({ name: "upper" });
    const lower = await site.start({ name: "lower", upstream: [upper.url] });
    const agent = site.company.node("agent", "pc-1");
    const told = async (): Promise<number | undefined> => {
      const answer = await post(lower.url, agent, "/ingest/v1/reports", packBatch([agent.report("heartbeat")]));
      return ((await answer.json()) as ReportsResponse).nextContactSeconds;
    };
    // Relays answer before they ask: the word comes down one node per report.
    for (;;) {
      const seconds = await told();
      if (seconds === undefined) continue;
      expect(seconds).toBeGreaterThanOrEqual(250);
      expect(seconds).toBeLessThanOrEqual(2_250);
      break;
    }
    loaded = false;
    while ((await told()) !== undefined);
    site.above.mood = away;
    expect(await told()).toBeUndefined();
  } finally {
    await site.close();
  }
});
