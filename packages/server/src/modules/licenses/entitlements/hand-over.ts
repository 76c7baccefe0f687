/**
 * Purpose: entitlements follow the department that takes over the one that managed them (domain.md §6). The edit is one like any other: what was so
 * before stays as history.
 */
import { newId } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { entitlementStore as store } from "./store.ts";

/** Those of the departments that manage entitlements. */
export async function entitlementsOfDepartments(
  db: Database,
  trx: Trx,
  departments: readonly number[],
): Promise<ReadonlySet<number>> {
  const rows = await store.currentOfDepartments(trx, db.dialect, departments);
  return new Set(rows.flatMap(({ department }) => (department === null ? [] : [department])));
}

export async function handEntitlements(
  db: Database,
  trx: Trx,
  heirs: ReadonlyMap<number, number>,
  asked: number,
): Promise<void> {
  const at = await recordingTime(trx, asked);
  const rows = await store.currentOfDepartments(trx, db.dialect, [...heirs.keys()]);
  for await (const slice of slicesOf(rows, 1000)) {
    await store.insert(
      db,
      trx,
      slice.map((row) => ({ ...row, id: `${row.id}/${newId(at)}`, replaced_at: at })),
    );
    await store.update(
      db,
      trx,
      slice.map((row) => ({ ...row, department: heirs.get(row.department ?? 0) ?? null, created_at: at })),
    );
  }
  if (rows.length > 0) await touchPositions(db, trx, at, { entitlements: true });
}
