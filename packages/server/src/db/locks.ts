/**
 * Purpose: one hand at a time at the ledger. People and files that change departments, employees, devices, entitlements or rights do so one after
 * the other, on all servers of one database; reports never take this lock.
 * Order: this lock first, then devices' heads (ascending), then device rows, then counters, then the position version.
 */
import { sql } from "kysely";
import type { Trx } from "./database.ts";
import type { DialectName } from "./dialect.ts";

// Advisory locks of the server, in the order they are taken: (7400, 1) migrations, (7400, 5) policies, (7400, 3) the ledger, (7400, 2) user counts.

/** Held by the session of the server that is on duty (notifications.ts), and by nothing else. */
export const dutyLock = [7400, 4] as const;

/** Held until the transaction ends. SQLite has one writer anyway. */
export async function lockLedger(trx: Trx, dialect: DialectName): Promise<void> {
  if (dialect === "postgres") await sql`select pg_advisory_xact_lock(7400, 3)`.execute(trx);
}
