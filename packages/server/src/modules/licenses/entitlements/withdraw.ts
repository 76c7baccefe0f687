/**
 * Purpose: takes back entitlements that a purchase run or a group's order wrote, when that is reversed.
 * Invariants: they stay in the history like any other that is withdrawn; the caller holds the ledger's lock and touches the positions.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { entitlementStore as store } from "./store.ts";

/**
 * Takes back what nobody has edited or withdrawn since it was written; an edit is known by the former version it left, whatever the clock said.
 * Answers the ids that were changed; where there are any, nothing was written.
 */
export async function withdrawUnchanged(
  db: Database,
  trx: Trx,
  ids: readonly string[],
  at: number,
): Promise<readonly string[]> {
  const rows = (await store.byId(trx, db.dialect, ids)).filter((row) => row.replaced_at === null);
  const licenses = [...new Set(rows.map((row) => row.license))];
  const former = await store.replacedOfLicenses(trx, db.dialect, licenses);
  const edited = new Set(former.flatMap(({ id }) => (id.includes("/") ? [id.slice(0, id.indexOf("/"))] : [])));
  const current = new Set(rows.map(({ id }) => id));
  const changed = ids.filter((id) => !current.has(id) || edited.has(id));
  if (changed.length === 0) for (const id of ids) await store.remove(trx, id, at);
  return changed;
}

/** Takes back what is there of these, as it is now. Answers whether there was any. */
export async function withdrawAll(trx: Trx, ids: readonly string[], at: number): Promise<boolean> {
  let any = false;
  for (const id of ids) any = (await store.remove(trx, id, at)) || any;
  return any;
}
