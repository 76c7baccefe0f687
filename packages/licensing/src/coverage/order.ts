/** Purpose: what comes first where several could. */
import type { Allocation } from "./types.ts";

/** Allocations to devices first, then those to people; the older first. */
export function inTurn(allocations: readonly Allocation[]): readonly Allocation[] {
  return [...allocations].sort(
    (a, b) =>
      Number(a.device === undefined) - Number(b.device === undefined) || a.since - b.since || compare(a.id, b.id),
  );
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function push<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
