/**
 * Purpose: what entitlements are worth at a date (domain.md §5: "a subscription outside its dates is worth 0").
 * Invariants: outside its dates an entitlement is worth 0 - also a site licence, which is never "unlimited" because it has expired;
 * `held` is what was bought and never invented: an unlimited entitlement adds its quantity as written, and besides keeps the licence from
 * being short.
 */
import type { Metric } from "@daicho/protocol";

export interface Entitlement {
  readonly metric: Metric;
  readonly quantity: number;
  /** First and last millisecond at which it is valid; absent = always was, always will be. */
  readonly startsAt?: number | null;
  readonly expiresAt?: number | null;
}

export interface Holding {
  /** Σ quantity of the entitlements valid at the date (domain.md §3: held). */
  readonly held: number;
  /** A valid entitlement without a limit is among them (site, free: "unlimited; counted, never short"). */
  readonly unlimited: boolean;
}

/**
 * The metric that entitlements say, where the policy leaves a licence's open: the newest one's - but one without a limit among limited ones says
 * only that the licence is never short. undefined where there are none.
 */
export function metricBought(
  entitlements: Iterable<{ readonly metric: Metric; readonly at: number }>,
): Metric | undefined {
  let best: { readonly metric: Metric; readonly at: number } | undefined;
  for (const one of entitlements) {
    const rank = (e: typeof one): readonly [number, number, string] => [Number(!isUnlimited(e.metric)), e.at, e.metric];
    if (best === undefined || compareRanks(rank(one), rank(best)) > 0) best = one;
  }
  return best?.metric;
}

function compareRanks(a: readonly [number, number, string], b: readonly [number, number, string]): number {
  return a[0] - b[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0);
}

export function isUnlimited(metric: Metric): boolean {
  return metric === "site" || metric === "free";
}

export function isValidAt(entitlement: Pick<Entitlement, "startsAt" | "expiresAt">, at: number): boolean {
  return (entitlement.startsAt ?? -Infinity) <= at && at <= (entitlement.expiresAt ?? Infinity);
}

export function heldAt(entitlements: Iterable<Entitlement>, at: number): Holding {
  let held = 0;
  let unlimited = false;
  for (const entitlement of entitlements) {
    if (!isValidAt(entitlement, at)) continue;
    held += entitlement.quantity;
    unlimited ||= isUnlimited(entitlement.metric);
  }
  return { held, unlimited };
}
