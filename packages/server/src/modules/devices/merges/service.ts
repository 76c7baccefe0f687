/**
 * Purpose: one machine that became two devices of the ledger - re-imaged, so that it enrolled with a new key - is one device again (design.md
 * "Clones", ADR 5). Offered where a key enrols with a serial number that another key's device has; done by hand, never by itself, because two
 * machines can carry one serial number.
 * Invariants: the device that stays keeps its ledger row (id, user, department) and gets whichever of the two reported last; the other one counts for
 * nobody and is shown no more, and what was allocated to it follows; `undo` gives both back what they had, with all that was reported since.
 */
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import type { MergedAllocations } from "../../licenses/index.ts";
import { holdDevices, moveUsed, type Counting } from "../write.ts";
import { mergeStore as store } from "./store.ts";
import { iso } from "../../../times.ts";

/** Implemented by modules/inventory. */
export interface ExchangeReports {
  lastSeen(trx: Trx, devices: readonly number[]): Promise<ReadonlyMap<number, number>>;
  exchange(trx: Trx, a: number, b: number, at: number): Promise<() => void>;
}

export interface Merge {
  readonly id: string;
  /** The device that stays. */
  readonly keep: string;
  /** The device that went into it. */
  readonly from: string;
  readonly at: string;
  readonly undoneAt?: string;
  /** The machine that was merged away still reports: the two are not one machine. */
  readonly stillReports?: boolean;
}

export interface MergeOffer {
  readonly keep: string;
  readonly from: string;
  readonly serial: string;
  readonly at: string;
  readonly keepSeenAt?: string;
  readonly fromSeenAt?: string;
}

export interface Merges {
  list(query: ListQuery): Promise<Page<Merge>>;
  offers(query: ListQuery): Promise<Page<MergeOffer>>;
  /** @throws not-found, conflict */
  merge(input: { readonly keep: string; readonly from: string }): Promise<Merge>;
  /** @throws not-found, conflict */
  undo(id: string): Promise<Merge>;
  /** The two are different machines: offers them no more. */
  dismiss(from: string): Promise<boolean>;
}

export function createMerges(
  deps: {
    readonly db: Database;
    readonly clock: Clock;
    readonly events: Events;
    readonly reports: ExchangeReports;
    readonly allocations: MergedAllocations;
  } & Counting,
): Merges {
  const { db, clock, events, reports, allocations } = deps;

  const one = async (id: string): Promise<Merge | undefined> => {
    const row = await store.list(db.kysely).where("m.id", "=", id).executeTakeFirst();
    return row && mergeOf(row);
  };
  const told = async (id: string): Promise<Merge> => {
    events.emit("devices-changed", {});
    events.emit("positions-changed", {});
    return (await one(id)) as Merge;
  };
  const device = async (trx: Trx, id: string) => {
    const row = await store.device(trx, id);
    if (row === undefined) throw serverErrors.make("not-found", { what: "device", id });
    return row;
  };

  return {
    async list(query) {
      const found = await page(store.list(db.kysely), { dialect: db.dialect, query, fields: { id: { column: "m.id" } } }); // prettier-ignore
      return { ...found, rows: found.rows.map(mergeOf) };
    },

    async offers(query) {
      const found = await page(store.offers(db.kysely), { dialect: db.dialect, query, fields: { from: { column: "n.id" } } }); // prettier-ignore
      return {
        ...found,
        rows: found.rows.map((row) => ({
          keep: row.keep,
          from: row.from,
          serial: row.serial,
          at: iso(row.at),
          ...(row.keepSeen !== null && { keepSeenAt: iso(row.keepSeen) }),
          ...(row.fromSeen !== null && { fromSeenAt: iso(row.fromSeen) }),
        })),
      };
    },

    async merge(input) {
      const at = clock.now();
      const { id, done } = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const kept = await device(trx, input.keep);
        const gone = await device(trx, input.from);
        if (kept.ordinal === gone.ordinal)
          throw serverErrors.make("conflict", { reason: "A device cannot be merged with itself" });
        for (const { id: name, merged_into } of [kept, gone])
          if (merged_into !== null)
            throw serverErrors.make("conflict", { reason: `Device ${name} went into another device already` });
        await holdDevices(db, deps, trx, [kept.ordinal, gone.ordinal].sort((a, b) => a - b)); // prettier-ignore
        const seen = await reports.lastSeen(trx, [kept.ordinal, gone.ordinal]);
        const exchanged = (seen.get(gone.ordinal) ?? 0) > (seen.get(kept.ordinal) ?? 0);
        await store.setMergedInto(trx, gone.ordinal, kept.ordinal);
        const after = exchanged
          ? await reports.exchange(trx, kept.ordinal, gone.ordinal, at)
          : await moveUsed(db, deps, trx, [gone.ordinal], at, "merged");
        const made = newId(at);
        const followed = await allocations.follow(trx, { from: gone.ordinal, to: kept.ordinal }, at);
        await store.insert(trx, {
          id: made,
          kept: kept.ordinal,
          gone: gone.ordinal,
          exchanged: Number(exchanged),
          at,
          allocations: followed.length === 0 ? null : JSON.stringify(followed),
        });
        return { id: made, done: after };
      });
      done?.();
      return told(id);
    },

    async undo(id) {
      const at = clock.now();
      const done = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await store.list(trx).where("m.id", "=", id).executeTakeFirst();
        if (row === undefined) throw serverErrors.make("not-found", { what: "merge", id });
        if (row.undone_at !== null) throw serverErrors.make("conflict", { reason: "This merge was undone already" });
        if (row.keptMergedInto !== null)
          throw serverErrors.make("conflict", {
            reason: `Device ${row.keptId} went into another one since; undo that first`,
          });
        await holdDevices(db, deps, trx, [row.kept, row.gone].sort((a, b) => a - b)); // prettier-ignore
        await store.setMergedInto(trx, row.gone, null);
        await store.setUndone(trx, id, at);
        const after =
          row.exchanged === 1
            ? await reports.exchange(trx, row.kept, row.gone, at)
            : await moveUsed(db, deps, trx, [row.gone], at, "merged");
        const followed = JSON.parse(row.allocations ?? "[]") as string[];
        await allocations.giveBack(trx, followed, { from: row.gone, to: row.kept }, at);
        return after;
      });
      done?.();
      return told(id);
    },

    dismiss: (from) =>
      db.transaction(async (trx) => {
        const row = await store.device(trx, from);
        return row !== undefined && (await store.removeOffer(trx, row.ordinal)).numDeletedRows > 0n;
      }),
  };
}

type Listed = Awaited<ReturnType<ReturnType<typeof store.list>["execute"]>>[number];

function mergeOf(row: Listed): Merge {
  return {
    id: row.id,
    keep: row.keptId,
    from: row.goneId,
    at: iso(row.at),
    ...(row.undone_at !== null && { undoneAt: iso(row.undone_at) }),
    ...(row.undone_at === null && (row.goneSeen ?? 0) > row.at && { stillReports: true }),
  };
}
