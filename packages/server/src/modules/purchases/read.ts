/**
 * Purpose: purchase runs as they are read back: one, the list, what was ordered and who pays.
 * Invariants: long lists are read in slices, so that nobody else waits; what a reversed run charged is shown only to who asks for that run.
 */
import type { Database, Trx } from "../../db/database.ts";
import { page, type Page } from "../../db/page.ts";
import type { ListQuery } from "../../http/list.ts";
import { breathe } from "../../slices.ts";
import type { PurchaseRun, RunChargeback, RunOrder, RunReport, RunRights, RunState } from "./answer.ts";
import { purchaseStore as store, type RunRow } from "./store.ts";

/** A run without its long lists. */
export interface RunSummary {
  readonly id: string;
  readonly period: string;
  readonly state: RunState;
  readonly at: string;
  readonly version: number;
  readonly orderCount: number;
  readonly amounts: readonly { readonly currency: string; readonly amount: number }[];
}

export interface OrderItem extends RunOrder {
  readonly order: string;
  readonly run: string;
  readonly period: string;
  readonly state: RunState;
  readonly at: string;
  /** Id of the entitlement it became. */
  readonly entitlement: string;
}

export interface ChargebackItem extends RunChargeback {
  readonly id: string;
  readonly run: string;
  readonly period: string;
  readonly state: RunState;
  readonly at: string;
}

export interface ChargebackFilter {
  readonly run?: string;
  readonly period?: string;
  readonly department?: string;
  readonly costCentre?: string;
  readonly license?: string;
  readonly currency?: string;
}

export interface PurchaseReader {
  get(id: string): Promise<PurchaseRun | undefined>;
  /** The run of this row, as this transaction sees it. */
  within(trx: Trx, row: RunRow): Promise<PurchaseRun>;
  /** Reversed ones, too. */
  hasRunOf(period: string): Promise<boolean>;
  list(query: ListQuery & { readonly period?: string; readonly state?: string }): Promise<Page<RunSummary>>;
  orders(query: ListQuery & Omit<ChargebackFilter, "department" | "costCentre">): Promise<Page<OrderItem>>;
  chargebacks(query: ListQuery & ChargebackFilter): Promise<Page<ChargebackItem>>;
  /** All that a filter finds, for sums. */
  allChargebacks(filter: ChargebackFilter): AsyncIterable<ChargebackItem>;
}

/** Rows read at a time. */
const pageSize = 1000;

export function createPurchaseReader(deps: { readonly db: Database }): PurchaseReader {
  const { db } = deps;
  return {
    get: (id) =>
      db.snapshot(async (trx) => {
        const row = await store.run(trx, id);
        return row === undefined ? undefined : readRun(trx, row);
      }),

    hasRunOf: async (period) => (await store.runsOfPeriod(db.kysely, period)) > 0,

    async list(query) {
      let select = store.runs(db.kysely);
      if (query.period !== undefined) select = select.where("r.period", "=", query.period);
      if (query.state !== undefined) select = select.where("r.state", "=", query.state);
      const listed = await page(select, {
        dialect: db.dialect,
        query,
        fields: { id: { column: "r.id" }, period: { column: "r.period" }, state: { column: "r.state" } },
      });
      const ids = listed.rows.map((row) => row.id);
      const amounts = ids.length === 0 ? [] : await store.amountsOf(db.kysely, ids);
      return {
        ...listed,
        rows: listed.rows.map((row) => ({
          ...headOf(row),
          orderCount: Number(row.orders ?? 0),
          amounts: amounts
            .filter((amount) => amount.run === row.id)
            .map(({ currency, amount }) => ({ currency, amount: Number(amount) })),
        })),
      };
    },

    within: readRun,

    async orders(query) {
      const { run, period, license, currency } = query;
      let select = store.orders(db.kysely);
      if (run !== undefined) select = select.where("o.run", "=", run);
      if (period !== undefined) select = select.where("r.period", "=", period);
      if (license !== undefined) select = select.where("l.code", "=", license);
      if (currency !== undefined) select = select.where("o.currency", "=", currency);
      const listed = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          order: { column: "o.order_no" },
          run: { column: "o.run" },
          period: { column: "r.period" },
          license: { column: "l.code" },
        },
      });
      return {
        ...listed,
        rows: listed.rows.map((row) => ({
          ...orderFields(row),
          order: row.order_no,
          run: row.run,
          period: row.period,
          state: row.state as RunState,
          entitlement: row.entitlement,
          at: new Date(row.at).toISOString(),
        })),
      };
    },

    async chargebacks(query) {
      const listed = await page(filtered(store.chargebacks(db.kysely), query), {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "c.id" },
          run: { column: "c.run" },
          period: { column: "r.period" },
          department: { column: "c.department_code" },
          costCentre: { column: "c.cost_centre", nullable: true },
          license: { column: "l.code" },
        },
      });
      return { ...listed, rows: listed.rows.map(chargebackItem) };
    },

    async *allChargebacks(filter) {
      const all: ChargebackItem[] = await db.snapshot(async (trx) => {
        const items: ChargebackItem[] = [];
        for await (const item of chargebacksIn(trx, filter)) items.push(item);
        return items;
      });
      yield* all;
    },
  };
}

