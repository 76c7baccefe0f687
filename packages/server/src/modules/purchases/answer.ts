/** Purpose: a purchase run as the API shows it (contract.md `/purchase-runs`): planned, done, or read back. */
import type { SkipReason } from "@daicho/licensing";
import type { Planned } from "./work-out.ts";

export const runStates = ["planned", "done", "placed", "reversed"] as const;
export type RunState = (typeof runStates)[number];

export interface RunOrder {
  /** Our number; absent while it is only planned. */
  readonly order?: string;
  readonly license: string;
  /** Packs, where there is a packSize. */
  readonly quantity: number;
  readonly packSize?: number;
  readonly unitPrice: number;
  readonly amount: number;
  readonly currency: string;
  /** The supplier's number, once placed. */
  readonly supplierOrder?: string;
}

export interface RunChargeback {
  readonly department: string;
  readonly costCentre?: string;
  readonly license: string;
  /** Rights it was granted. */
  readonly quantity: number;
  readonly amount: number;
  readonly currency: string;
}

export interface RunRights {
  readonly department: string;
  readonly license: string;
  readonly before: number;
  readonly after: number;
  readonly requestedBefore: number;
  readonly requestedAfter: number;
}

/** What is kept of a run as a whole. */
export interface RunReport {
  /** Rights granted that did not have to be bought. */
  readonly savedByIdle: readonly { readonly license: string; readonly quantity: number }[];
  /** Short, but not bought. */
  readonly skipped: readonly { readonly license: string; readonly quantity: number; readonly reason: SkipReason }[];
}

export interface PurchaseRun extends RunReport {
  readonly id: string;
  readonly period: string;
  readonly state: RunState;
  readonly dryRun: boolean;
  /** RFC 3339 */
  readonly at: string;
  /** Position version it was worked out from. */
  readonly version: number;
  readonly orders: readonly RunOrder[];
  readonly chargebacks: readonly RunChargeback[];
  /** Only what changed. */
  readonly rights: readonly RunRights[];
}

export function reportOf(licenses: readonly Planned[]): RunReport {
  return {
    savedByIdle: licenses.flatMap(({ license, savedByIdle }) =>
      savedByIdle > 0 ? [{ license, quantity: savedByIdle }] : [],
    ),
    skipped: licenses.flatMap(({ license, skipped }) => (skipped ? [{ license, ...skipped }] : [])),
  };
}

export function ordersOf(licenses: readonly Planned[], numberOf?: (planned: Planned) => string): RunOrder[] {
  return licenses.flatMap((planned) =>
    planned.order === undefined
      ? []
      : [
          {
            ...(numberOf && { order: numberOf(planned) }),
            license: planned.license,
            quantity: planned.order.quantity,
            ...(planned.order.packSize !== undefined && { packSize: planned.order.packSize }),
            unitPrice: planned.order.unitPrice,
            amount: planned.order.amount,
            currency: planned.order.currency,
          },
        ],
  );
}

export function chargebacksOf(
  licenses: readonly Planned[],
  costCentreOf: (department: string) => string | undefined,
): RunChargeback[] {
  return licenses.flatMap(({ license, order, chargebacks }) =>
    order === undefined
      ? []
      : chargebacks.map(({ department, quantity, amount }) => {
          const costCentre = costCentreOf(department);
          return {
            department,
            ...(costCentre !== undefined && { costCentre }),
            license,
            quantity,
            amount,
            currency: order.currency,
          };
        }),
  );
}

export function rightsOf(licenses: readonly Planned[]): RunRights[] {
  return licenses.flatMap(({ license, rights }) =>
    rights.map(({ department, ...change }) => ({ department, license, ...change })),
  );
}
