/**
 * Purpose: budgets per cost centre and period - a year or a month - with what is spent of them and what is committed, and the check of an application
 * against them.
 * Rules: spent = what purchase runs of the period charged to the cost centre; committed = what is approved and not granted at the contract price,
 * counted in the periods that are running now, because the next run will charge it; of a licence sold in packs, whole packs for all that the cost
 * centre needs together, so an application that fits into a pack begun by others costs nothing; a department pays from its own cost centre, else from
 * that of the nearest department above that has one, as in chargebacks. What is in another currency is shown beside the figures and never added to
 * them; a licence without a contract price costs nothing that is known.
 */
import type { Clock } from "@daicho/kernel";
import { costOf } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { serverErrors } from "../../errors.ts";
import { pageOfItems } from "../../http/items.ts";
import type { ListQuery } from "../../http/list.ts";
import { contractPrices, type ContractPrice } from "../licenses/index.ts";
import { costCentres, periodOf } from "../purchases/index.ts";
import { budgetStore as store, type BudgetRow } from "./budget-store.ts";
import { groupBy } from "./group.ts";
import { applicationStore } from "./store.ts";

export interface BudgetInput {
  readonly costCentre: string;
  /** `2026` or `2026-11` */
  readonly period: string;
  /** Minor units of `currency`. */
  readonly amount: number;
  readonly currency: string;
}

export interface Budget extends BudgetInput {
  readonly spent: number;
  readonly committed: number;
  /** Negative where more is spent and committed than there is. */
  readonly left: number;
  readonly otherCurrencies?: readonly {
    readonly currency: string;
    readonly spent: number;
    readonly committed: number;
  }[];
}

/** An application that is to be paid for. */
export interface Cost {
  readonly department: number;
  /** Ordinal and code. */
  readonly license: number;
  readonly code: string;
  readonly quantity: number;
}

export interface Budgets {
  set(input: BudgetInput): Promise<{ readonly created: boolean; readonly budget: Budget }>;
  remove(costCentre: string, period: string): Promise<boolean>;
  list(
    query: ListQuery & { readonly costCentre?: string; readonly period?: string },
  ): Promise<{ readonly items: readonly Budget[]; readonly nextCursor?: string }>;
  /**
   * The first budget that does not cover the cost, as the error it would be. @throws budget-currency where cost and budget cannot be compared
   */
  exceeded(trx: Trx, cost: Cost, at: number): Promise<ReturnType<typeof serverErrors.make> | undefined>;
}

