/**
 * Purpose: approval routes from the directory: derived when an application is filed, and derived anew above the last decision when an approver
 * leaves before deciding - the step passes to the department's manager of that time or the next one upward. The rule is in packages/licensing; here
 * the directory is asked.
 */
import { approvalRoute, type ChainDepartment, type RouteStep } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { isDecided, licenseManager, type ApplicationRecord, type StepRow } from "./seal.ts";
import { applicationStore as store } from "./store.ts";

export interface Routes {
  first(trx: Trx, application: { id: string; department: number; applicant: string | null }): Promise<StepRow[]>;
  /** The record with the steps of leavers passed on; undefined where nobody who is asked has left. */
  passOn(trx: Trx, record: ApplicationRecord, at: number): Promise<ApplicationRecord | undefined>;
}

export function createRoutes({ db }: { readonly db: Database }): Routes {
  const derive = async (
    trx: Trx,
    chain: readonly ChainDepartment<number>[],
    excluded: readonly (string | null)[],
  ): Promise<readonly RouteStep<number>[]> => {
    const managers = chain.flatMap((department) => department.manager ?? []);
    const present = await store.present(trx, db.dialect, [...new Set(managers)]);
    return approvalRoute(chain, {
      excluded: excluded.filter((employee) => employee !== null),
      mayApprove: (employee) => present.has(employee),
    });
  };

  return {
    async first(trx, { id, department, applicant }) {
      return openSteps(id, 1, await derive(trx, await store.chain(trx, department), [applicant]));
    },

    async passOn(trx, record, at) {
      const { row, steps } = record;
      const open = steps.filter((step) => step.state === "open");
      const asked = open.flatMap((step) => step.approver ?? []);
      const present = await store.present(trx, db.dialect, asked);
      const gone = open.filter((step) => step.approver !== null && !present.has(step.approver));
      if (gone.length === 0) return undefined;
      const done = [
        ...steps.filter((step) => step.state !== "open"),
        ...gone.map((step) => ({ ...step, state: "passed", decided_at: at })),
      ].map((step, index) => (isDecided(step) ? step : { ...step, place: index + 1 }));
      const decided = steps.filter(isDecided);
      const chain = await store.chain(trx, row.department);
      // Who approved stays approved: only departments above the last decision are asked.
      const last = chain.findIndex((d) => d.department === decided[decided.length - 1]?.department);
      const route = await derive(trx, chain.slice(last + 1), [row.applicant, ...decided.map((s) => s.approver)]);
      const renewed = [...done, ...openSteps(row.id, done.length + 1, route)];
      return { ...record, row: { ...row, waiting_for: waitingFor(renewed) }, steps: renewed };
    },
  };
}

/** Whose decision comes next. */
export function openStep(steps: readonly StepRow[]): StepRow | undefined {
  return steps.find((step) => step.state === "open");
}

export function waitingFor(steps: readonly StepRow[]): string | null {
  const next = openStep(steps);
  return next === undefined ? null : (next.approver ?? licenseManager);
}

/** What is still open is asked of nobody any more. */
export function skipRest(steps: readonly StepRow[]): StepRow[] {
  return steps.map((step) => (step.state === "open" ? { ...step, state: "skipped" } : step));
}

function openSteps(application: string, from: number, route: readonly RouteStep<number>[]): StepRow[] {
  return route.map(({ approver, department }, index) => ({
    application,
    place: from + index,
    department: department ?? null,
    approver: approver ?? null,
    state: "open",
    decided_at: null,
    decided_by: null,
    on_behalf: 0,
    comment: null,
    signature: null,
  }));
}
