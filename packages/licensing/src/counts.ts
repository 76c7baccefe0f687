/**
 * Purpose: the numbers of one department and licence (domain.md §3), and how they add up.
 * Invariants: adding is commutative and associative, `noCounts` is its zero; so any grouping of departments gives the same total.
 */

/** The code under which counts are shown that belong to no department; no department may have it (domain.md §5.3). */
export const unassigned = "unassigned";

/** What is kept per department and licence. */
export interface Counts {
  readonly used: number;
  readonly rights: number;
  readonly required: number;
  readonly requested: number;
}

/** Copies in use that are not managed, beside `used` and never in it (domain.md §3). */
export interface UnmanagedCounts {
  readonly preinstalled: number;
  readonly individual: number;
  readonly other: number;
}

export const noCounts: Counts = Object.freeze({ used: 0, rights: 0, required: 0, requested: 0 });
export const noUnmanaged: UnmanagedCounts = Object.freeze({ preinstalled: 0, individual: 0, other: 0 });

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    used: a.used + b.used,
    rights: a.rights + b.rights,
    required: a.required + b.required,
    requested: a.requested + b.requested,
  };
}

export function total(all: Iterable<Counts>): Counts {
  let sum = noCounts;
  for (const counts of all) sum = addCounts(sum, counts);
  return sum;
}

/** true where there is nothing to show. */
export function isNothing(counts: Counts): boolean {
  return counts.used === 0 && counts.rights === 0 && counts.required === 0 && counts.requested === 0;
}
