/** Purpose: group orders as the API shows them, and the part of one that a company books. */
import type { CompanyOrder } from "@daicho/protocol";
import type { RunState } from "../purchases/index.ts";
import type { CompanyPartRow, GrantRow, PooledOrderRow } from "./store.ts";

export interface GroupOrderShare {
  readonly company: string;
  readonly quantity: number;
  readonly amount: number;
  /** What it would have paid alone. */
  readonly alone: number;
  readonly saving: number;
  /** It has it in its books. */
  readonly booked: boolean;
}

export interface GroupOrder {
  /** Both absent while it is only planned. */
  readonly id?: string;
  readonly order?: string;
  readonly period: string;
  readonly license: string;
  readonly state: RunState;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly amount: number;
  readonly currency: string;
  readonly alone: number;
  readonly saving: number;
  readonly at: string;
  /** The supplier's number, once placed. */
  readonly supplierOrder?: string;
  readonly shares: readonly GroupOrderShare[];
}

export function orderOf(row: PooledOrderRow, grants: readonly GrantRow[]): GroupOrder {
  const {
    id,
    order_no: order,
    period,
    license,
    quantity,
    unit_price: unitPrice,
    amount,
    currency,
    alone,
    saving,
  } = row;
  return {
    id,
    order,
    period,
    license,
    state: row.state as RunState,
    quantity,
    unitPrice,
    amount,
    currency,
    alone,
    saving,
    at: new Date(row.at).toISOString(),
    ...(row.supplier_order !== null && { supplierOrder: row.supplier_order }),
    shares: grants
      .filter((grant) => grant.order_id === id)
      .map((grant) => ({
        company: grant.company,
        quantity: grant.quantity,
        amount: grant.amount,
        alone: grant.alone,
        saving: grant.saving,
        booked: isBooked(grant),
      })),
  };
}

/** What was booked and taken back is not in the books any more. */
function isBooked({ booked_version: booked, reversal_version: takenBack }: GrantRow): boolean {
  return booked !== null && takenBack === null;
}

export function companyOrder(part: CompanyPartRow): CompanyOrder {
  const { id, order_no: order, period, license, metric, quantity, unit_price: unitPrice, amount, currency, at } = part;
  return {
    id,
    order,
    period,
    license,
    metric,
    quantity,
    unitPrice,
    amount,
    currency,
    at: new Date(at).toISOString(),
  };
}
