import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareKeys, createFirstOnes, type ItemKey } from "./first-ones.ts";

function drained<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

describe("one page of a stream that comes in no order", () => {
  it("pages follow one another without a gap and end where nothing follows, in either order", () => {
    const keys = fc.array(fc.tuple(fc.nat(20), fc.oneof(fc.nat(5), fc.constantFrom("a", "b"))));
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 7 }), fc.boolean(), (some, limit, descending) => {
        const order = (a: ItemKey, b: ItemKey): number => (descending ? -1 : 1) * compareKeys(a, b);
        const all = [...new Map(some.map((key) => [JSON.stringify(key), key])).values()];
        const seen: ItemKey[] = [];
        for (let after: ItemKey | undefined, pages = 0; ; pages++) {
          expect(pages).toBeLessThanOrEqual(all.length);
          const page = createFirstOnes<ItemKey>(limit, after, (key) => key, order);
          for (const key of all) page.put(key);
          const { items, next } = drained(page.taken());
          seen.push(...items);
          if (next === undefined) break;
          expect(items).toHaveLength(limit);
          after = next;
        }
        expect(seen).toEqual(all.toSorted(order));
      }),
    );
  });
});
