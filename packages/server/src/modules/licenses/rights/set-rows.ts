/**
 * Purpose: sets whole rows of rights - what a reorganisation makes of them - with the history that every write of rights keeps.
 * Invariants: the caller holds the ledger's lock and calls `touchPositions` once, as its last write.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { recordingTime } from "../version.ts";
import { rightsStore as store, type RightsRow } from "./store.ts";

export async function setRightsRows(db: Database, trx: Trx, rows: readonly RightsRow[], at: number): Promise<void> {
  const held = new Map(
    (await store.ofPairs(trx, db.dialect, rows)).map((row) => [`${row.department}:${row.license}`, row]),
  );
  const former = rows.map(
    (row) => held.get(`${row.department}:${row.license}`) ?? { ...row, rights: 0, required: 0, requested: 0 },
  );
  await store.insertHistory(db, trx, former, await recordingTime(trx, at), "reorganized");
  await store.upsertAll(
    db,
    trx,
    rows.map((r) => [r.department, r.license, r.rights, r.required, r.requested]),
  );
}
