/**
 * Purpose: one page of a stream that comes in no order, or of more than can be sorted in one go: of everything behind the cursor the first ones.
 * Invariants: memory is a page whatever comes, and no step takes longer than a few comparisons; the same stream and cursor make the same page.
 */
export type ItemKey = readonly (number | string)[];

export interface FirstOnes<T> {
  put(item: T): void;
  /** In order; a step for each. `next`: the key of the last item, where more follow. */
  taken(): Generator<void, { readonly items: readonly T[]; readonly next?: ItemKey }>;
}

interface Held<T> {
  readonly key: ItemKey;
  readonly item: T;
}

export function createFirstOnes<T>(
  limit: number,
  after: ItemKey | undefined,
  keyOf: (item: T) => ItemKey,
  order: (a: ItemKey, b: ItemKey) => number = compareKeys,
): FirstOnes<T> {
  // A heap, the last one on top: what comes later than all that are held takes one comparison.
  const heap: Held<T>[] = [];
  const isLater = (a: Held<T> | undefined, b: Held<T>): a is Held<T> => a !== undefined && order(a.key, b.key) > 0;
  const sink = (one: Held<T>, from: number): void => {
    let at = from;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      const child = left !== undefined && isLater(right, left) ? 2 * at + 2 : 2 * at + 1;
      const later = heap[child];
      if (!isLater(later, one)) break;
      heap[at] = later;
      at = child;
    }
    heap[at] = one;
  };
  return {
    put(item) {
      const key = keyOf(item);
      if (after !== undefined && order(key, after) <= 0) return;
      const one = { key, item };
      // One more than the page: it tells that more follow.
      if (heap.length > limit) {
        if (isLater(heap[0], one)) sink(one, 0);
        return;
      }
      let at = heap.length;
      for (let up = (at - 1) >> 1; at > 0 && isLater(one, heap[up] as Held<T>); up = (at - 1) >> 1) {
        heap[at] = heap[up] as Held<T>;
        at = up;
      }
      heap[at] = one;
    },
    *taken() {
      const sorted: Held<T>[] = [];
      for (let last = heap.pop(); last !== undefined; last = heap.pop()) {
        const [top] = heap;
        sorted.push(top ?? last);
        if (top !== undefined) sink(last, 0);
        yield;
      }
      const held = sorted.reverse();
      const more = held.length > limit;
      if (more) held.pop();
      const end = held[held.length - 1];
      return { items: held.map(({ item }) => item), ...(more && end !== undefined && { next: end.key }) };
    },
  };
}

/** Place by place; numbers before text. */
export function compareKeys(a: ItemKey, b: ItemKey): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    if (x === y || x === undefined || y === undefined) continue;
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