export function createBudgets(deps: {
  readonly db: Database;
  readonly clock: Clock;
  /** IANA name; periods are those of the purchase runs. */
  readonly timezone: string;
}): Budgets {
  const { db, clock, timezone } = deps;
  const monthOf = (at: number): string => periodOf(at, timezone);
  /** A run belongs to the month or year its period's name begins with; one that is named otherwise to the time it was made at. */
  const within = (period: string, run: { readonly period: string; readonly at: number }): boolean =>
    (/^\d{4}(?!\d)/.test(run.period) ? run.period : monthOf(run.at)).startsWith(period);

  /** What cost centres have to pay for: units by cost centre and licence. */
  async function bound(trx: Trx): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    const open = await applicationStore.outstanding(trx);
    const centreOf = costCentres(open.length === 0 ? [] : await store.departments(trx));
    const needs = new Map<string, Map<number, number>>();
    for (const { department, license, quantity } of open) {
      const centre = centreOf(department);
      if (centre === undefined) continue;
      const need = needs.get(centre) ?? new Map<number, number>();
      need.set(license, (need.get(license) ?? 0) + Number(quantity));
      needs.set(centre, need);
    }
    return needs;
  }

  async function figures(trx: Trx, rows: readonly BudgetRow[], at: number): Promise<Budget[]> {
    if (rows.length === 0) return [];
    const centres = [...new Set(rows.map((row) => row.cost_centre))];
    const charged = groupBy(await store.charged(trx, db.dialect, centres), (run) => run.cost_centre);
    const needs = await bound(trx);
    const prices = await contractPrices(
      db,
      trx,
      centres.flatMap((centre) => [...(needs.get(centre)?.keys() ?? [])]),
    );
    const month = monthOf(at);
    return rows.map((row) => {
      const sums = new Map<string, { spent: number; committed: number }>();
      const sumOf = (currency: string): { spent: number; committed: number } => {
        const known = sums.get(currency) ?? { spent: 0, committed: 0 };
        sums.set(currency, known);
        return known;
      };
      for (const run of charged.get(row.cost_centre) ?? [])
        if (within(row.period, run)) sumOf(run.currency).spent += Number(run.amount);
      if (month.startsWith(row.period))
        for (const [license, units] of needs.get(row.cost_centre) ?? []) {
          const price = prices.get(license);
          if (price === undefined) continue;
          const sum = sumOf(price.currency);
          sum.committed = exact(sum.committed + costAt(price, units));
        }
      const { spent, committed } = sumOf(row.currency);
      sums.delete(row.currency);
      const others = [...sums].map(([currency, sum]) => ({ currency, ...sum }));
      return {
        costCentre: row.cost_centre,
        period: row.period,
        amount: row.amount,
        currency: row.currency,
        spent,
        committed,
        left: exact(row.amount - spent - committed),
        ...(others.length > 0 && { otherCurrencies: others.sort((a, b) => (a.currency < b.currency ? -1 : 1)) }),
      };
    });
  }

  return {
    async set({ costCentre, period, amount, currency }) {
      return db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = clock.now();
        const created = (await store.find(trx, costCentre, period)) === undefined;
        const row = { cost_centre: costCentre, period, amount, currency, changed_at: at };
        await store.set(trx, row);
        const [budget] = await figures(trx, [row], at);
        return { created, budget: budget as Budget };
      });
    },

    remove: (costCentre, period) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        return store.remove(trx, costCentre, period);
      }),

    list: (query) =>
      db.snapshot(async (trx) => {
        const rows = (await store.all(trx))
          .filter((row) => query.costCentre === undefined || row.cost_centre === query.costCentre)
          .filter((row) => query.period === undefined || row.period === query.period)
          .map((row) => ({ ...row, costCentre: row.cost_centre, key: `${row.cost_centre}\n${row.period}` }))
          .sort((a, b) => (a.key < b.key ? -1 : 1));
        const page = await pageOfItems(rows, query, {
          fields: ["costCentre", "period", "currency"],
          keyOf: (row) => row.key,
        });
        return { ...page, items: await figures(trx, page.items, clock.now()) };
      }),

    async exceeded(trx, { department, license, code, quantity }, at) {
      const chain = await applicationStore.chain(trx, department);
      const costCentre = chain.find((d) => d.cost_centre !== null && d.cost_centre !== "")?.cost_centre;
      if (costCentre == null || quantity === 0) return undefined;
      const month = monthOf(at);
      const budgets = await store.ofCentre(trx, costCentre, [month, month.slice(0, 4)]);
      const price = (await contractPrices(db, trx, [license])).get(license);
      if (budgets.length === 0 || price === undefined) return undefined;
      const units = (await bound(trx)).get(costCentre)?.get(license) ?? 0;
      const together = costOf(units + quantity, price).amount;
      const cost = together === undefined ? Number.MAX_SAFE_INTEGER : together - costAt(price, units);
      for (const budget of await figures(trx, budgets, at)) {
        const { period, currency, left } = budget;
        if (currency !== price.currency)
          throw serverErrors.make("budget-currency", {
            license: code,
            currency: price.currency,
            period,
            costCentre,
            budgetCurrency: currency,
          });
        if (cost > 0 && cost > left)
          return serverErrors.make("budget-exceeded", {
            quantity,
            license: code,
            cost,
            currency,
            period,
            costCentre,
            left,
          });
      }
      return undefined;
    },
  };
}

function costAt(price: ContractPrice, units: number): number {
  return costOf(units, price).amount ?? Number.MAX_SAFE_INTEGER;
}

/** A sum beyond what a number holds exactly is too much for any budget; it stays at the largest exact one. */
function exact(amount: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, amount));
}
