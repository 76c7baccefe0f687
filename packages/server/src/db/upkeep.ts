/**
 * Purpose: PostgreSQL keeps what a row was until a vacuum has cleared it away, and autovacuum comes round once a minute: until then a fleet that reports
 * all at once makes a table of devices three times its size, and it stays so. Here a table is vacuumed as soon as a tenth of it was written over.
 * Invariants: one table at a time; one that another server - or autovacuum - is vacuuming is passed over. Nothing waits for it, and nothing but room
 * depends on it. What it cannot clear, because somebody still reads what was, the next time does.
 */
import { sql, type Kysely } from "kysely";
import type { Log } from "@daicho/kernel";
import type { Schema } from "./schema.ts";

export interface Upkeep {
  /** So many rows of the table were written over. */
  readonly changed: (table: string, rows: number) => void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** The least worth coming for, and the part of a table. */
const least = 1000;
const part = 0.1;

export function createUpkeep(deps: { readonly kysely: Kysely<Schema>; readonly log: Log }): Upkeep {
  const { kysely, log } = deps;
  const tables = new Map<string, { changed: number; due: number }>();
  let running: Promise<void> | undefined;
  let stopped = false;

  const vacuum = async (table: string): Promise<void> => {
    await sql`vacuum (skip_locked) ${sql.table(table)}`.execute(kysely);
    const { rows } = await sql<{
      rows: number;
    }>`select reltuples as rows from pg_class where oid = to_regclass(${table})`.execute(kysely);
    const known = tables.get(table);
    if (known !== undefined) known.due = Math.max(least, (rows[0]?.rows ?? 0) * part);
  };

  const run = async (): Promise<void> => {
    for (;;) {
      const next = [...tables].find(([, { changed, due }]) => changed >= due);
      if (next === undefined || stopped) return;
      const [table, known] = next;
      known.changed = 0;
      await vacuum(table).catch((error: unknown) => {
        log.warn("vacuum-failed", { table, reason: error instanceof Error ? error.message : "unknown" });
      });
    }
  };

  return {
    changed(table, rows) {
      let known = tables.get(table);
      if (known === undefined) tables.set(table, (known = { changed: 0, due: least }));
      known.changed += rows;
      if (known.changed >= known.due && !stopped)
        running ??= run().finally(() => {
          running = undefined;
        });
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
