/**
 * Purpose: one order for the demand of several companies, at a price that falls with the quantity (domain.md §7 by the same rules, over companies
 * instead of departments).
 * Invariants: the whole quantity has the price of the tier it reaches; Σ amounts = the order's amount; Σ savings = what all would have paid alone,
 * each at the tier of its own quantity, less that amount - never negative, because a price never rises with the quantity.
 */
import { amountOf, byCode, shareOut } from "./share.ts";

export interface PriceTier {
  /** First quantity that has this price; 1 for the first tier. */
  readonly from: number;
  /** Minor units. */
  readonly unitPrice: number;
}

export interface CompanyDemand {
  readonly company: string;
  readonly quantity: number;
}

export interface PooledShare {
  readonly company: string;
  readonly quantity: number;
  readonly amount: number;
  /** What it would have paid alone. */
  readonly alone: number;
  /** Its share of the saving. */
  readonly saving: number;
}

export interface PooledOrder {
  readonly quantity: number;
  readonly unitPrice: number;
  readonly amount: number;
  readonly alone: number;
  readonly saving: number;
  /** Companies with a demand, in the order of their codes. */
  readonly shares: readonly PooledShare[];
}

/** undefined where nobody needs any; `amount-too-large` where an amount would not be exact any more. */
export function poolOrders(
  demands: readonly CompanyDemand[],
  tiers: readonly PriceTier[],
): PooledOrder | "amount-too-large" | undefined {
  const wanting = demands.filter(({ quantity }) => quantity > 0).sort((a, b) => byCode(a.company, b.company));
  if (wanting.length === 0) return undefined;
  const quantity = wanting.reduce((total, demand) => total + demand.quantity, 0);
  const unitPrice = tierPrice(tiers, quantity);
  const amount = amountOf(quantity, unitPrice);
  const alone = wanting.map((demand) => amountOf(demand.quantity, tierPrice(tiers, demand.quantity)) ?? NaN);
  const total = alone.reduce((all, one) => all + one, 0);
  if (amount === undefined || !Number.isSafeInteger(total)) return "amount-too-large";
  const weights = wanting.map((demand) => ({ code: demand.company, weight: demand.quantity }));
  const amounts = shareOut(amount, weights);
  const savings = shareOut(total - amount, weights);
  return {
    quantity,
    unitPrice,
    amount,
    alone: total,
    saving: total - amount,
    shares: wanting.map((demand, place) => ({
      company: demand.company,
      quantity: demand.quantity,
      amount: amounts[place] as number,
      alone: alone[place] as number,
      saving: savings[place] as number,
    })),
  };
}

/** Price of each of `quantity`. @throws RangeError where there are no tiers */
export function tierPrice(tiers: readonly PriceTier[], quantity: number): number {
  const reached = tiers.filter(({ from }) => from <= quantity).sort((a, b) => b.from - a.from)[0];
  if (reached === undefined) throw new RangeError(`no price for a quantity of ${quantity}`);
  return reached.unitPrice;
}

/** What is wrong with tiers, with the place of each; they must be named from 1 upward and never become dearer. */
export function tierFaults(
  tiers: readonly PriceTier[],
): readonly { readonly place: number; readonly reason: string }[] {
  return tiers.flatMap(({ from, unitPrice }, place) => {
    const before = tiers[place - 1];
    if (before === undefined) return from === 1 ? [] : [{ place, reason: "the first tier begins with quantity 1" }];
    if (from <= before.from)
      return [{ place, reason: `must begin above ${before.from}, where the tier before begins` }];
    return unitPrice > before.unitPrice
      ? [{ place, reason: `must not be dearer than the tier before (${before.unitPrice})` }]
      : [];
  });
}
