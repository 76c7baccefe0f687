/**
 * Purpose: one page of a stream that comes in no order: of everything behind the cursor the first ones, without keeping the rest.
 * Invariants: memory is a few pages whatever comes; the same stream and cursor make the same page.
 */
export type EventKey = readonly (number | string)[];

export interface EventPage<T> {
  put(item: T): void;
  /** `next`: the key of the last item, where more follow. */
  taken(): { readonly items: readonly T[]; readonly next?: EventKey };
}

export function createEventPage<T>(
  limit: number,
  after: EventKey | undefined,
  keyOf: (item: T) => EventKey,
): EventPage<T> {
  let held: { readonly key: EventKey; readonly item: T }[] = [];
  const cut = (): void => {
    held.sort((a, b) => compare(a.key, b.key));
    held = held.slice(0, limit + 1);
  };
  return {
    put(item) {
      const key = keyOf(item);
      if (after !== undefined && compare(key, after) <= 0) return;
      held.push({ key, item });
      if (held.length > 4 * limit + 1000) cut();
    },
    taken() {
      cut();
      const items = held.slice(0, limit).map(({ item }) => item);
      const last = held[limit - 1];
      return { items, ...(held.length > limit && last !== undefined && { next: last.key }) };
    },
  };
}

function compare(a: EventKey, b: EventKey): number {
  for (const [i, x] of a.entries()) {
    const y = b[i];
    if (x === y || y === undefined) continue;
    // Within one place of the key all are of one kind, but for sources: numbers before text.
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
