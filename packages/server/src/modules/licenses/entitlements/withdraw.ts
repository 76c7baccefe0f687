/**
 * Purpose: takes back entitlements that one transaction wrote - a purchase run that is reversed.
 * Invariants: only what still says what was written then is taken back; otherwise nothing is, and the caller learns which were changed. They stay in
 * the history like any other that is withdrawn. The caller holds the ledger's lock and touches the positions.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { entitlementStore as store } from "./store.ts";

/** Answers the ids that were edited or withdrawn since; where there are any, nothing was written. */
export async function withdrawEntitlements(
  db: Database,
  trx: Trx,
  ids: readonly string[],
  options: { readonly writtenAt: number; readonly at: number },
): Promise<readonly string[]> {
  const rows = new Map((await store.byId(trx, db.dialect, ids)).map((row) => [row.id, row]));
  const changed = ids.filter((id) => {
    const row = rows.get(id);
    return row === undefined || row.replaced_at !== null || row.created_at !== options.writtenAt;
  });
  if (changed.length === 0) for (const id of ids) await store.remove(trx, id, options.at);
  return changed;
}
