/**
 * Purpose: at a group: one order per licence for the demand of all companies that leave it to the group (domain.md §7 over companies); planned or made.
 * Invariants: one order per period and licence that was not reversed; Σ parts = amount and Σ savings = saving; an order, its parts and what this
 * server's own company books of it are one transaction, so a crash leaves all of it or nothing.
 */
import { createHash } from "node:crypto";
import { poolOrders } from "@daicho/licensing";
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import { periodOf } from "../purchases/index.ts";
import { orderOf, type GroupOrder } from "./answer.ts";
import { demandOf, type Demand, type GroupCompanies, type KnownCompany } from "./demand.ts";
import { risingIds } from "./ids.ts";
import type { OwnCompany } from "./own.ts";
import { poolingStore as store, type GrantRow, type PooledOrderRow } from "./store.ts";
import { tiersOf } from "./tiers.ts";

export const groupSkipReasons = ["price-unknown", "amount-too-large", "buys-itself"] as const;
export type GroupSkipReason = (typeof groupSkipReasons)[number];

export interface GroupOrders {
  readonly period: string;
  readonly dryRun: boolean;
  /** Those of the period, old and new ones. */
  readonly orders: readonly GroupOrder[];
  /** Lacking, but not ordered; with `company` where that one buys it for itself. */
  readonly skipped: readonly {
    readonly license: string;
    readonly quantity: number;
    readonly reason: GroupSkipReason;
    readonly company?: string;
  }[];
}

export interface GroupOrdering {
  /**
   * Absent licences = all that are lacking; an absent period = this month. `idempotency` names the caller and the key.
   * @throws conflict where the key was used for another period
   */
  order(options: {
    readonly period?: string;
    readonly licenses?: readonly string[];
    readonly dryRun?: boolean;
    readonly idempotency?: string;
  }): Promise<GroupOrders>;
}

export function createGroupOrdering(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly timezone: string;
  readonly own: OwnCompany;
  readonly companies: GroupCompanies;
  readonly announce: () => void;
}): GroupOrdering {
  const { db, clock, events, own } = deps;

  return {
    async order({ period: wanted, licenses, dryRun = false, idempotency }) {
      const period = wanted ?? periodOf(clock.now(), deps.timezone);
      // It comes with its version: what was granted is open until that version has it. So it may be read before the lock.
      const ownCompany = await deps.companies.own();
      if (dryRun) {
        const plan = await db.snapshot((trx) => worked(trx, ownCompany, period, licenses));
        return answerOf(plan, period, true);
      }
      const key = idempotency === undefined ? null : createHash("sha256").update(idempotency).digest("hex");
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const ofKey = key === null ? [] : await store.ordersOfKey(trx, key);
        const [first] = ofKey;
        if (first !== undefined) {
          if (wanted !== undefined && first.period !== wanted)
            throw serverErrors.make("conflict", {
              reason: `This Idempotency-Key was used for the period ${first.period}`,
            });
          const plan = { ...nothing(), old: ofKey, oldGrants: await grantsOf(trx, ofKey) };
          return { plan, period: first.period };
        }
        const plan = await worked(trx, ownCompany, period, licenses);
        const rows = plan.made.map((row) => ({ ...row, idempotency: key }));
        for (const row of rows) await store.insertOrder(trx, row);
        for (let from = 0; from < plan.grants.length; from += 500)
          await store.insertGrants(trx, plan.grants.slice(from, from + 500));
        return { plan: { ...plan, grants: await own.book(trx, rows, plan.grants) }, period };
      });
      if (done.plan.made.length > 0) {
        deps.announce();
        events.emit("positions-changed", {});
      }
      return answerOf(done.plan, done.period, false);
    },
  };

  async function worked(
    trx: Trx,
    ownCompany: KnownCompany | undefined,
    period: string,
    licenses: readonly string[] | undefined,
  ): Promise<Planned> {
    const before = await store.ordersOfPeriod(trx, period);
    const old = new Map(before.filter((row) => row.state !== "reversed").map((row) => [row.license, row]));
    const tiers = new Map((await store.tiers(trx).execute()).map((row) => [row.license, tiersOf(row)]));
    // Under the lock: a company that has heard that nothing is bought for it any more (parts.ts) may have bought since.
    const companies = [...(await deps.companies.others(trx)), ...(ownCompany ? [ownCompany] : [])];
    const { pooled, buyThemselves } = demandOf(companies, await store.granted(trx));
    const asked = [...new Set(licenses ?? [...pooled.keys(), ...old.keys()])].sort();
    const ids = await risingIds(trx, db.dialect, clock.now());
    const plan = nothing();
    for (const license of asked) {
      const there = old.get(license);
      const demands = pooled.get(license) ?? [];
      const quantity = demands.reduce((sum, demand) => sum + demand.quantity, 0);
      const price = tiers.get(license);
      if (there !== undefined) plan.old.push(there);
      else if (price === undefined) plan.skipped.push({ license, quantity, reason: "price-unknown" });
      else {
        const order = poolOrders(demands, price.tiers);
        if (order === undefined) continue;
        if (order === "amount-too-large") {
          plan.skipped.push({ license, quantity, reason: order });
          continue;
        }
        const { shares, unitPrice: unit_price, ...sums } = order;
        const again = before.filter((row) => row.license === license).length;
        const order_no = again === 0 ? `${period}/${license}` : `${period}/${again + 1}.${license}`;
        const id = newId(ids.at);
        plan.made.push({
          id,
          period,
          license,
          order_no,
          unit_price,
          ...sums,
          currency: price.currency,
          at: ids.at,
          state: "done",
          supplier_order: null,
          idempotency: null,
        });
        for (const share of shares)
          plan.grants.push({
            ...share,
            id: ids.next(),
            order_id: id,
            metric: metricOf(demands, share.company),
            booked_version: null,
            reversal_id: null,
            reversal_version: null,
          });
      }
    }
    for (const alone of buyThemselves)
      if (licenses === undefined ? tiers.has(alone.license) : licenses.includes(alone.license))
        plan.skipped.push({ ...alone, reason: "buys-itself" });
    return { ...plan, oldGrants: await grantsOf(trx, plan.old) };
  }
}

interface Planned {
  readonly made: PooledOrderRow[];
  readonly grants: GrantRow[];
  readonly old: PooledOrderRow[];
  readonly oldGrants: readonly GrantRow[];
  readonly skipped: GroupOrders["skipped"][number][];
}

function nothing(): Planned {
  return { made: [], grants: [], old: [], oldGrants: [], skipped: [] };
}

function grantsOf(trx: Trx, orders: readonly PooledOrderRow[]): Promise<GrantRow[]> {
  return store.grantsOf(
    trx,
    orders.map((row) => row.id),
  );
}

function metricOf(demands: readonly Demand[], company: string): string {
  return demands.find((demand) => demand.company === company)?.metric ?? "device";
}

function answerOf({ made, grants, old, oldGrants, skipped }: Planned, period: string, dryRun: boolean): GroupOrders {
  const orders = [
    ...old.map((row) => orderOf(row, oldGrants)),
    ...made.map((row) => {
      const { id, order, ...rest } = orderOf(row, grants);
      return dryRun ? { ...rest, state: "planned" as const } : { id, order, ...rest };
    }),
  ];
  return { period, dryRun, orders: orders.sort((a, b) => (a.license < b.license ? -1 : 1)) as GroupOrder[], skipped };
}
