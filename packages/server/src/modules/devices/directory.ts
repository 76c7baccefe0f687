/**
 * Purpose: the ledger for those who bring reports: whom a device counts for, and which device a reporting machine is (ports.ts).
 * Invariants: what `assignments` answers stays true until the transaction ends (the rows are held), so a count is never made for a department that
 * someone is just changing; a machine is never given a device that another identity holds.
 */
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { Assignment, DeviceDirectory } from "../../ports.ts";
import { mergeStore } from "./merges/store.ts";
import { deviceStore as store, settable } from "./store.ts";

export function createDeviceDirectory(deps: { readonly db: Database; readonly clock: Clock }): DeviceDirectory {
  const { db, clock } = deps;
  return {
    async assignments(trx, devices) {
      await store.hold(trx, db.dialect, devices, "share");
      const rows = await store.assignments(trx, db.dialect, devices);
      return new Map(
        rows.map((row): [number, Assignment] => [
          row.ordinal,
          {
            employee: row.employee,
            department: row.department,
            counts: row.state !== "disposed" && row.merged_into === null,
          },
        ]),
      );
    },

    async adopt(trx, machine) {
      const known = await store.findId(trx, machine.id);
      if (known !== undefined) return known.ordinal;
      let twin: number | undefined;
      if (machine.serial !== undefined)
        for (const { ordinal } of await store.bySerial(trx, db.dialect, machine.serial)) {
          if (!(await machine.taken(ordinal))) return ordinal;
          twin ??= ordinal;
        }
      const department =
        machine.department === undefined
          ? undefined
          : await store.departmentOrdinal(trx, db.dialect, machine.department);
      const made = await store.insertOne(trx, {
        id: machine.id,
        hostname: machine.hostname,
        serial: machine.serial ?? null,
        employee: null,
        department: department?.ordinal ?? null,
        manager: null,
        state: "in-use",
        origin: machine.origin,
        created_at: clock.now(),
        merged_into: null,
        split_from: null,
      });
      // A re-imaged machine, or two with one serial number: people decide.
      if (made !== undefined && twin !== undefined)
        await mergeStore.insertOffer(trx, {
          device: made,
          candidate: twin,
          serial: machine.serial ?? "",
          at: clock.now(),
        });
      // Another transaction made it between our look and our insert.
      return made ?? ((await store.findId(trx, machine.id)) as { ordinal: number }).ordinal;
    },

    async idsOf(trx, devices) {
      const rows = await store.idsOf(trx, db.dialect, devices);
      return new Map(rows.map((row) => [row.ordinal, row.id]));
    },

    async disposedBetween(trx, after, last) {
      return new Set((await store.disposedBetween(trx, after, last)).map((row) => row.ordinal));
    },

    splitOff: (trx, links) =>
      store.setSplitFrom(
        db,
        trx,
        [...links].sort((a, b) => a.device - b.device).map(({ device, from }) => [device, from]),
      ),

    async renameHosts(trx, names) {
      const sorted = [...names].sort((a, b) => a.device - b.device);
      await store.update(
        db,
        trx,
        [settable.hostname],
        sorted.map((n) => [n.device, n.hostname]),
      );
      await store.update(
        db,
        trx,
        [settable.serial],
        sorted.flatMap((n) => (n.serial === undefined ? [] : [[n.device, n.serial]])),
      );
    },
  };
}
