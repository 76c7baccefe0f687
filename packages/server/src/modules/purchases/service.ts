/**
 * Purpose: purchase runs (domain.md §7): plan, run, reverse, place, and what was ordered and charged.
 * Invariants: a run is one transaction that holds the ledger and all counting - so usage and applications pause, what arrives meanwhile comes
 * after, and a crash at any instruction leaves all of the run or nothing; one run per period that was not reversed; what is bought becomes an
 * entitlement, so held stays the sum of entitlements; a reversal gives back exactly what the run changed, or is refused and changes nothing.
 * Lock order: ledger, counting, then the position version, as everywhere (db/locks.ts).
 */
import { createHash } from "node:crypto";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { page, type Page } from "../../db/page.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import { breathe, eachPolitely, slicesOf } from "../../slices.ts";
import {
  adjustRights,
  eachCounts,
  holdCounting,
  recordingTime,
  touchPositions,
  withdrawEntitlements,
  type Entitlements,
  type Positions,
  type RightsChange,
} from "../licenses/index.ts";
import {
  chargebacksOf,
  ordersOf,
  reportOf,
  rightsOf,
  type PurchaseRun,
  type RunChargeback,
  type RunOrder,
  type RunReport,
  type RunRights,
  type RunState,
} from "./answer.ts";
import { costCentres } from "./cost-centres.ts";
import { periodOf } from "./period.ts";
import { purchaseStore as store, type RunRow } from "./store.ts";
import { workOut, type Planned, type WorkedOut } from "./work-out.ts";

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

export interface Purchases {
  /** A dry run: writes nothing. */
  plan(period?: string): Promise<PurchaseRun>;
  /**
   * Runs, or answers with the run of this period that is there. `idempotency` names the caller and the key.
   * @throws conflict where the key was used for another period
   */
  run(options?: {
    readonly period?: string;
    readonly idempotency?: string;
  }): Promise<{ readonly run: PurchaseRun; readonly created: boolean }>;
  get(id: string): Promise<PurchaseRun | undefined>;
  /** Reversed ones, too. */
  hasRunOf(period: string): Promise<boolean>;
  list(query: ListQuery & { readonly period?: string; readonly state?: string }): Promise<Page<RunSummary>>;
  /** @throws not-found, conflict */
  reverse(id: string): Promise<PurchaseRun>;
  /** The orders went to the supplier. @throws not-found, conflict */
  place(id: string, supplierOrder?: string): Promise<PurchaseRun>;
  orders(query: ListQuery & Omit<ChargebackFilter, "department" | "costCentre">): Promise<Page<OrderItem>>;
  chargebacks(query: ListQuery & ChargebackFilter): Promise<Page<ChargebackItem>>;
  /** All that a filter finds, for sums. */
  allChargebacks(filter: ChargebackFilter): AsyncIterable<ChargebackItem>;
}

interface Granted {
  /** Ordinals. */
  readonly department: number;
  readonly license: number;
  readonly quantity: number;
}

/** Implemented by modules/applications: what departments had applied for and a run grants. */
export interface GrantedApplications {
  settle(
    trx: Trx,
    granted: readonly Granted[],
    options: { readonly source: string; readonly at: number },
  ): Promise<void>;
  /** Answers what is outstanding again: less than was granted where an application was withdrawn since. */
  unsettle(trx: Trx, source: string): Promise<readonly Granted[]>;
}

export interface PurchaseSettings {
  readonly timezone: string;
  /** Licences the group buys. */
  readonly pooled: (license: string) => boolean;
}

/** Rows read at a time. */
const pageSize = 1000;

