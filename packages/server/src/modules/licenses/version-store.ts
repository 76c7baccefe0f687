/** Purpose: the position version and its marks as rows; one query per method. */
import { sql } from "kysely";
import { integer } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";

const marks = {
  table: "lic_marks",
  columns: [integer("scope"), integer("version")],
  conflict: ["scope"],
} as const;

export const versionStore = {
  /** Raises the version and locks its row; its time never goes back. */
  raise: async (trx: Trx, at: number): Promise<number> =>
    (
      await trx
        .updateTable("lic_version")
        .set((eb) => ({
          version: eb("version", "+", 1),
          changed_at: sql<number>`case when changed_at > ${at} then changed_at else ${at} end`,
        }))
        .where("id", "=", 1)
        .returning("version")
        .executeTakeFirstOrThrow()
    ).version,

  changedAt: (trx: Trx) =>
    trx.selectFrom("lic_version").select("changed_at").where("id", "=", 1).executeTakeFirstOrThrow(),

  mark: (db: Database, trx: Trx, scopes: readonly number[], version: number) =>
    db.bulk.insert(
      trx,
      { ...marks, update: { version: "replace" } },
      scopes.map((scope) => [scope, version]),
    ),

  count: (db: Database, trx: Trx, scope: number) =>
    db.bulk.insert(trx, { ...marks, update: { version: "add" } }, [[scope, 1]]),

  async holdCounters(trx: Trx): Promise<void> {
    // A report that counts users takes this lock before it touches a counter: in the other order the two would wait for each other.
    await sql`select pg_advisory_xact_lock(7400, 2)`.execute(trx);
    await sql`lock table lic_usage in share row exclusive mode`.execute(trx);
  },
};
