/**
 * Purpose: the difference between two moments, added up by cause: every number that changed, and why, so that the causes' sum is the difference.
 * Invariants: what is asked for may itself change - a department goes into the subtree that is looked at, a licence is left out of the selection -
 * and then everything that counted there up to that moment is a change of its own, with the cause of that step. A difference that no cause explains
 * is told as `unexplained` and never hidden among the causes.
 */
import type { Cause } from "./causes.ts";
import type { HeldCause } from "./held-changes.ts";
import { valueAt, type Step } from "./steps.ts";

export const measures = ["used", "held", "rights", "requested", "required"] as const;
export type Measure = (typeof measures)[number];
export type Amounts = Readonly<Record<Measure, number>>;

/** In the order in which they are told. */
export const differenceCauses = [
  "installed",
  "removed",
  "imported",
  "moved",
  "reorganized",
  "reassigned",
  "disposed",
  "handed-over",
  "merged",
  "corrected",
  "policy",
  "metric",
  "rights-attached",
  "purchased",
  "entitlement-edited",
  "entitlement-withdrawn",
  "entitlement-started",
  "entitlement-expired",
  "rights-edited",
  "application",
  "purchase-run",
  "unknown",
] as const;
export type DifferenceCause = (typeof differenceCauses)[number];

const told: Readonly<Record<Exclude<Cause, "report">, DifferenceCause>> = {
  unknown: "unknown",
  import: "imported",
  moved: "moved",
  reorganized: "reorganized",
  reassigned: "reassigned",
  disposed: "disposed",
  policy: "policy",
  corrected: "corrected",
  handover: "handed-over",
  edited: "rights-edited",
  purchaseRun: "purchase-run",
  application: "application",
  merged: "merged",
};

export function differenceCause(cause: Cause | HeldCause | "metric" | "rights-attached", by: number): DifferenceCause {
  if (cause === "report") return by > 0 ? "installed" : "removed";
  return cause in told ? told[cause as keyof typeof told] : (cause as DifferenceCause);
}

export interface CauseSum extends Amounts {
  readonly cause: DifferenceCause;
  /** Single changes that it is made of. */
  readonly count: number;
}

export interface Explained {
  readonly from: Amounts;
  readonly to: Amounts;
  readonly causes: readonly CauseSum[];
  /** to − from − Σ causes. */
  readonly unexplained: Amounts;
}

export interface Differences<K> {
  /** What counted at `from` and at `to`, whether it was shown or not. */
  start(row: K, shown: readonly Step<boolean>[], measure: Measure, value: number): void;
  end(row: K, shown: readonly Step<boolean>[], measure: Measure, value: number): void;
  change(
    row: K,
    shown: readonly Step<boolean>[],
    measure: Measure,
    at: number,
    by: number,
    cause: DifferenceCause,
  ): void;
  /** A difference that has no moment: how two ways to look at the same facts differ. */
  apart(row: K, measure: Measure, by: number, cause: DifferenceCause): void;
  rows(): ReadonlyMap<K, Explained>;
}

/** Always shown. */
export const always: readonly Step<boolean>[] = [{ at: -Infinity, value: true, cause: "unknown" }];

type Sums = Record<Measure, number>;
const zeros = (): Sums => ({ used: 0, held: 0, rights: 0, requested: 0, required: 0 });

export function createDifferences<K>(from: number, to: number): Differences<K> {
  const rows = new Map<K, { from: Sums; to: Sums; causes: Map<DifferenceCause, Sums & { count: number }> }>();
  const rowOf = (key: K) => {
    let row = rows.get(key);
    if (row === undefined) rows.set(key, (row = { from: zeros(), to: zeros(), causes: new Map() }));
    return row;
  };
  const because = (key: K, measure: Measure, by: number, cause: DifferenceCause): void => {
    if (by === 0) return;
    const { causes } = rowOf(key);
    let sums = causes.get(cause);
    if (sums === undefined) causes.set(cause, (sums = { ...zeros(), count: 0 }));
    sums[measure] += by;
    sums.count++;
  };
  /** What had come together by `since` appears and disappears with the steps after it. */
  const follow = (key: K, shown: readonly Step<boolean>[], measure: Measure, value: number, since: number): void => {
    for (const [i, step] of shown.entries()) {
      if (i === 0 || step.at <= since || step.at > to) continue;
      const by = value * (Number(step.value) - Number(shown[i - 1]?.value));
      because(key, measure, by, differenceCause(step.cause, by));
    }
  };
  return {
    start(key, shown, measure, value) {
      if (valueAt(shown, from)) rowOf(key).from[measure] += value;
      follow(key, shown, measure, value, from);
    },
    end(key, shown, measure, value) {
      if (valueAt(shown, to)) rowOf(key).to[measure] += value;
    },
    change(key, shown, measure, at, by, cause) {
      if (valueAt(shown, at)) because(key, measure, by, cause);
      if (shown.length > 1) follow(key, shown, measure, by, at);
    },
    apart: because,
    rows: () => new Map([...rows].map(([key, row]) => [key, settled(row)])),
  };
}

function settled(row: {
  from: Sums;
  to: Sums;
  causes: ReadonlyMap<DifferenceCause, Sums & { count: number }>;
}): Explained {
  const unexplained = zeros();
  for (const measure of measures) {
    unexplained[measure] = row.to[measure] - row.from[measure];
    for (const sums of row.causes.values()) unexplained[measure] -= sums[measure];
  }
  return {
    from: row.from,
    to: row.to,
    causes: differenceCauses.flatMap((cause) => {
      const sums = row.causes.get(cause);
      return sums === undefined ? [] : [{ cause, ...sums }];
    }),
    unexplained,
  };
}
