/**
 * Purpose: the revision - how often something other than a policy changed what all facts mean: a metric rule's day came, rules of classification
 * were edited. It rises in the transaction of the change; every device derived under a lower one is derived again (derivation.ts).
 */
import type { Database, Trx } from "../../db/database.ts";
import { tellWithin } from "../../db/servers.ts";
import { indexStore } from "./index-store.ts";

const revisionMark = "revision";
const dayMark = "metric-day";

export async function raiseRevision(db: Database, trx: Trx): Promise<number> {
  await tellWithin(db, trx, "revision");
  return indexStore.raiseMark(db, trx, revisionMark);
}

export const readRevision = (db: Database["kysely"] | Trx): Promise<number> => indexStore.mark(db, revisionMark);

/** The last day on which a metric rule came into force has been reached: the first who notices raises the revision. */
export async function reachMetricDay(db: Database, day: number | undefined): Promise<void> {
  if (day === undefined || (await indexStore.mark(db.kysely, dayMark)) >= day) return;
  await db.transaction(async (trx) => {
    if ((await indexStore.mark(trx, dayMark)) >= day) return;
    await indexStore.setMark(db, trx, dayMark, day);
    await raiseRevision(db, trx);
  });
}
