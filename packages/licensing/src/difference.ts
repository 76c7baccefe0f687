/**
 * Purpose: the difference between two moments, added up by cause: every number that changed, and why, so that the causes' sum is the difference.
 * Invariants: what is asked for may itself change - a department goes into the subtree that is looked at, a licence is left out of the selection -
 * and then everything that counted there up to that moment is a change of its own, with the cause of that step. A difference that no cause explains
 * is told as `unexplained` and never hidden among the causes.
 */
import type { Cause } from "./causes.ts";
import type { HeldCause } from "./held-changes.ts";
import { createNumberTable, type NumberTable } from "./number-table.ts";
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

/** A row for each department and licence that anything is told of; who does not want departments tells all of one. */
export interface Differences {
  /** What counted at `from` and at `to`, whether it was shown or not. */
  start(department: number, license: number, shown: readonly Step<boolean>[], measure: Measure, value: number): void;
  end(department: number, license: number, shown: readonly Step<boolean>[], measure: Measure, value: number): void;
  change(department: number, license: number, shown: readonly Step<boolean>[], change: DifferenceChange): void;
  /** A difference that has no moment: how two ways to look at the same facts differ. */
  apart(department: number, license: number, measure: Measure, by: number, cause: DifferenceCause): void;
  /** The licences of a department's rows. */
  licenses(department: number): Iterable<number>;
  explained(department: number, license: number): Explained;
}

export interface DifferenceChange {
  readonly measure: Measure;
  readonly at: number;
  readonly by: number;
  readonly cause: DifferenceCause;
}

/** Always shown. */
export const always: readonly Step<boolean>[] = [{ at: -Infinity, value: true, cause: "unknown" }];

/** Columns of a row: what counted at `from`, at `to`, and its first cell. Of a cell: its cause, the row's next cell, how many changes, how much. */
const [atFrom, atTo, firstCell, rowWidth] = [0, measures.length, 2 * measures.length, 2 * measures.length + 1];
const [ofCause, nextCell, howMany, howMuch, cellWidth] = [0, 1, 2, 3, 3 + measures.length];

export function createDifferences(from: number, to: number): Differences {
  // There may be a row for every department and licence: as objects they would keep the garbage collector busy, and one map of all would be hashed anew
  // in one go whenever it grows.
  const byDepartment = new Map<number, Map<number, number>>();
  const rows = createNumberTable(rowWidth);
  const cells = createNumberTable(cellWidth);
  // There is no cell 0: a row begins without any.
  cells.add();
  const rowOf = (department: number, license: number): number => {
    let byLicense = byDepartment.get(department);
    if (byLicense === undefined) byDepartment.set(department, (byLicense = new Map<number, number>()));
    let row = byLicense.get(license);
    if (row === undefined) byLicense.set(license, (row = rows.add()));
    return row;
  };
  const cellOf = (row: number, cause: number): number => {
    for (let cell = rows.get(row, firstCell); cell !== 0; cell = cells.get(cell, nextCell))
      if (cells.get(cell, ofCause) === cause) return cell;
    const cell = cells.add();
    cells.set(cell, ofCause, cause);
    cells.set(cell, nextCell, rows.get(row, firstCell));
    rows.set(row, firstCell, cell);
    return cell;
  };
  const raise = (table: NumberTable, row: number, column: number, by: number): void =>
    table.set(row, column, table.get(row, column) + by);
  const because = (department: number, license: number, measure: Measure, by: number, cause: DifferenceCause): void => {
    if (by === 0) return;
    const cell = cellOf(rowOf(department, license), differenceCauses.indexOf(cause));
    raise(cells, cell, howMany, 1);
    raise(cells, cell, howMuch + measures.indexOf(measure), by);
  };
  /** What had come together by `since` appears and disappears with the steps after it. */
  const follow = (
    department: number,
    license: number,
    shown: readonly Step<boolean>[],
    measure: Measure,
    value: number,
    since: number,
  ): void => {
    for (const [i, step] of shown.entries()) {
      if (i === 0 || step.at <= since || step.at > to) continue;
      const by = value * (Number(step.value) - Number(shown[i - 1]?.value));
      because(department, license, measure, by, differenceCause(step.cause, by));
    }
  };
  return {
    start(department, license, shown, measure, value) {
      if (valueAt(shown, from)) raise(rows, rowOf(department, license), atFrom + measures.indexOf(measure), value);
      follow(department, license, shown, measure, value, from);
    },
    end(department, license, shown, measure, value) {
      if (valueAt(shown, to)) raise(rows, rowOf(department, license), atTo + measures.indexOf(measure), value);
    },
    change(department, license, shown, { measure, at, by, cause }) {
      if (valueAt(shown, at)) because(department, license, measure, by, cause);
      if (shown.length > 1) follow(department, license, shown, measure, by, at);
    },
    apart: because,
    licenses: (department) => byDepartment.get(department)?.keys() ?? [],
    explained(department, license) {
      const row = rowOf(department, license);
      const start = amounts(rows, row, atFrom);
      const end = amounts(rows, row, atTo);
      const causes: CauseSum[] = [];
      for (let cell = rows.get(row, firstCell); cell !== 0; cell = cells.get(cell, nextCell)) {
        const cause = differenceCauses[cells.get(cell, ofCause)] as DifferenceCause;
        causes.push({ cause, ...amounts(cells, cell, howMuch), count: cells.get(cell, howMany) });
      }
      causes.sort((a, b) => differenceCauses.indexOf(a.cause) - differenceCauses.indexOf(b.cause));
      const unexplained = amountsOf((measure) =>
        causes.reduce((left, cause) => left - cause[measure], end[measure] - start[measure]),
      );
      return { from: start, to: end, causes, unexplained };
    },
  };
}

const amounts = (table: NumberTable, row: number, column: number): Amounts =>
  amountsOf((_measure, i) => table.get(row, column + i));

function amountsOf(of: (measure: Measure, place: number) => number): Amounts {
  const [used, held, rights, requested, required] = measures.map(of) as [number, number, number, number, number];
  return { used, held, rights, requested, required };
}
