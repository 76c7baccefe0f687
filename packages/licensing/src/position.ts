/**
 * Purpose: over and under - the position of a company and of a department for one licence (domain.md §3).
 * Invariants: company overUnder = held − used, idle = held − used where positive; department overUnder = rights − used. A licence without a
 * limit (its metric is site or free, or a site entitlement is valid) is counted like any other and never short: its overUnder is never
 * below 0 and nothing has to be bought for it.
 */
import type { Metric } from "@daicho/protocol";
import { departmentState, type DepartmentState } from "./alarm.ts";
import type { AllocationTotals } from "./coverage/index.ts";
import { noUnmanaged, type Counts, type UnmanagedCounts } from "./counts.ts";
import { isUnlimited, type Holding } from "./entitlement.ts";

export interface CompanyNumbers extends Counts {
  /** Copies that are there, before attached rights; without any, used = installed. */
  readonly installed: number;
  readonly held: number;
  readonly overUnder: number;
  readonly idle: number;
  /** used = allocated in use + not allocated in use; what is allocated = in use + not in use. */
  readonly allocatedInUse: number;
  readonly allocatedNotInUse: number;
  readonly notAllocatedInUse: number;
  readonly unmanaged: UnmanagedCounts;
}

/** One licence of a company; `counts` are the totals over all departments and the unassigned. */
export function companyPosition(input: {
  readonly metric: Metric;
  readonly holding: Holding;
  readonly counts: Counts;
  /** Absent = as many as used. */
  readonly installed?: number | undefined;
  readonly allocated?: AllocationTotals | undefined;
  readonly unmanaged?: UnmanagedCounts;
}): CompanyNumbers {
  const { holding, counts } = input;
  const { inUse, notInUse } = input.allocated ?? { inUse: 0, notInUse: 0 };
  const difference = holding.held - counts.used;
  return {
    required: counts.required,
    held: holding.held,
    rights: counts.rights,
    requested: counts.requested,
    used: counts.used,
    installed: input.installed ?? counts.used,
    overUnder: neverShort(input.metric, holding) ? Math.max(0, difference) : difference,
    idle: Math.max(0, difference),
    allocatedInUse: inUse,
    allocatedNotInUse: notInUse,
    notAllocatedInUse: counts.used - inUse,
    unmanaged: input.unmanaged ?? noUnmanaged,
  };
}

export interface DepartmentNumbers extends Counts {
  /** Copies that are there, before attached rights. */
  readonly installed: number;
  /** What a purchase run would grant now: used − rights where positive (domain.md §7). */
  readonly corrected: number;
  readonly overUnder: number;
  readonly state: DepartmentState;
  readonly unmanaged: UnmanagedCounts;
}

/** One licence of one department. */
export function departmentPosition(input: {
  readonly metric: Metric;
  readonly holding: Holding;
  readonly counts: Counts;
  /** Absent = as many as used. */
  readonly installed?: number | undefined;
  readonly unmanaged?: UnmanagedCounts;
}): DepartmentNumbers {
  const { counts } = input;
  const unlimited = neverShort(input.metric, input.holding);
  const difference = counts.rights - counts.used;
  return {
    rights: counts.rights,
    required: counts.required,
    requested: counts.requested,
    corrected: corrected(counts, unlimited),
    used: counts.used,
    installed: input.installed ?? counts.used,
    overUnder: unlimited ? Math.max(0, difference) : difference,
    state: unlimited ? "fine" : departmentState(counts),
    unmanaged: input.unmanaged ?? noUnmanaged,
  };
}

/** domain.md §7: used > rights → used − rights, otherwise 0. What is never short needs no grant. */
export function corrected(counts: Pick<Counts, "used" | "rights">, unlimited: boolean): number {
  return unlimited ? 0 : Math.max(0, counts.used - counts.rights);
}

export function neverShort(metric: Metric, holding: Pick<Holding, "unlimited">): boolean {
  return holding.unlimited || isUnlimited(metric);
}
