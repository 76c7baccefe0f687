/** Group pooling (domain.md §7 over companies). Money in minor units. */
export interface PoolingTables {
  /** At the group: what a licence costs by quantity; `tiers` as JSON. */
  pool_tiers: { license: string; currency: string; tiers: string; changed_at: number };
  /** At the group: one order per period and licence. */
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
  };
  /** At a company: what it booked of the group's orders. */
  pool_booked: { id: string; entitlement: string; version: number; at: number };
}
