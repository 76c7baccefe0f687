/**
 * Purpose: what a department's numbers mean for the licence manager (domain.md §5.4).
 */
import type { Counts } from "./counts.ts";

/** fine: used ≤ rights · within-application: rights < used ≤ rights + requested · alarm: used > rights + requested. */
export const departmentStates = ["fine", "within-application", "alarm"] as const;
export type DepartmentState = (typeof departmentStates)[number];

export function departmentState(counts: Pick<Counts, "used" | "rights" | "requested">): DepartmentState {
  if (counts.used <= counts.rights) return "fine";
  return counts.used <= counts.rights + counts.requested ? "within-application" : "alarm";
}

/** The graver of two states: a subtree is as well as its worst department. */
export function worse(a: DepartmentState, b: DepartmentState): DepartmentState {
  return departmentStates.indexOf(a) >= departmentStates.indexOf(b) ? a : b;
}
