/**
 * Purpose: allocations follow what happens to the people and devices they are for (domain.md §6; design.md "Clones").
 * Rules: what is set aside for someone who leaves is free again; an allocation to a device stays with the device, whoever it also names. What is set
 * aside for a device that is merged into another follows to the one that stays; where that one has the same allocation already, it is one machine
 * and needs it once: its own holds, and the other ends. Undoing the merge gives back what it moved or ended, as far as nobody ended it since.
 * Invariants: in the transaction of the change; what was so before stays as history. Someone who returns starts without allocations.
 */
import { newId } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { allocationStore as store, type AllocationRow } from "./store.ts";
import { keyOf, type Reconsider } from "./write.ts";

/** Answers what ended. The caller has the people's devices counted anew, which classifies them anew. */
export async function endAllocationsOf(
  db: Database,
  trx: Trx,
  employees: readonly number[],
  asked: number,
): Promise<readonly { readonly employee: number; readonly license: number; readonly quantity: number }[]> {
  const at = await recordingTime(trx, asked);
  const ended: { employee: number; license: number; quantity: number }[] = [];
  for await (const slice of slicesOf(employees, 1000))
    for (const { employee, license, quantity } of await store.endOfEmployees(trx, db.dialect, slice, at))
      if (employee !== null) ended.push({ employee, license, quantity });
  if (ended.length > 0) await touchPositions(db, trx, at, { entitlements: true });
  return ended;
}

/** Implements what modules/devices asks of allocations when devices are merged. */
export interface MergedAllocations {
  /** @returns ids of the allocations it moved or ended, for `giveBack`. */
  follow(trx: Trx, devices: { readonly from: number; readonly to: number }, at: number): Promise<readonly string[]>;
  giveBack(
    trx: Trx,
    ids: readonly string[],
    devices: { readonly from: number; readonly to: number },
    at: number,
  ): Promise<void>;
}

export function createMergedAllocations(deps: {
  readonly db: Database;
  readonly reconsider?: Reconsider | undefined;
}): MergedAllocations {
  const { db, reconsider } = deps;

  /** `before` as history, and the same allocations as they are from now on. */
  const change = async (
    trx: Trx,
    before: readonly AllocationRow[],
    now: (row: AllocationRow) => Pick<AllocationRow, "device" | "since" | "until">,
    devices: readonly number[],
    at: number,
  ): Promise<void> => {
    if (before.length === 0) return;
    for await (const slice of slicesOf(before, 1000)) {
      await store.insert(db, trx, slice.map((row) => ({ ...row, id: `${row.id}/${newId(at)}`, until: row.until ?? at }))); // prettier-ignore
      await store.place(db, trx, slice.map((row) => ({ id: row.id, ...now(row) }))); // prettier-ignore
    }
    await reconsider?.(trx, devices.map((device) => ({ device, employee: null }))); // prettier-ignore
    await touchPositions(db, trx, at, { entitlements: true });
  };

  return {
    async follow(trx, { from, to }, asked) {
      const at = await recordingTime(trx, asked);
      const there = new Set((await store.currentOfDevice(trx, to)).map(keyOf));
      const rows = await store.currentOfDevice(trx, from);
      // What ends keeps its row, and needs no copy of what it was.
      const doubled = rows.filter((row) => there.has(keyOf({ ...row, device: to })));
      for (const { id } of doubled) await store.end(trx, id, at);
      if (doubled.length > 0) await touchPositions(db, trx, at, { entitlements: true });
      const moved = rows.filter((row) => !doubled.includes(row));
      await change(trx, moved, () => ({ device: to, since: at, until: null }), [from, to], at);
      return rows.map(({ id }) => id);
    },

    async giveBack(trx, ids, { from, to }, asked) {
      const at = await recordingTime(trx, asked);
      const rows: AllocationRow[] = [];
      for await (const slice of slicesOf(ids, 1000)) rows.push(...(await store.byIds(trx, db.dialect, slice)));
      // Moved and still there, or ended by the merge: what ended later ended at the device that stays.
      const back = rows.filter((row) => (row.until === null ? row.device === to : row.device === from));
      await change(trx, back, () => ({ device: from, since: at, until: null }), [from, to], at);
    },
  };
}
