import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTurns, eachPolitely, inSteps, pagesOf, readInRanges, slicesOf } from "./slices.ts";

/** Keeps the thread for that long. */
function busy(milliseconds: number): void {
  for (const until = performance.now() + milliseconds; performance.now() < until;);
}

describe("long work in slices", () => {
  it("ranges cover every number once, in order, however long each takes to read", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 3000 }),
        fc.array(fc.nat(2), { minLength: 1 }),
        async (last, takes) => {
          const seen: number[] = [];
          let reads = 0;
          for await (const [after, upTo] of readInRanges(
            last,
            async (from, to) => {
              busy(takes[reads++ % takes.length] as number);
              return Promise.resolve([from, to] as const);
            },
            1,
          ))
            for (let i = after + 1; i <= upTo; i++) seen.push(i);
          expect(seen).toEqual(Array.from({ length: last }, (_, i) => i + 1));
        },
      ),
      { numRuns: 10 },
    );
  });

  it("a range that took long is followed by a shorter one, a quick one by a longer one", async () => {
    const sizes: number[] = [];
    for await (const size of readInRanges(5000, (after, upTo) => {
      if (upTo - after > 100) busy(20);
      return Promise.resolve(upTo - after);
    }))
      sizes.push(size);
    expect(sizes.slice(0, 3)).toEqual([32, 64, 128]);
    expect(sizes[3]).toBeLessThan(128);
  });

  it("slices and pages hold every item once, in order; those that took long are followed by shorter ones", async () => {
    const items = Array.from({ length: 500 }, (_, i) => i);
    const read = (after: number, limit: number): Promise<number[]> =>
      Promise.resolve(items.slice(after + 1, after + 1 + limit));
    for (const parts of [slicesOf(items, 64), pagesOf(-1, read, (last) => last, 64)]) {
      const seen: number[] = [];
      const sizes: number[] = [];
      for await (const part of parts) {
        seen.push(...part);
        sizes.push(part.length);
        if (part.length === 64) busy(40);
      }
      expect(seen).toEqual(items);
      expect(sizes.slice(0, 3)).toEqual([16, 32, 64]);
      expect(sizes[3]).toBeLessThan(64);
    }
  });

  it("several short pieces of work in a row are a long one: others run in between", async () => {
    let others = 0;
    setImmediate(() => others++);
    for (let i = 0; i < 10 && others === 0; i++) await eachPolitely([1], () => busy(2), 5);
    expect(others).toBe(1);
  });

  it("steps end with what they come to, and others run in between", async () => {
    let others = 0;
    const beat = setInterval(() => others++, 1);
    const steps = function* (): Generator<void, string> {
      for (let i = 0; i < 20; i++) {
        busy(2);
        yield;
      }
      return "done";
    };
    expect(await inSteps(steps(), 5)).toBe("done");
    clearInterval(beat);
    expect(others).toBeGreaterThan(0);
  });

  it("work that becomes ready all at once takes turns, and others run in between", async () => {
    const turn = createTurns(5);
    const order: (number | "other")[] = [];
    const work = Array.from({ length: 10 }, async (_, i) => {
      await turn();
      busy(2);
      order.push(i);
    });
    const beat = setInterval(() => order.push("other"), 0);
    await Promise.all(work);
    clearInterval(beat);
    expect(order.filter((one) => one !== "other")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(order.slice(0, -1)).toContain("other");
  });
});
