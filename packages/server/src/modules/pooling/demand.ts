/**
 * Purpose: what each company lacks of each licence, so that nothing is ordered twice, whatever comes when. Pure.
 * Demand = what a company's newest inventory lacks, less what was granted to it and does not show there yet, plus what shows there and is being taken
 * back. Only of licences that the company leaves to the group; what it buys for itself is named beside.
 */
import type { Position } from "@daicho/protocol";
import type { Trx } from "../../db/database.ts";
import { isPooled, type Pooled } from "./setting.ts";

/** A company's corporate licence inventory as it is known here. */
export interface KnownCompany {
  readonly name: string;
  readonly version: number;
  readonly pooled: Pooled;
  readonly positions: readonly Position[];
}

/** The companies of the group; what they sent is read within the transaction that orders by it, or answers them. */
export interface GroupCompanies {
  /** This server's own, where it is one and has no group above that buys for it. */
  own(): Promise<KnownCompany | undefined>;
  others(trx: Trx): Promise<readonly KnownCompany[]>;
  /** What the group buys for this company, as it last said. */
  pooled(trx: Trx, company: string): Promise<Pooled>;
}

export interface Demand {
  readonly company: string;
  readonly quantity: number;
  readonly metric: string;
}

export interface Demands {
  /** By licence. */
  readonly pooled: ReadonlyMap<string, readonly Demand[]>;
  readonly buyThemselves: readonly { readonly company: string; readonly license: string; readonly quantity: number }[];
}

/** A part of an order; versions of the company's positions from which on it shows that it was booked, and taken back. */
export interface Granted {
  readonly company: string;
  readonly license: string;
  readonly quantity: number;
  readonly booked_version: number | null;
  readonly reversal_id: string | null;
  readonly reversal_version: number | null;
}

export function demandOf(companies: readonly KnownCompany[], granted: readonly Granted[]): Demands {
  const versions = new Map(companies.map(({ name, version }) => [name, version]));
  const coming = new Map<string, number>();
  for (const part of granted) {
    const known = versions.get(part.company) ?? -1;
    const shown = (version: number | null): boolean => version !== null && version <= known;
    const [there, gone] = [shown(part.booked_version), shown(part.reversal_version)];
    const by = part.reversal_id === null ? (there ? 0 : part.quantity) : there && !gone ? -part.quantity : 0;
    if (by !== 0) coming.set(keyOf(part), (coming.get(keyOf(part)) ?? 0) + by);
  }
  const pooled = new Map<string, Demand[]>();
  const buyThemselves: Demands["buyThemselves"][number][] = [];
  for (const { name: company, positions, pooled: setting } of companies)
    for (const { license, metric, overUnder, held, used } of positions) {
      // It is never short (site, free).
      if (overUnder > held - used) continue;
      const quantity = -overUnder - (coming.get(keyOf({ company, license })) ?? 0);
      if (quantity <= 0) continue;
      if (!isPooled(setting, license)) buyThemselves.push({ company, license, quantity });
      else {
        const list = pooled.get(license);
        if (list === undefined) pooled.set(license, [{ company, quantity, metric }]);
        else list.push({ company, quantity, metric });
      }
    }
  return { pooled, buyThemselves };
}

function keyOf({ company, license }: { readonly company: string; readonly license: string }): string {
  return JSON.stringify([company, license]);
}
