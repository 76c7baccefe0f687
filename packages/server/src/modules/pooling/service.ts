/**
 * Purpose: at a group: buying for several companies at once (domain.md §7 over companies) as one service - price tiers (tiers.ts), one order per
 * licence (order.ts) for what companies lack (demand.ts), what becomes of it (orders.ts), and each company's part (parts.ts).
 */
import type { Signer } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { Bookkeeping } from "./bookkeeping.ts";
import type { GroupCompanies } from "./demand.ts";
import { createGroupOrdering, type GroupOrdering } from "./order.ts";
import { createGroupOrderBook, type GroupOrderBook } from "./orders.ts";
import { createOwnCompany } from "./own.ts";
import { createCompanyParts, type CompanyParts } from "./parts.ts";
import { createPriceList, type PriceList } from "./tiers.ts";

export interface Pooling extends PriceList, GroupOrdering, GroupOrderBook, CompanyParts {}

export function createPooling(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  /** Names the month of a period. */
  readonly timezone: string;
  readonly signer: () => Signer;
  /** This server's own company, where it is one. */
  readonly own: { readonly name: string; readonly books: Bookkeeping } | undefined;
  readonly companies: GroupCompanies;
  /** Companies should look now; those that do not hear it look by themselves later. */
  readonly announce: () => void;
}): Pooling {
  const own = createOwnCompany({ dialect: deps.db.dialect, own: deps.own });
  return {
    ...createPriceList(deps),
    ...createGroupOrdering({ ...deps, own }),
    ...createGroupOrderBook({ ...deps, own }),
    ...createCompanyParts(deps),
  };
}
