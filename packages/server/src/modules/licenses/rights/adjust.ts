/**
 * Purpose: moves rights and requested by differences - what approvals, withdrawals and purchase runs do - with the history that every write of
 * rights keeps.
 * Invariants: the caller holds the ledger's lock and calls `touchPositions` once, as its last write; no number falls below 0: a difference that
 * would is a mistake of the caller and nothing is written.
 */
import type { Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { recordingTime } from "../version.ts";
import { rightsStore as store, type RightsRow } from "./store.ts";

export interface RightsChange {
  /** Ordinals. Each pair at most once. */
  readonly department: number;
  readonly license: number;
  /** Differences; absent = 0. */
  readonly rights?: number;
  readonly requested?: number;
}

/** @returns the departments touched, for `touchPositions`. @throws RangeError */
export async function adjustRights(
  db: Database,
  trx: Trx,
  changes: readonly RightsChange[],
  at: number,
  cause: Cause = "application",
): Promise<ReadonlySet<number>> {
  const time = await recordingTime(trx, at);
  const wanted = changes.filter((c) => (c.rights ?? 0) !== 0 || (c.requested ?? 0) !== 0);
  for await (const slice of slicesOf(wanted, 500)) {
    const held = new Map((await store.ofPairs(trx, db.dialect, slice)).map((row) => [keyOf(row), row]));
    const former: RightsRow[] = [];
    const after = slice.map((change): RightsRow => {
      const before = held.get(keyOf(change)) ?? { ...change, rights: 0, required: 0, requested: 0 };
      former.push(before);
      const rights = before.rights + (change.rights ?? 0);
      const requested = before.requested + (change.requested ?? 0);
      if (rights < 0 || requested < 0)
        throw new RangeError(`rights ${rights} and requested ${requested} of ${keyOf(change)} cannot be`);
      return { department: change.department, license: change.license, required: before.required, rights, requested };
    });
    await store.insertHistory(db, trx, former, time, cause);
    await store.upsertNumbers(
      db,
      trx,
      after
        .sort((a, b) => a.department - b.department || a.license - b.license)
        .map((r) => [r.department, r.license, r.rights, r.requested]),
    );
  }
  return new Set(wanted.map((change) => change.department));
}

function keyOf(pair: { readonly department: number; readonly license: number }): string {
  return `${pair.department}:${pair.license}`;
}
