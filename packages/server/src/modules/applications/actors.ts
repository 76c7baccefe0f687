/**
 * Purpose: who may do what with applications. Tokens of managers and administrators may file for anybody and decide any step on behalf of its approver;
 * every other token only what concerns the employee it is bound to.
 * Invariants: nobody decides an application of their own, whatever the role; whoever has left acts no more.
 */
import { serverErrors } from "../../errors.ts";
import type { Caller } from "../access/index.ts";
import { licenseManager, type ApplicationRecord, type ApplicationRow, type StepRow } from "./seal.ts";

export function isManager(caller: Caller): boolean {
  return caller.role === "admin" || caller.role === "manager";
}

/** Reads every application, or only what concerns the employee. */
export function seesAll(caller: Caller): boolean {
  return caller.role !== "employee";
}

export function concerns(caller: Caller, { row, steps }: ApplicationRecord): boolean {
  const { employee } = caller;
  return (
    seesAll(caller) ||
    (employee !== undefined && (row.applicant === employee || steps.some((s) => s.approver === employee)))
  );
}

/** How the record names who acted. */
export function nameOf(caller: Caller): string {
  return caller.employee ?? `token:${caller.tokenId}`;
}

/** @throws own-application, not-your-step */
export function mayDecide(caller: Caller, row: ApplicationRow, step: StepRow): { readonly onBehalf: boolean } {
  if (caller.employee !== undefined && caller.employee === row.applicant)
    throw serverErrors.make("own-application", { id: row.id });
  if (step.approver !== null && step.approver === caller.employee) return { onBehalf: false };
  if (isManager(caller)) return { onBehalf: step.approver !== null };
  throw serverErrors.make("not-your-step", {
    step: step.place,
    id: row.id,
    approver: step.approver ?? licenseManager,
  });
}

/** The applicant, whoever filed it, and licence managers. @throws not-allowed */
export function mayWithdraw(caller: Caller, row: ApplicationRow, filedBy: string): void {
  if (isManager(caller) || filedBy === nameOf(caller)) return;
  if (caller.employee !== undefined && caller.employee === row.applicant) return;
  throw serverErrors.make("not-allowed", { role: caller.role, needed: "manager" });
}
