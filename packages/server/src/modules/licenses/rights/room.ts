/** Purpose: what a department has and awaits of a licence, and how many it may have at most, as a transaction sees it. */
import type { Database, Trx } from "../../../db/database.ts";
import { quotaStore } from "./quota-store.ts";
import { rightsStore } from "./store.ts";

export async function rightsAndQuota(
  db: Pick<Database, "dialect">,
  trx: Trx,
  place: { readonly department: number; readonly license: number },
): Promise<{ readonly rights: number; readonly requested: number; readonly quota: number | undefined }> {
  const [row] = await rightsStore.ofPairs(trx, db.dialect, [place]);
  const quota = await quotaStore.find(trx, place.department, place.license);
  return { rights: row?.rights ?? 0, requested: row?.requested ?? 0, quota };
}