export function createPurchases(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly positions: Positions;
  readonly entitlements: Entitlements;
  readonly settings: PurchaseSettings;
  readonly applications?: GrantedApplications;
}): Purchases {
  const { db, clock, events, positions, entitlements, settings } = deps;

  const worked = (trx: Trx, at: number): Promise<WorkedOut> =>
    workOut(db, trx, { at, pooled: settings.pooled, cube: (bought) => positions.cubeWithin(trx, bought) });

  async function centresOf(trx: Trx, { departments }: WorkedOut): Promise<(code: string) => string | undefined> {
    const centreOf = costCentres(await store.departments(trx));
    return (code) => centreOf(departments.get(code) ?? 0);
  }

  /** Writes what was worked out. */
  async function carryOut(trx: Trx, plan: WorkedOut, run: RunRow): Promise<PurchaseRun> {
    const { licenses, departments } = plan;
    const { id, period, at } = run;
    const bought = licenses.filter((planned) => planned.order !== undefined);
    const before = await store.runsOfPeriod(trx, period);
    const numbers = new Map(
      bought.map((planned, place) => [planned.license, orderNumber(period, before, place)] as const),
    );
    const numberOf = (planned: Planned): string => numbers.get(planned.license) ?? "";
    const ids = new Map(bought.map((planned) => [planned.license, newId(at)] as const));
    const ordinalOf = (code: string): number => departments.get(code) ?? 0;

    await store.insertRun(trx, run);
    await store.insertOrders(
      db,
      trx,
      bought.flatMap((planned) => {
        const { order } = planned;
        if (order === undefined) return [];
        const { quantity, packSize: pack_size = 1, unitPrice: unit_price, amount, currency } = order;
        const entitlement = ids.get(planned.license) ?? "";
        const row = { run: id, license: planned.ordinal, order_no: numberOf(planned), supplier_order: null };
        return [{ ...row, quantity, pack_size, unit_price, amount, currency, entitlement }];
      }),
    );
    const licenseOf = new Map(licenses.map((planned) => [planned.license, planned.ordinal]));
    const chargebacks = chargebacksOf(licenses, await centresOf(trx, plan));
    for await (const slice of slicesOf([...chargebacks.entries()], 1000))
      await store.insertChargebacks(
        db,
        trx,
        slice.map(([place, { department, costCentre, license, quantity, amount, currency }]) => ({
          id: `${id}-${String(place + 1).padStart(7, "0")}`,
          run: id,
          license: licenseOf.get(license) as number,
          department: ordinalOf(department),
          department_code: department,
          cost_centre: costCentre ?? null,
          ...{ quantity, amount, currency },
        })),
      );
    const rights = rightsOf(licenses);
    for await (const slice of slicesOf([...rights.entries()], 1000)) {
      const rows = slice.map(([place, change]) => ({
        run: id,
        place: place + 1,
        license: licenseOf.get(change.license) as number,
        department: ordinalOf(change.department),
        department_code: change.department,
        rights_before: change.before,
        rights_after: change.after,
        requested_before: change.requestedBefore,
        requested_after: change.requestedAfter,
      }));
      await store.insertRights(db, trx, rows);
    }
    const touched = await adjustRights(
      db,
      trx,
      rights.map(({ department, license, before, after, requestedBefore, requestedAfter }) => ({
        department: ordinalOf(department),
        license: licenseOf.get(license) as number,
        rights: after - before,
        requested: requestedAfter - requestedBefore,
      })),
      at,
      "purchaseRun",
    );
    const written = await entitlements.write(
      trx,
      bought.map((planned) => ({
        id: ids.get(planned.license) ?? "",
        license: planned.license,
        metric: planned.metric,
        quantity: planned.order?.quantity ?? 0,
        packSize: planned.order?.packSize ?? 1,
        unitPrice: planned.order?.unitPrice ?? null,
        currency: planned.order?.currency ?? null,
        purchasedAt: at,
        order: numberOf(planned),
      })),
      { mode: "create", at },
    );
    await deps.applications?.settle(
      trx,
      rights.flatMap(({ department, license, before, after }) =>
        after > before
          ? [{ department: ordinalOf(department), license: licenseOf.get(license) as number, quantity: after - before }]
          : [],
      ),
      { source: id, at },
    );
    const fault = written.faults[0];
    if (fault !== undefined) throw serverErrors.make("conflict", { reason: fault.message });
    await touchPositions(db, trx, at, { departments: touched, entitlements: bought.length > 0 });
    return {
      ...headOf(run),
      dryRun: false,
      orders: ordersOf(licenses, numberOf),
      chargebacks,
      rights,
      ...reportOf(licenses),
    };
  }

  async function read(trx: Trx, row: RunRow): Promise<PurchaseRun> {
    const orders = await store.orders(trx).where("o.run", "=", row.id).orderBy("o.order_no").execute();
    const chargebacks: RunChargeback[] = [];
    for await (const item of chargebacksIn(trx, { run: row.id })) {
      const { department, costCentre, license, quantity, amount, currency } = item;
      chargebacks.push({
        department,
        ...(costCentre !== undefined && { costCentre }),
        ...{ license, quantity, amount, currency },
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
  async function eachRightsRow(trx: Trx, run: string, work: (row: RightsOfRun) => void): Promise<void> {
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

  /** What would become negative, were the run's changes taken back. */
  async function tooFew(trx: Trx, run: string): Promise<{ changes: RightsChange[]; rows: string[] }> {
    const cube = await positions.cubeWithin(trx);
    const held = new Map<string, number>();
    await eachPolitely(cube.rows, ([department, counts]) =>
      eachCounts(counts, (place, { rights }) => {
        if (rights > 0) held.set(`${department}:${cube.licenses[place]?.ordinal}`, rights);
      }),
    );
    const changes: RightsChange[] = [];
    const rows: string[] = [];
    await eachRightsRow(trx, run, (row) => {
      const rights = row.rights_before - row.rights_after;
      const now = held.get(`${row.department}:${row.license}`) ?? 0;
      if (now + rights < 0)
        rows.push(`department ${row.department_code}, licence ${row.code}: has ${now} rights, the run gave ${-rights}`);
      const requested = row.requested_before - row.requested_after;
      changes.push({ department: row.department, license: row.license, rights, requested });
    });
    return { changes, rows };
  }

  /** Requested belongs to applications: they say what is outstanding again. */
  async function asAppliedFor(
    trx: Trx,
    run: string,
    changes: readonly RightsChange[],
  ): Promise<readonly RightsChange[]> {
    if (deps.applications === undefined) return changes;
    const again = new Map(
      (await deps.applications.unsettle(trx, run)).map((g) => [`${g.department}:${g.license}`, g.quantity]),
    );
    return changes.map((change) => ({
      ...change,
      requested: again.get(`${change.department}:${change.license}`) ?? 0,
    }));
  }

  const found = async (trx: Trx, id: string): Promise<RunRow> => {
    const row = await store.run(trx, id);
    if (row === undefined) throw serverErrors.make("not-found", { what: "purchase run", id });
    return row;
  };
  const conflict = (reason: string): Error => serverErrors.make("conflict", { reason });

  return {
    async plan(period) {
      const at = clock.now();
      return db.snapshot(async (trx) => {
        const plan = await worked(trx, at);
        const { licenses, version } = plan;
        return {
          id: "dry-run",
          period: period ?? periodOf(at, settings.timezone),
          state: "planned",
          dryRun: true,
          at: new Date(at).toISOString(),
          version,
          orders: ordersOf(licenses),
          chargebacks: chargebacksOf(licenses, await centresOf(trx, plan)),
          rights: rightsOf(licenses),
          ...reportOf(licenses),
        };
      });
    },

    async run(options = {}) {
      const { period: wanted } = options;
      const period = wanted ?? periodOf(clock.now(), settings.timezone);
      const key = options.idempotency === undefined ? null : sha256(options.idempotency);
      const result = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const ofKey = key === null ? undefined : await store.runOfKey(trx, key);
        if (ofKey !== undefined && wanted !== undefined && ofKey.period !== wanted)
          throw conflict(`This Idempotency-Key was used for the period ${ofKey.period}`);
        const there = ofKey ?? (await store.runOfPeriod(trx, period));
        if (there !== undefined) return { run: await read(trx, there), created: false };
        await holdCounting(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const plan = await worked(trx, at);
        const run = await carryOut(trx, plan, {
          id: newId(at),
          period,
          state: "done",
          at,
          version: plan.version,
          idempotency: key,
          report: JSON.stringify(reportOf(plan.licenses)),
          changed_at: at,
        });
        return { run, created: true };
      });
      if (result.created) events.emit("positions-changed", {});
      return result;
    },

    get: (id) =>
      db.snapshot(async (trx) => {
        const row = await store.run(trx, id);
        return row === undefined ? undefined : read(trx, row);
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

    async reverse(id) {
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, id);
        if (row.state === "placed")
          throw conflict(`The orders of run ${id} are placed: it cannot be reversed any more`);
        if (row.state === "reversed") return { run: await read(trx, row), changed: false };
        await holdCounting(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const orders = await store.orders(trx).where("o.run", "=", id).execute();
        const edited = new Set(
          await withdrawEntitlements(
            db,
            trx,
            orders.map((order) => order.entitlement),
            { writtenAt: row.at, at },
          ),
        );
        const changed = orders.find((order) => edited.has(order.entitlement));
        if (changed !== undefined)
          throw conflict(`Entitlement ${changed.entitlement} of order ${changed.order_no} was changed since the run`);
        const { changes, rows } = await tooFew(trx, id);
        if (rows.length > 0)
          throw conflict(`Rights were changed since the run: ${rows.slice(0, 5).join("; ")} (${rows.length} in all)`);
        const touched = await adjustRights(db, trx, await asAppliedFor(trx, id, changes), at, "purchaseRun");
        await store.setState(trx, id, "reversed", at);
        await touchPositions(db, trx, at, { departments: touched, entitlements: orders.length > 0 });
        return { run: await read(trx, { ...row, state: "reversed", changed_at: at }), changed: true };
      });
      if (done.changed) events.emit("positions-changed", {});
      return done.run;
    },

    place: (id, supplierOrder) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await found(trx, id);
        if (row.state === "reversed") throw conflict(`Run ${id} was reversed: there is nothing to place`);
        const orders = await store.orders(trx).where("o.run", "=", id).execute();
        const other = orders.find((order) => (order.supplier_order ?? supplierOrder) !== supplierOrder);
        if (supplierOrder !== undefined && other !== undefined)
          throw conflict(`The orders of run ${id} are placed under ${other.supplier_order}`);
        if (row.state !== "placed") await store.setState(trx, id, "placed", clock.now());
        if (supplierOrder !== undefined) await store.setSupplierOrder(trx, id, supplierOrder);
        return read(trx, { ...row, state: "placed" });
      }),

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
          ...{ run: row.run, period: row.period, state: row.state as RunState, entitlement: row.entitlement },
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

/** `2026-11/0001`; of a period that is run again after a reversal `2026-11/2.0001`. A period has no `/`. */
function orderNumber(period: string, runsBefore: number, place: number): string {
  const count = String(place + 1).padStart(4, "0");
  return runsBefore === 0 ? `${period}/${count}` : `${period}/${runsBefore + 1}.${count}`;
}

function sha256(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}

function headOf(row: Pick<RunRow, "id" | "period" | "state" | "at" | "version">): {
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
