/** Purpose: takes devices off the hand-over list that someone has now, or that are gone (domain.md §6). */
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { handOverStore as store } from "./store.ts";

export type HandedTo = { readonly employee: string } | { readonly department: string } | { readonly disposed: true };

/** Closes the open entries of devices that someone has now. */
export async function closeHandOvers(
  db: Database,
  trx: Trx,
  devices: ReadonlyMap<number, HandedTo>,
  at: number,
): Promise<void> {
  for await (const slice of slicesOf([...devices.keys()], 1000)) {
    const open = await store.openOf(trx, db.dialect, slice);
    await store.close(
      db,
      trx,
      open.map(({ id, device }) => [id, at, JSON.stringify(devices.get(device))]),
    );
  }
}
