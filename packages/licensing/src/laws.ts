/**
 * Purpose: the laws of domain.md §3 as a check: which of them do stored numbers break, and where?
 * `reconcile` runs it over what is stored and what was counted anew from the device facts.
 */

/** used of one department (0 = unassigned) and licence. */
export interface UsedRow<L> {
  readonly department: number;
  readonly license: L;
  readonly used: number;
}

export interface Difference<L> {
  readonly law: "stored-equals-recomputed" | "departments-sum-to-company";
  /** undefined where a law about the company is broken. */
  readonly department?: number;
  readonly license: L;
  readonly stored: number;
  readonly recomputed: number;
}

/** §3: stored totals = recomputed totals, for every department and licence that either side knows. A row of 0 equals no row. */
export function compareUsed<L>(stored: Iterable<UsedRow<L>>, recomputed: Iterable<UsedRow<L>>): Difference<L>[] {
  const left = index(stored);
  const right = index(recomputed);
  const out: Difference<L>[] = [];
  for (const [department, licenses] of left)
    for (const [license, used] of licenses) {
      const other = right.get(department)?.get(license) ?? 0;
      if (used !== other)
        out.push({ law: "stored-equals-recomputed", department, license, stored: used, recomputed: other });
    }
  for (const [department, licenses] of right)
    for (const [license, used] of licenses)
      if (used !== 0 && left.get(department)?.has(license) !== true)
        out.push({ law: "stored-equals-recomputed", department, license, stored: 0, recomputed: used });
  return out;
}

/** §3: Σ departments' used (the unassigned among them) = company used. */
export function compareCompany<L>(company: ReadonlyMap<L, number>, departments: Iterable<UsedRow<L>>): Difference<L>[] {
  const sums = new Map<L, number>();
  for (const row of departments) sums.set(row.license, (sums.get(row.license) ?? 0) + row.used);
  const out: Difference<L>[] = [];
  for (const license of new Set([...company.keys(), ...sums.keys()])) {
    const stored = company.get(license) ?? 0;
    const recomputed = sums.get(license) ?? 0;
    if (stored !== recomputed) out.push({ law: "departments-sum-to-company", license, stored, recomputed });
  }
  return out;
}

function index<L>(rows: Iterable<UsedRow<L>>): Map<number, Map<L, number>> {
  const out = new Map<number, Map<L, number>>();
  for (const { department, license, used } of rows) {
    let licenses = out.get(department);
    if (licenses === undefined) out.set(department, (licenses = new Map()));
    licenses.set(license, (licenses.get(license) ?? 0) + used);
  }
  return out;
}
