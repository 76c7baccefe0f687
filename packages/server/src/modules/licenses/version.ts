/**
 * Purpose: the position version - one number that rises with every change of a count - and what changed with it, so that a reader who holds
 * version n fetches only the departments that changed since.
 * Invariants: the version rises in the transaction that makes the change, as its last write; the row is locked until that transaction commits,
 * so versions become visible in their order. `touches` counts the changes that said what they changed: a version that rose more often than that
 * tells a reader to fetch everything, so forgetting to say costs time, never truth.
 */
import { sql } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";

/** Scopes of lic_marks: a department's ordinal (0 = unassigned), or one of these. */
export const entitlementsScope = -1;
export const everythingScope = -2;
export const touchesScope = -3;

export interface Touched {
  /** Departments whose used, rights, required or requested changed. */
  readonly departments?: Iterable<number>;
  readonly entitlements?: boolean;
  /** Every count may have changed: a recount, another policy. */
  readonly everything?: boolean;
}

/** Call as the last write of a transaction that changed counts, the department tree or entitlements. */
export async function touchPositions(db: Database, trx: Trx, at: number, touched: Touched): Promise<void> {
  const { version } = await trx
    .updateTable("lic_version")
    .set((eb) => ({
      version: eb("version", "+", 1),
      changed_at: sql<number>`case when changed_at > ${at} then changed_at else ${at} end`,
    }))
    .where("id", "=", 1)
    .returning("version")
    .executeTakeFirstOrThrow();
  const scopes = new Set(touched.departments ?? []);
  if (touched.entitlements === true) scopes.add(entitlementsScope);
  if (touched.everything === true) scopes.add(everythingScope);
  const statement = {
    table: "lic_marks",
    columns: [
      { name: "scope", type: "integer" },
      { name: "version", type: "integer" },
    ],
    conflict: ["scope"],
  } as const;
  await db.bulk.insert(
    trx,
    { ...statement, update: { version: "replace" } },
    [...scopes].sort((a, b) => a - b).map((scope) => [scope, version]),
  );
  await db.bulk.insert(trx, { ...statement, update: { version: "add" } }, [[touchesScope, 1]]);
}

/**
 * Holds all counting until the transaction ends. Whoever moves many devices in several steps takes it after the devices' heads and before the
 * first step: otherwise its steps and a report's counters would wait for each other. A no-op on SQLite.
 */
export async function holdCounting(trx: Trx, dialect: DialectName): Promise<void> {
  if (dialect !== "postgres") return;
  // A report that counts users takes this lock before it touches a counter: in the other order the two would wait for each other.
  await sql`select pg_advisory_xact_lock(7400, 2)`.execute(trx);
  await sql`lock table lic_usage in share row exclusive mode`.execute(trx);
}
