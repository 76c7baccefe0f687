import { manualClock } from "@daicho/kernel";
import { expect, test } from "vitest";
import { createBandwidth } from "./bandwidth.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("over any time no more than a second's worth beyond the rate passes, in order, and any size gets through", async () => {
  const clock = manualClock(0);
  const bandwidth = createBandwidth({ bytesPerSecond: 1000, clock });
  const passed: { at: number; bytes: number }[] = [];
  for (const bytes of [500, 400, 5000, 100, 2000, 10])
    void bandwidth.take(bytes).then(() => passed.push({ at: clock.now(), bytes }));
  for (let ms = 0; ms < 9000; ms += 10) {
    await settle();
    clock.advance(10);
  }
  expect(passed.map((p) => p.bytes)).toEqual([500, 400, 5000, 100, 2000, 10]);
  // Each waits until the debt of those before is paid: 900 of the first 1000 at once, 5000 on credit …
  for (const [index, { at }] of passed.entries()) {
    const before = passed.slice(0, index).reduce((sum, p) => sum + p.bytes, 0);
    expect(at).toBeGreaterThanOrEqual(Math.max(0, before - 1000) - 10);
  }
  expect(passed.at(-1)?.at).toBeLessThan(8000);
});

test("stopping ends the wait", async () => {
  const clock = manualClock(1_000_000);
  const bandwidth = createBandwidth({ bytesPerSecond: 1000, clock });
  await bandwidth.take(10_000);
  const stopping = new AbortController();
  const waiting = bandwidth.take(1, stopping.signal);
  stopping.abort();
  await waiting;
});
