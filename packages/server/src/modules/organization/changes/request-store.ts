/** Purpose: organisation changes that were asked for, as rows; one query per method. */
import { sql, type Kysely } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { Schema } from "../../../db/schema.ts";

type Db = Kysely<Schema> | Trx;
export type OrgChangeRow = Schema["org_changes"];

export const requestStore = {
  list: (db: Db) =>
    db
      .selectFrom("org_changes as c")
      .select([
        "c.id",
        "c.state",
        "c.effective_on",
        "c.types",
        "c.created_at",
        "c.created_by",
        "c.done_at",
        "c.failure",
      ]),

  byId: (db: Db, id: string): Promise<OrgChangeRow | undefined> =>
    db.selectFrom("org_changes").selectAll().where("id", "=", id).executeTakeFirst(),

  byKey: (db: Db, key: string): Promise<OrgChangeRow | undefined> =>
    db.selectFrom("org_changes").selectAll().where("idempotency_key", "=", key).executeTakeFirst(),

  /** Call with the ledger's lock held: the next place is the highest and one. */
  insert: (trx: Trx, row: Omit<OrgChangeRow, "place">) =>
    trx
      .insertInto("org_changes")
      .values({ ...row, place: sql<number>`(select coalesce(max(place), 0) + 1 from org_changes)` })
      .execute(),

  update: (trx: Trx, id: string, set: Partial<Pick<OrgChangeRow, "state" | "done_at" | "failure">>) =>
    trx.updateTable("org_changes").set(set).where("id", "=", id).execute(),

  keepOutcome: (trx: Trx, part: Schema["org_change_outcomes"]) =>
    trx.insertInto("org_change_outcomes").values(part).execute(),

  outcomeAfter: (db: Db, change: string, place: number, limit: number) =>
    db
      .selectFrom("org_change_outcomes")
      .select(["place", "part"])
      .where("change", "=", change)
      .where("place", ">", place)
      .orderBy("place")
      .limit(limit)
      .execute(),

  /** Planned for this day or before, in the order in which they are applied. */
  planned: (db: Db, day: string): Promise<{ id: string; changes: string; created_by: string }[]> =>
    db
      .selectFrom("org_changes")
      .select(["id", "changes", "created_by"])
      .where("state", "=", "planned")
      .where("effective_on", "<=", day)
      .orderBy("effective_on")
      .orderBy("place")
      .execute(),

  /** Does the work and takes it back; what else the transaction did stays. */
  async rehearse<T>(trx: Trx, work: () => Promise<T>): Promise<T> {
    await sql`savepoint org_rehearsal`.execute(trx);
    try {
      return await work();
    } finally {
      await sql`rollback to savepoint org_rehearsal`.execute(trx);
    }
  },

  /** Does the work; a failure takes back the work alone. */
  async attempt<T>(trx: Trx, work: () => Promise<T>): Promise<T> {
    await sql`savepoint org_attempt`.execute(trx);
    try {
      return await work();
    } catch (error) {
      await sql`rollback to savepoint org_attempt`.execute(trx);
      throw error;
    } finally {
      await sql`release savepoint org_attempt`.execute(trx);
    }
  },
};
