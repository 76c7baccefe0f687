/** Purpose: allocations for the API and for imports: lists, new ones, other quantities, ends. */
import { createHash } from "node:crypto";
import { isDaichoError, newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { errorOfRow, type WriteResult } from "../../../rows.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { allocationStore as store } from "./store.ts";
import { writeAllocations, type AllocationInput, type Reconsider } from "./write.ts";

export interface Allocated {
  readonly id: string;
  readonly license: string;
  readonly name: string;
  readonly device?: string;
  readonly employee?: string;
  readonly quantity: number;
  readonly entitlement?: string;
  readonly since: string;
  /** Of one that has ended. */
  readonly until?: string;
}

export interface AllocationFilter {
  readonly license?: string;
  readonly device?: string;
  readonly employee?: string;
  readonly entitlement?: string;
  /** Those that have ended too. */
  readonly ended?: boolean;
}

export interface Allocations {
  list(query: ListQuery & AllocationFilter): Promise<Page<Allocated>>;
  allocation(id: string): Promise<Allocated | undefined>;
  /** `idempotency` names the caller and the key: the same again finds its own work done. @throws conflict, already-exists, input-invalid */
  create(input: AllocationInput, idempotency?: string): Promise<Allocated>;
  /** @throws not-found */
  setQuantity(id: string, quantity: number): Promise<Allocated>;
  /** Ends it; it stays in the history. */
  remove(id: string): Promise<boolean>;
  /** For imports, inside their transaction. */
  write(trx: Trx, rows: readonly AllocationInput[], options: { at: number }): Promise<WriteResult>;
}

export function createAllocations(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly reconsider?: Reconsider;
}): Allocations {
  const { db, clock, events, reconsider } = deps;
  const allocation = async (id: string): Promise<Allocated | undefined> => {
    const row = await store.list(db.kysely).where("a.id", "=", id).where("a.until", "is", null).executeTakeFirst();
    return row === undefined ? undefined : allocatedOf(row);
  };
  const create = async (input: AllocationInput & { id: string }): Promise<Allocated> => {
    await db.transaction(async (trx) => {
      if ((await store.byId(trx, input.id)) !== undefined)
        throw serverErrors.make("already-exists", { what: "allocation", id: input.id });
      const { faults } = await writeAllocations(db, trx, [input], { mode: "create", at: clock.now(), reconsider });
      if (faults[0] !== undefined)
        throw errorOfRow(faults[0], "allocation", `${input.license} → ${input.device ?? input.employee ?? ""}`);
    });
    events.emit("positions-changed", {});
    return (await allocation(input.id)) as Allocated;
  };

  return {
    allocation,

    async list(query) {
      let select = store.list(db.kysely);
      if (query.ended !== true) select = select.where("a.until", "is", null);
      if (query.license !== undefined) select = select.where("l.code", "=", query.license);
      if (query.device !== undefined) select = select.where("d.id", "=", query.device);
      if (query.employee !== undefined) select = select.where("e.id", "=", query.employee);
      if (query.entitlement !== undefined) select = select.where("a.entitlement", "=", query.entitlement);
      const found = await page(select, {
        dialect: db.dialect,
        query,
        fields: {
          id: { column: "a.id" },
          license: { column: "l.code" },
          device: { column: "d.id", nullable: true },
          employee: { column: "e.id", nullable: true },
        },
      });
      return { ...found, rows: found.rows.map(allocatedOf) };
    },

    async create(input, idempotency) {
      if (idempotency === undefined) return create({ ...input, id: newId(clock.now()) });
      const id = `i${createHash("sha256").update(`allocation\n${idempotency}`).digest("hex").slice(0, 31)}`;
      try {
        return await create({ ...input, id });
      } catch (error) {
        if (!isDaichoError(error, "already-exists")) throw error;
        const now = await allocation(id);
        if (now !== undefined && says(now, input)) return now;
        if (now === undefined && (await store.byId(db.kysely, id)) === undefined) throw error;
        throw serverErrors.make("conflict", { reason: "This Idempotency-Key was used for another allocation" });
      }
    },

    async setQuantity(id, quantity) {
      const changed = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const before = await store.byId(trx, id);
        if (before === undefined || before.until !== null)
          throw serverErrors.make("not-found", { what: "allocation", id });
        if (before.quantity === quantity) return false;
        await store.insert(db, trx, [{ ...before, id: `${id}/${newId(at)}`, until: at }]);
        await store.changeQuantities(db, trx, [{ id, quantity, since: at }]);
        await touchPositions(db, trx, at, { entitlements: true });
        return true;
      });
      if (changed) events.emit("positions-changed", {});
      return (await allocation(id)) as Allocated;
    },

    async remove(id) {
      const removed = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const before = await store.byId(trx, id);
        const done = await store.end(trx, id, at);
        if (done && before !== undefined) await reconsider?.(trx, [before]);
        if (done) await touchPositions(db, trx, at, { entitlements: true });
        return done;
      });
      if (removed) events.emit("positions-changed", {});
      return removed;
    },

    write: (trx, rows, options) => writeAllocations(db, trx, rows, { mode: "upsert", reconsider, ...options }),
  };
}

function says(held: Allocated, input: AllocationInput): boolean {
  return (
    held.license === input.license &&
    held.device === (input.device ?? undefined) &&
    held.employee === (input.employee ?? undefined) &&
    held.entitlement === (input.entitlement ?? undefined) &&
    held.quantity === (input.quantity ?? 1)
  );
}

function allocatedOf(row: Awaited<ReturnType<ReturnType<typeof store.list>["execute"]>>[number]): Allocated {
  return {
    id: row.id,
    license: row.license,
    name: row.name,
    ...(row.device !== null && { device: row.device }),
    ...(row.employee !== null && { employee: row.employee }),
    quantity: row.quantity,
    ...(row.entitlement !== null && { entitlement: row.entitlement }),
    since: new Date(row.since).toISOString(),
    ...(row.until !== null && { until: new Date(row.until).toISOString() }),
  };
}
