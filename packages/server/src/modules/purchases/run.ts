/**
 * Purpose: plans and runs a purchase (domain.md §7): works out what is bought, who pays and what everyone may use, and writes it.
 * Invariants: a run is one transaction that holds the ledger and all counting - so usage and applications pause, what arrives meanwhile comes
 * after, and a crash at any instruction leaves all of the run or nothing; one run per period that was not reversed; what is bought becomes an
 * entitlement, so held stays the sum of entitlements.
 * While devices are being derived by a new policy the counts are of both; nothing is planned or bought by them: it waits.
 * Lock order: ledger, counting, then the position version, as everywhere (db/locks.ts).
 */
import { createHash } from "node:crypto";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { slicesOf } from "../../slices.ts";
import {
  adjustRights,
  holdCounting,
  recordingTime,
  touchPositions,
  type Entitlements,
  type Positions,
} from "../licenses/index.ts";
import {
  chargebacksOf,
  ordersOf,
  reportOf,
  rightsOf,
  type PurchaseRun,
  type RunChargeback,
  type RunRights,
} from "./answer.ts";
import type { GrantedApplications } from "./applications.ts";
import { costCentres } from "./cost-centres.ts";
import { periodOf } from "./period.ts";
import { headOf, type PurchaseReader } from "./read.ts";
import { purchaseStore as store, type RunRow } from "./store.ts";
import { workOut, type Planned, type WorkedOut } from "./work-out.ts";

export interface PurchaseSettings {
  readonly timezone: string;
  /** Licences the group buys, or may be buying; asked in the transaction that would buy them. */
  readonly pooled: (trx: Trx) => Promise<(license: string) => boolean>;
}

export interface PurchaseRunner {
  /** A dry run: writes nothing. */
  plan(period?: string): Promise<PurchaseRun>;
  /**
   * Runs, or answers with the run of this period that is there. `idempotency` names the caller and the key.
   * @throws conflict where the key was used for another period
   */
  run(options?: { readonly period?: string; readonly idempotency?: string }): Promise<Result>;
}

interface Result {
  readonly run: PurchaseRun;
  readonly created: boolean;
}

