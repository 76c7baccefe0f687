/** Group pooling (domain.md §7 over companies). Money in minor units. */
export interface PoolingTables {
  /** At the group: what a licence costs by quantity; `tiers` as JSON. */
  pool_tiers: { license: string; currency: string; tiers: string; changed_at: number };
  /** At the group: one order per period and licence that was not reversed. */
  pool_orders: {
    id: string;
    period: string;
    license: string;
    order_no: string;
    quantity: number;
    unit_price: number;
    amount: number;
    currency: string;
    /** What all would have paid alone. */
    alone: number;
    saving: number;
    at: number;
    /** done · placed · reversed */
    state: string;
    /** The supplier's number, once placed. */
    supplier_order: string | null;
    /** Hash of caller and Idempotency-Key. */
    idempotency: string | null;
  };
  /** At the group: each company's part of an order. */
  pool_grants: {
    /** Rises with time: the cursor by which companies fetch. */
    id: string;
    order_id: string;
    company: string;
    metric: string;
    quantity: number;
    amount: number;
    alone: number;
    saving: number;
    /** Position version of the company that has it; null until the company says so. */
    booked_version: number | null;
    /** Rises with time, too; null unless the order was reversed. */
    reversal_id: string | null;
    /** Position version of the company without it; null until the company says so. */
    reversal_version: number | null;
  };
  /** At a company: what it booked of the group's orders. */
  pool_booked: { id: string; entitlement: string; version: number; at: number };
  /** At a company: what its group may be buying for it (word.ts); `pooled` as JSON. */
  pool_word: { id: number; pooled: string; count: number };
  /** At a company: which parts the group reversed; those that were booked are taken back. */
  pool_reversed: { id: string; part: string; version: number; at: number };
}
