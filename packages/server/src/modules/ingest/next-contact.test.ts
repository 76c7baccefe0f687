import fastify from "fastify";
import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "@daicho/kernel";
import { packBatch, reportsContentType, type ReportsResponse } from "@daicho/protocol";
import type { Authorize } from "../../http/authorize.ts";
import type { InventoryImport } from "./inventories.ts";
import { createNextContact, ingestRoutes } from "./index.ts";
import { loadedMs } from "./next-contact.ts";
import type { Titles } from "../inventory/titles.ts";

test("a loaded server spreads its callers over one to two heartbeats from now; one that keeps up says nothing", () => {
  fc.assert(
    fc.property(
      fc.nat(60_000),
      fc.integer({ min: 10, max: 100_000 }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      (tookMs, heartbeatSeconds, r) => {
        const seconds = createNextContact({ heartbeatSeconds, random: () => r })(tookMs);
        if (tookMs <= loadedMs) expect(seconds).toBeUndefined();
        else {
          expect(seconds).toBeGreaterThanOrEqual(heartbeatSeconds);
          expect(seconds).toBeLessThanOrEqual(heartbeatSeconds * 2);
        }
      },
    ),
  );
});

test("what counts is the time from a batch's arrival to its commit", async () => {
  const clock = manualClock(1e12);
  let takes = 0;
  const app = fastify();
  const open = (): Promise<void> => Promise.resolve();
  ingestRoutes(app, {
    intake: {
      submit: () => Promise.resolve(clock.advance(takes)).then(() => [{ status: "stored" }]),
      waiting: 0,
      forget: () => undefined,
      drain: open,
    },
    authorize: { node: () => open, role: () => open, anyOf: () => open } satisfies Authorize,
    // Not asked here.
    titles: {} as Titles,
    inventories: {} as InventoryImport,
    clock,
    dictionary: () => 7,
    nextContact: createNextContact({ heartbeatSeconds: 600, random: () => 0.5 }),
  });
  const send = async (): Promise<ReportsResponse> =>
    (
      await app.inject({
        method: "POST",
        url: "/ingest/v1/reports",
        payload: packBatch([Buffer.from("x")]),
        headers: { "content-type": reportsContentType },
      })
    ).json();
  expect(await send()).not.toHaveProperty("nextContactSeconds");
  takes = loadedMs + 1;
  expect(await send()).toMatchObject({ results: [{ status: "stored" }], dictionary: 7, nextContactSeconds: 900 });
  takes = 0;
  expect(await send()).not.toHaveProperty("nextContactSeconds");
});
