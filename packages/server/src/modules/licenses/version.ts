/**
 * Purpose: the position version - one number that rises with every change of a count - and what changed with it, so that a reader who holds
 * version n fetches only the departments that changed since.
 * Invariants: the version rises in the transaction that makes the change, as its last write; the row is locked until that transaction commits,
 * so versions become visible in their order. `touches` counts the changes that said what they changed: a version that rose more often than that
 * tells a reader to fetch everything, so forgetting to say costs time, never truth.
 */
import type { Database, Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import { versionStore } from "./version-store.ts";

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

/**
 * The time under which a change is recorded: never before one that is recorded already, also when the clock was set back. Call with the rows to be
 * changed locked; otherwise two intervals of one device could overlap, and a past position count it twice.
 */
export async function recordingTime(trx: Trx, at: number): Promise<number> {
  return Math.max(at, (await versionStore.changedAt(trx)).changed_at);
}

/** Call as the last write of a transaction that changed counts, the department tree or entitlements. Answers the version that has them. */
export async function touchPositions(db: Database, trx: Trx, at: number, touched: Touched): Promise<number> {
  const version = await versionStore.raise(trx, at);
  const scopes = new Set(touched.departments ?? []);
  if (touched.entitlements === true) scopes.add(entitlementsScope);
  if (touched.everything === true) scopes.add(everythingScope);
  await versionStore.mark(
    db,
    trx,
    [...scopes].sort((a, b) => a - b),
    version,
  );
  await versionStore.count(db, trx, touchesScope);
  return version;
}

/**
 * Holds all counting until the transaction ends. Whoever moves many devices in several steps takes it after the devices' heads and before the
 * first step: otherwise its steps and a report's counters would wait for each other. A no-op on SQLite.
 */
export async function holdCounting(trx: Trx, dialect: DialectName): Promise<void> {
  if (dialect === "postgres") await versionStore.holdCounters(trx);
}
