/**
 * Purpose: purchase runs (domain.md §7) as one service: plan and run (run.ts), take back and place (reverse.ts), read back (read.ts). Runs by the
 * calendar: schedule.ts.
 */
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Events } from "../../events.ts";
import type { Entitlements, Positions } from "../licenses/index.ts";
import type { GrantedApplications } from "./applications.ts";
import { createPurchaseReader, type PurchaseReader } from "./read.ts";
import { createPurchaseReversal, type PurchaseReversal } from "./reverse.ts";
import { createPurchaseRunner, type PurchaseRunner, type PurchaseSettings } from "./run.ts";

export interface Purchases extends PurchaseRunner, PurchaseReversal, Omit<PurchaseReader, "within"> {}

export function createPurchases(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly positions: Positions;
  readonly entitlements: Entitlements;
  readonly settings: PurchaseSettings;
  readonly applications: GrantedApplications;
}): Purchases {
  const reader = createPurchaseReader(deps);
  return { ...reader, ...createPurchaseRunner({ ...deps, reader }), ...createPurchaseReversal({ ...deps, reader }) };
}