async function readRun(trx: Trx, row: RunRow): Promise<PurchaseRun> {
  const orders = await store.orders(trx).where("o.run", "=", row.id).orderBy("o.order_no").execute();
  const chargebacks: RunChargeback[] = [];
  for await (const item of chargebacksIn(trx, { run: row.id })) {
    const { department, costCentre, license, quantity, amount, currency } = item;
    chargebacks.push({
      department,
      ...(costCentre !== undefined && { costCentre }),
      license,
      quantity,
      amount,
      currency,
    });
  }
  const rights: RunRights[] = [];
  await eachRightsRow(trx, row.id, (r) =>
    rights.push({
      department: r.department_code,
      license: r.code,
      before: r.rights_before,
      after: r.rights_after,
      requestedBefore: r.requested_before,
      requestedAfter: r.requested_after,
    }),
  );
  return {
    ...headOf(row),
    dryRun: false,
    orders: orders.map(orderFields),
    chargebacks,
    rights,
    ...(JSON.parse(row.report) as RunReport),
  };
}

type RightsOfRun = Awaited<ReturnType<typeof store.rightsAfter>>[number];
/** Calls `work` for each department and licence whose rights or requested the run changed. */
export async function eachRightsRow(trx: Trx, run: string, work: (row: RightsOfRun) => void): Promise<void> {
  for (let after = 0; ;) {
    const rows = await store.rightsAfter(trx, run, after, pageSize);
    rows.forEach(work);
    after = rows[rows.length - 1]?.place ?? after;
    if (rows.length < pageSize) return;
    await breathe();
  }
}

async function* chargebacksIn(trx: Trx, filter: ChargebackFilter): AsyncGenerator<ChargebackItem> {
  for (let after = ""; ;) {
    const rows = await filtered(store.chargebacks(trx), filter)
      .where("c.id", ">", after)
      .orderBy("c.id")
      .limit(pageSize)
      .execute();
    yield* rows.map(chargebackItem);
    after = rows[rows.length - 1]?.id ?? after;
    if (rows.length < pageSize) return;
    await breathe();
  }
}

export function headOf(row: Pick<RunRow, "id" | "period" | "state" | "at" | "version">): {
  id: string;
  period: string;
  state: RunState;
  at: string;
  version: number;
} {
  const { id, period, state, at, version } = row;
  return { id, period, state: state as RunState, at: new Date(at).toISOString(), version };
}

type OrderRow = Awaited<ReturnType<ReturnType<typeof store.orders>["execute"]>>[number];
type ChargebackRow = Awaited<ReturnType<ReturnType<typeof store.chargebacks>["execute"]>>[number];

function orderFields(row: OrderRow): RunOrder {
  return {
    order: row.order_no,
    license: row.license,
    quantity: row.quantity,
    ...(row.pack_size > 1 && { packSize: row.pack_size }),
    unitPrice: row.unit_price,
    amount: row.amount,
    currency: row.currency,
    ...(row.supplier_order !== null && { supplierOrder: row.supplier_order }),
  };
}

function chargebackItem(row: ChargebackRow): ChargebackItem {
  return {
    id: row.id,
    run: row.run,
    period: row.period,
    state: row.state as RunState,
    at: new Date(row.at).toISOString(),
    department: row.department,
    ...(row.cost_centre !== null && { costCentre: row.cost_centre }),
    license: row.license,
    quantity: row.quantity,
    amount: row.amount,
    currency: row.currency,
  };
}

/** What was taken back is charged to nobody: it is shown only to who asks for that run. */
function filtered(
  select: ReturnType<typeof store.chargebacks>,
  filter: ChargebackFilter,
): ReturnType<typeof store.chargebacks> {
  let out =
    filter.run === undefined ? select.where("r.state", "<>", "reversed") : select.where("c.run", "=", filter.run);
  if (filter.period !== undefined) out = out.where("r.period", "=", filter.period);
  if (filter.department !== undefined) out = out.where("c.department_code", "=", filter.department);
  if (filter.costCentre !== undefined) out = out.where("c.cost_centre", "=", filter.costCentre);
  if (filter.license !== undefined) out = out.where("l.code", "=", filter.license);
  if (filter.currency !== undefined) out = out.where("c.currency", "=", filter.currency);
  return out;
}
