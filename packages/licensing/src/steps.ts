/**
 * Purpose: a value that changes now and then, as the ledger keeps it: former values with the moment until which each was true, and the one that is
 * true now.
 * Invariants: what changed at a moment is so at that moment; of two changes in one millisecond the later wins, and both are kept, so that sums over
 * changes lead from any value to any other.
 */
import type { Cause } from "./causes.ts";

export interface Step<V> {
  /** From when; the first step has always been. */
  readonly at: number;
  readonly value: V;
  readonly cause: Cause;
}

/** `former` in the order in which it was recorded. */
export function stepsOf<V>(
  former: readonly { readonly value: V; readonly until: number; readonly cause?: Cause }[],
  now: V,
): readonly Step<V>[] {
  const steps: Step<V>[] = [];
  let at = -Infinity;
  let cause: Cause = "unknown";
  for (const row of former) {
    steps.push({ at, value: row.value, cause });
    at = row.until;
    cause = row.cause ?? "unknown";
  }
  steps.push({ at, value: now, cause });
  return steps;
}

/** The value at a moment; `before` it where `before` is true. */
export function valueAt<V>(steps: readonly Step<V>[], at: number, before = false): V {
  for (let i = steps.length - 1; i > 0; i--) {
    const step = steps[i] as Step<V>;
    if (before ? step.at < at : step.at <= at) return step.value;
  }
  return (steps[0] as Step<V>).value;
}

/** Where both are so; a step has the cause of the one that took it. */
export function both(a: readonly Step<boolean>[], b: readonly Step<boolean>[]): readonly Step<boolean>[] {
  if (b.length === 1) return b[0]?.value === true ? a : b;
  if (a.length === 1) return a[0]?.value === true ? b : a;
  const times = [...new Set([...a, ...b].map((step) => step.at))].sort((x, y) => x - y);
  const steps: Step<boolean>[] = [];
  for (const at of times) {
    const value = valueAt(a, at) && valueAt(b, at);
    const last = steps[steps.length - 1];
    const cause = [...a, ...b].findLast((step) => step.at === at)?.cause ?? "unknown";
    if (last?.value !== value) steps.push({ at, value, cause });
  }
  return steps;
}
