/**
 * Purpose: the hand-over list for the API (domain.md §6): devices whose user left, until somebody has them or they are gone.
 * Invariants: completing an entry and giving away the device are one transaction.
 */
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { errorOfRow } from "../../../rows.ts";
import { holdDevices, moveUsed, writeDevices, type Counting, type DeviceInput } from "../write.ts";
import { closeHandOvers, type HandedTo } from "./close.ts";
import { handOverStore as store } from "./store.ts";

export interface HandOver {
  readonly id: string;
  readonly device: string;
  readonly hostname: string;
  /** Who left. */
  readonly employee: string;
  readonly employeeName: string;
  /** Managing department. */
  readonly department?: string;
  readonly state: "open" | "done";
  readonly since: string;
  readonly doneAt?: string;
  readonly to?: HandedTo;
}

export type Completion = { readonly employee: string } | { readonly department: string } | { readonly dispose: true };

export interface HandOvers {
  list(
    query: ListQuery & {
      readonly state?: string;
      readonly device?: string;
      readonly employee?: string;
      readonly department?: string;
    },
  ): Promise<Page<HandOver>>;
  /** @throws not-found, conflict, input-invalid */
  complete(id: string, to: Completion): Promise<HandOver>;
}

export function createHandOvers(
  deps: { readonly db: Database; readonly clock: Clock; readonly events: Events } & Counting,
): HandOvers {
  const { db, clock, events } = deps;
  const one = async (id: string): Promise<HandOver | undefined> => {
    const row = await store.list(db.kysely).where("h.id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : handOverOf(row);
  };
  return {
    async list(query) {
      let select = store.list(db.kysely);
      if (query.state !== undefined) select = select.where("h.done_at", query.state === "open" ? "is" : "is not", null);
      if (query.device !== undefined) select = select.where("v.id", "=", query.device);
      if (query.employee !== undefined) select = select.where("e.id", "=", query.employee);
      if (query.department !== undefined) select = select.where("d.code", "=", query.department);
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "h.id" },
          device: { column: "v.id" },
          employee: { column: "e.id" },
          department: { column: "d.code", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(handOverOf) };
    },

    async complete(id, to) {
      await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const entry = await store.find(trx, id);
        if (entry === undefined) throw serverErrors.make("not-found", { what: "hand-over", id });
        if (entry.done_at !== null) throw serverErrors.make("conflict", { reason: `Hand-over ${id} is done already` });
        const at = clock.now();
        const write = async (fields: Omit<DeviceInput, "id">): Promise<void> => {
          const options = { mode: "change", at, origin: "api" } as const;
          const { faults } = await writeDevices(db, deps, trx, [{ id: entry.id, ...fields }], options);
          if (faults[0] !== undefined) throw errorOfRow(faults[0], "device", entry.id);
        };
        if ("employee" in to) return write({ employee: to.employee });
        if ("dispose" in to) return write({ state: "disposed" });
        // Its managing department may be the same as before: it is counted anew because it is nobody's no longer, but that department's.
        await holdDevices(db, deps, trx, [entry.device]);
        await closeHandOvers(db, trx, new Map([[entry.device, to]]), at);
        await write({ department: to.department });
        await moveUsed(db, deps, trx, [entry.device], at);
      });
      events.emit("devices-changed", {});
      events.emit("positions-changed", {});
      return (await one(id)) as HandOver;
    },
  };
}

function handOverOf(row: Awaited<ReturnType<ReturnType<typeof store.list>["execute"]>>[number]): HandOver {
  return {
    id: row.id,
    device: row.device,
    hostname: row.hostname,
    employee: row.employee,
    employeeName: row.employee_name,
    ...(row.department !== null && { department: row.department }),
    state: row.done_at === null ? "open" : "done",
    since: new Date(row.since).toISOString(),
    ...(row.done_at !== null && { doneAt: new Date(row.done_at).toISOString() }),
    ...(row.done_to !== null && { to: JSON.parse(row.done_to) as HandedTo }),
  };
}
