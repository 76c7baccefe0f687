/** Purchase runs (domain.md §7): what was bought, who paid, and what everyone might use before and after. Money in minor units. */
export interface PurchaseTables {
  pur_runs: {
    id: string;
    /** `2026-11`; at most one run that was not reversed per period. */
    period: string;
    /** done · placed · reversed */
    state: string;
    at: number;
    /** Position version it was worked out from. */
    version: number;
    /** Hash of caller and Idempotency-Key. */
    idempotency: string | null;
    /** What idle rights saved and what was not bought, as JSON. */
    report: string;
    changed_at: number;
  };
  pur_orders: {
    run: string;
    license: number;
    /** Ours; on the entitlement, too. */
    order_no: string;
    /** Packs. */
    quantity: number;
    pack_size: number;
    unit_price: number;
    amount: number;
    currency: string;
    /** Id of the entitlement it became. */
    entitlement: string;
    /** The supplier's number, once placed. */
    supplier_order: string | null;
  };
  /** Departments and cost centres as they were called at the time of the run. */
  pur_chargebacks: {
    id: string;
    run: string;
    license: number;
    department: number;
    department_code: string;
    cost_centre: string | null;
    quantity: number;
    amount: number;
    currency: string;
  };
  /** Rights and requested that the run changed. */
  pur_rights: {
    run: string;
    /** In the order of licence and department codes. */
    place: number;
    license: number;
    /** Who took over, where it was merged or dissolved before the run was placed; the code stays that of the run. */
    department: number;
    department_code: string;
    rights_before: number;
    rights_after: number;
    requested_before: number;
    requested_after: number;
  };
  /** What of a run's changes is held against another department than pur_rights says: with rights that moved on. Sums to 0 per run and licence. */
  pur_rights_moved: {
    run: string;
    license: number;
    department: number;
    rights: number;
  };
  /** One row (id 1): up to when scheduled runs were seen to. */
  pur_schedule: { id: number; seen_at: number };
}
