/**
 * Purpose: the contract unit price of a licence (domain.md §7): the one of its newest current entitlement that has a price - newest by date of
 * purchase, entitlements without one last, then by the time of entry. The purchase run, budgets and the cost of an application ask here and nowhere else.
 * A licence that is not in the answer has no price: it cannot be bought, and what it costs is not known.
 */
import type { Database, Trx } from "../../db/database.ts";
import { slicesOf } from "../../slices.ts";
import { contractPriceStore as store } from "./contract-price-store.ts";

export interface ContractPrice {
  /** Minor units of `currency`. */
  readonly unitPrice: number;
  readonly currency: string;
  /** Units in each that has this price, where it is sold in packs. */
  readonly packSize?: number;
}

/** By the licence's ordinal. */
export async function contractPrices(
  db: Pick<Database, "dialect">,
  trx: Trx,
  licenses: readonly number[],
): Promise<ReadonlyMap<number, ContractPrice>> {
  const prices = new Map<number, ContractPrice>();
  for await (const slice of slicesOf([...new Set(licenses)], 1000))
    for (const row of await store.newestPriced(trx, db.dialect, slice))
      if (row.unit_price !== null && row.currency !== null)
        prices.set(row.license, {
          unitPrice: row.unit_price,
          currency: row.currency,
          ...(row.pack_size > 1 && { packSize: row.pack_size }),
        });
  return prices;
}
