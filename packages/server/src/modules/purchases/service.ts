/**
 * Purpose: purchase runs (domain.md §7) as one service: plan and run (run.ts), take back and place (reverse.ts), read back (read.ts). Runs by the
 * calendar: schedule.ts.
 */
import { createPurchaseReader, type PurchaseReader } from "./read.ts";
import { createPurchaseReversal, type PurchaseReversal } from "./reverse.ts";
import { createPurchaseRunner, type PurchaseRunner } from "./run.ts";

export interface Purchases extends PurchaseRunner, PurchaseReversal, Omit<PurchaseReader, "within"> {}

export function createPurchases(deps: Omit<Parameters<typeof createPurchaseRunner>[0], "reader">): Purchases {
  const reader = createPurchaseReader(deps);
  return { ...reader, ...createPurchaseRunner({ ...deps, reader }), ...createPurchaseReversal({ ...deps, reader }) };
}
