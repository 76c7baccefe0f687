/**
 * Purpose: devices for organisation changes (domain.md §6): whose they are, who takes them over, and the hand-over list they go to when their user
 * leaves.
 * Invariants: a device on the list has no user; its entry closes with whatever gives it one, or with its disposal, in that same transaction.
 * Lock order as in ../write.ts; counting is held from the start, because an organisation change moves many devices in several steps.
 */
import { newId } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { holdCounting } from "../../licenses/index.ts";
import type { OrgDevices } from "../../organization/index.ts";
import { holdDevices, moveUsed, type Counting } from "../write.ts";
import { handOverStore as store } from "./store.ts";

export function createOrgDevices(deps: { readonly db: Database } & Counting): OrgDevices {
  const { db } = deps;
  return {
    ofEmployees: (trx, employees) => store.ofEmployees(trx, db.dialect, employees),
    managedBy: (trx, departments) => store.managedBy(trx, db.dialect, departments),
    byId: (trx, ids) => store.byId(trx, db.dialect, ids),
    async hold(trx, devices) {
      await holdDevices(db, deps, trx, devices);
      await holdCounting(trx, db.dialect);
    },
    assign: (trx, devices) =>
      store.assign(
        db,
        trx,
        devices.map((d) => [d.ordinal, d.employee, d.department]),
      ),
    async handOver(trx, entries, at) {
      // Ids of one moment differ by chance alone; the list shall show devices in the order given.
      const ids = entries.map(() => newId(at)).sort();
      for await (const slice of slicesOf([...entries.entries()], 1000))
        await store.open(
          db,
          trx,
          slice.map(([i, e]) => [ids[i] ?? "", e.device, e.employee, at]),
        );
    },
    moved: (trx, devices, at, cause) => moveUsed(db, deps, trx, devices, at, cause),
  };
}
