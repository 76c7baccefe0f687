/**
 * Purpose: version paths - the licences of one product, oldest version first. They decide what `upgrade` and `downgrade` mean where an entitlement
 * names no licences itself.
 * Invariants: a path names licences that are there, each once; what it said before stays as history, so past positions can be worked out.
 */
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { page, type Page } from "../../../db/page.ts";
import type { Events } from "../../../events.ts";
import type { ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { versionPathStore as store } from "./store.ts";

export interface VersionPathItem {
  readonly name: string;
  /** Codes, oldest version first. */
  readonly licenses: readonly string[];
  readonly recordedAt: string;
  readonly replacedAt?: string;
}

export interface VersionPaths {
  list(query: ListQuery): Promise<Page<VersionPathItem>>;
  get(name: string): Promise<VersionPathItem | undefined>;
  /** What it said, newest first. */
  history(name: string): Promise<readonly VersionPathItem[]>;
  /** @throws input-invalid */
  put(
    name: string,
    licenses: readonly string[],
  ): Promise<{ readonly created: boolean; readonly saved: VersionPathItem }>;
  remove(name: string): Promise<boolean>;
}

export function createVersionPaths(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
}): VersionPaths {
  const { db, clock, events } = deps;
  const get: VersionPaths["get"] = async (name) => {
    const row = await store.find(db.kysely, name);
    return row === undefined ? undefined : itemOf(row);
  };
  return {
    get,
    async list(query) {
      const found = await page(store.current(db.kysely), {
        dialect: db.dialect,
        query,
        fields: { name: { column: "lic_version_paths.name" } },
      });
      return { ...found, rows: found.rows.map(itemOf) };
    },
    history: async (name) => (await store.history(db.kysely, name)).map(itemOf),
    async put(name, licenses) {
      const text = JSON.stringify(licenses);
      const { created, changed } = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const known = new Set((await store.knownCodes(trx, db.dialect, licenses)).map(({ code }) => code));
        const faults = licenses.flatMap((code, i) =>
          !known.has(code)
            ? [{ path: `/licenses/${i}`, message: `there is no licence ${code}` }]
            : licenses.indexOf(code) < i
              ? [{ path: `/licenses/${i}`, message: `${code} is in it twice` }]
              : [],
        );
        if (faults.length > 0) throw inputInvalid(faults);
        const before = await store.find(trx, name);
        if (before?.licenses === text) return { created: false, changed: false };
        if (before !== undefined) await store.replace(trx, name, at);
        await store.insert(trx, { name, licenses: text, created_at: at });
        await touchPositions(db, trx, at, { entitlements: true });
        return { created: before === undefined, changed: true };
      });
      if (changed) events.emit("positions-changed", {});
      return { created, saved: (await get(name)) as VersionPathItem };
    },
    async remove(name) {
      const removed = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const at = await recordingTime(trx, clock.now());
        const done = await store.replace(trx, name, at);
        if (done) await touchPositions(db, trx, at, { entitlements: true });
        return done;
      });
      if (removed) events.emit("positions-changed", {});
      return removed;
    },
  };
}

function itemOf(row: {
  readonly name: string;
  readonly licenses: string;
  readonly created_at: number;
  readonly replaced_at?: number | null;
}): VersionPathItem {
  return {
    name: row.name,
    licenses: JSON.parse(row.licenses) as string[],
    recordedAt: new Date(row.created_at).toISOString(),
    ...(row.replaced_at != null && { replacedAt: new Date(row.replaced_at).toISOString() }),
  };
}
