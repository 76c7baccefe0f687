/** Purpose: at a group: what licences cost by quantity. */
import { tierFaults, type PriceTier } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { page, type Page } from "../../db/page.ts";
import type { ListQuery } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { poolingStore as store, type TierRow } from "./store.ts";

export interface PriceTiers {
  readonly license: string;
  /** ISO 4217 */
  readonly currency: string;
  readonly tiers: readonly PriceTier[];
}

export interface PriceList {
  tiers(query: ListQuery): Promise<Page<PriceTiers>>;
  tiersOf(license: string): Promise<PriceTiers | undefined>;
  /** @throws input-invalid */
  setTiers(tiers: PriceTiers): Promise<PriceTiers>;
  removeTiers(license: string): Promise<boolean>;
}

export function createPriceList({ db, clock }: { readonly db: Database; readonly clock: Clock }): PriceList {
  return {
    async tiers(query) {
      const listed = await page(store.tiers(db.kysely), {
        dialect: db.dialect,
        query,
        fields: { license: { column: "pool_tiers.license" }, currency: { column: "pool_tiers.currency" } },
      });
      return { ...listed, rows: listed.rows.map(tiersOf) };
    },

    async tiersOf(license) {
      const row = await store.tiersOf(db.kysely, license);
      return row === undefined ? undefined : tiersOf(row);
    },

    async setTiers({ license, currency, tiers }) {
      const faults = tierFaults(tiers);
      if (faults.length > 0)
        throw inputInvalid(faults.map(({ place, reason }) => ({ path: `/tiers/${place}`, message: reason })));
      await store.saveTiers(db.kysely, {
        license,
        currency,
        tiers: JSON.stringify(tiers.map(({ from, unitPrice }) => ({ from, unitPrice }))),
        changed_at: clock.now(),
      });
      return { license, currency, tiers };
    },

    removeTiers: (license) => store.removeTiers(db.kysely, license),
  };
}

export function tiersOf({ license, currency, tiers }: TierRow): PriceTiers {
  return { license, currency, tiers: JSON.parse(tiers) as PriceTier[] };
}