export function createPurchaseRunner(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly positions: Positions;
  readonly entitlements: Entitlements;
  readonly settings: PurchaseSettings;
  /** Whether counts are those of the policy in force. */
  readonly counting: { settled(): Promise<void>; readonly underWay: boolean };
  readonly applications: GrantedApplications;
  readonly reader: PurchaseReader;
}): PurchaseRunner {
  const { db, clock, events, positions, entitlements, settings, counting, reader } = deps;

  return {
    async plan(period) {
      await counting.settled();
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
      const attempt = (): Promise<Result | "not-settled"> =>
        db.transaction(async (trx) => {
          await lockLedger(trx, db.dialect);
          const ofKey = key === null ? undefined : await store.runOfKey(trx, key);
          if (ofKey !== undefined && wanted !== undefined && ofKey.period !== wanted)
            throw serverErrors.make("conflict", {
              reason: `This Idempotency-Key was used for the period ${ofKey.period}`,
            });
          const there = ofKey ?? (await store.runOfPeriod(trx, period));
          if (there !== undefined) return { run: await reader.within(trx, there), created: false };
          await holdCounting(trx, db.dialect);
          if (counting.underWay) return "not-settled";
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
      let result: Result | "not-settled";
      do {
        await counting.settled();
        result = await attempt();
      } while (result === "not-settled");
      if (result.created) events.emit("positions-changed", {});
      return result;
    },
  };

  async function worked(trx: Trx, at: number): Promise<WorkedOut> {
    const pooled = await settings.pooled(trx);
    return workOut(db, trx, { at, pooled, cube: (bought) => positions.cubeWithin(trx, bought) });
  }

  async function centresOf(trx: Trx, { departments }: WorkedOut): Promise<(code: string) => string | undefined> {
    const centreOf = costCentres(await store.departments(trx));
    return (code) => centreOf(departments.get(code) ?? 0);
  }

  /** Writes what was worked out. */
  async function carryOut(trx: Trx, plan: WorkedOut, run: RunRow): Promise<PurchaseRun> {
    const { licenses } = plan;
    const { id, at } = run;
    const ordinals = ordinalsOf(plan);
    const orders = numbered(run.period, await store.runsOfPeriod(trx, run.period), licenses, at);
    const chargebacks = chargebacksOf(licenses, await centresOf(trx, plan));
    const rights = rightsOf(licenses);

    await store.insertRun(trx, run);
    await store.insertOrders(
      db,
      trx,
      orders.map(({ planned, order, number, entitlement }) => {
        const { quantity, packSize: pack_size = 1, unitPrice: unit_price, amount, currency } = order;
        const row = { run: id, license: planned.ordinal, order_no: number, supplier_order: null };
        return { ...row, quantity, pack_size, unit_price, amount, currency, entitlement };
      }),
    );
    await keepChargebacks(trx, id, chargebacks, ordinals);
    await keepRights(trx, id, rights, ordinals);
    const changed = rights.map(({ department, license, ...numbers }) => ({
      department: ordinals.department(department),
      license: ordinals.license(license),
      rights: numbers.after - numbers.before,
      requested: numbers.requestedAfter - numbers.requestedBefore,
    }));
    const touched = await adjustRights(db, trx, changed, at, "purchaseRun");
    const written = await entitlements.write(
      trx,
      orders.map(({ planned, order, number, entitlement }) => ({
        id: entitlement,
        license: planned.license,
        metric: planned.metric,
        quantity: order.quantity,
        packSize: order.packSize ?? 1,
        unitPrice: order.unitPrice,
        currency: order.currency,
        purchasedAt: at,
        order: number,
      })),
      { mode: "create", at },
    );
    const fault = written.faults[0];
    if (fault !== undefined) throw serverErrors.make("conflict", { reason: fault.message });
    await deps.applications.settle(
      trx,
      changed.flatMap(({ department, license, rights: quantity }) =>
        quantity > 0 ? [{ department, license, quantity }] : [],
      ),
      { source: id, at },
    );
    await touchPositions(db, trx, at, { departments: touched, entitlements: orders.length > 0 });
    const numbers = new Map(orders.map(({ planned, number }) => [planned, number]));
    return {
      ...headOf(run),
      dryRun: false,
      orders: ordersOf(licenses, (planned) => numbers.get(planned) ?? ""),
      chargebacks,
      rights,
      ...reportOf(licenses),
    };
  }

  async function keepChargebacks(
    trx: Trx,
    run: string,
    chargebacks: readonly RunChargeback[],
    ordinals: Ordinals,
  ): Promise<void> {
    for await (const slice of slicesOf([...chargebacks.entries()], 1000))
      await store.insertChargebacks(
        db,
        trx,
        slice.map(([place, { department, costCentre, license, quantity, amount, currency }]) => ({
          id: `${run}-${String(place + 1).padStart(7, "0")}`,
          run,
          license: ordinals.license(license),
          department: ordinals.department(department),
          department_code: department,
          cost_centre: costCentre ?? null,
          quantity,
          amount,
          currency,
        })),
      );
  }

  async function keepRights(trx: Trx, run: string, rights: readonly RunRights[], ordinals: Ordinals): Promise<void> {
    for await (const slice of slicesOf([...rights.entries()], 1000))
      await store.insertRights(
        db,
        trx,
        slice.map(([place, change]) => ({
          run,
          place: place + 1,
          license: ordinals.license(change.license),
          department: ordinals.department(change.department),
          department_code: change.department,
          rights_before: change.before,
          rights_after: change.after,
          requested_before: change.requestedBefore,
          requested_after: change.requestedAfter,
        })),
      );
  }
}

interface Ordinals {
  license(code: string): number;
  department(code: string): number;
}

function ordinalsOf({ licenses, departments }: WorkedOut): Ordinals {
  const ofLicense = new Map(licenses.map((planned) => [planned.license, planned.ordinal]));
  return { license: (code) => ofLicense.get(code) as number, department: (code) => departments.get(code) ?? 0 };
}

interface NumberedOrder {
  readonly planned: Planned;
  readonly order: NonNullable<Planned["order"]>;
  /** `2026-11/0001`; of a period that is run again after a reversal `2026-11/2.0001`. A period has no `/`. */
  readonly number: string;
  /** Id of the entitlement it becomes. */
  readonly entitlement: string;
}

function numbered(period: string, runsBefore: number, licenses: readonly Planned[], at: number): NumberedOrder[] {
  const prefix = runsBefore === 0 ? `${period}/` : `${period}/${runsBefore + 1}.`;
  return licenses
    .flatMap((planned) => (planned.order === undefined ? [] : [{ planned, order: planned.order }]))
    .map((one, place) => ({
      ...one,
      number: `${prefix}${String(place + 1).padStart(4, "0")}`,
      entitlement: newId(at),
    }));
}

function sha256(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}
