/** Queries of the policies' tables; one per method. Whoever writes holds `lock` until its transaction ends. */
import { sql, type Kysely } from "kysely";
import type { DialectName } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import type { Trx } from "../../db/database.ts";
import type { Fault } from "./faults.ts";

type Db = Kysely<Schema>;
export type EditionName = "enterprise" | "local";
export type DocumentRow = Schema["pol_documents"];
export type DictionaryRow = Schema["pol_dictionaries"];

export const policyStore = {
  /** One writer of policies at a time, on whatever server. SQLite has one writer anyway. */
  async lock(trx: Trx, dialect: DialectName): Promise<void> {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(7400, 5)`.execute(trx);
  },

  newest: (db: Db, edition: EditionName) =>
    db
      .selectFrom("pol_documents")
      .selectAll()
      .where("edition", "=", edition)
      .orderBy("version", "desc")
      .limit(1)
      .executeTakeFirst(),

  insertDocument: (db: Db, row: DocumentRow) => db.insertInto("pol_documents").values(row).execute(),

  newestDictionary: (db: Db) =>
    db.selectFrom("pol_dictionaries").selectAll().orderBy("version", "desc").limit(1).executeTakeFirst(),

  insertDictionary: (db: Db, row: DictionaryRow) => db.insertInto("pol_dictionaries").values(row).execute(),

  /** The same result from newer documents: only what it was made from is noted. */
  noteSources: (db: Db, version: number, enterprise: number, local: number) =>
    db.updateTable("pol_dictionaries").set({ enterprise, local }).where("version", "=", version).execute(),

  /** The enterprise version behind each of the latest dictionaries. */
  sources: (db: Db, limit: number) =>
    db
      .selectFrom("pol_dictionaries")
      .select(["version", "enterprise"])
      .orderBy("version", "desc")
      .limit(limit)
      .execute(),

  selection: (db: Db) => db.selectFrom("pol_selection").selectAll().where("id", "=", 1).executeTakeFirst(),

  saveSelection: (db: Db, codes: string | null, at: number) =>
    db
      .insertInto("pol_selection")
      .values({ id: 1, codes, changed_at: at })
      .onConflict((c) => c.column("id").doUpdateSet({ codes, changed_at: at }))
      .execute(),

  async refusal(db: Db): Promise<Fault | undefined> {
    const row = await db.selectFrom("pol_refusal").select(["code", "message"]).where("id", "=", 1).executeTakeFirst();
    return row;
  },

  async saveRefusal(db: Db, fault: Fault | undefined, at: number): Promise<void> {
    await db.deleteFrom("pol_refusal").execute();
    if (fault !== undefined)
      await db.insertInto("pol_refusal").values({ id: 1, code: fault.code, message: fault.message, at }).execute();
  },

  /** Differs whenever anything above differs: what a server compares to see whether another one has written. */
  async stamp(db: Db): Promise<string> {
    const { rows } = await sql<Record<string, number | null>>`select
      (select max(version) from pol_documents where edition = 'enterprise') as e,
      (select max(version) from pol_documents where edition = 'local') as l,
      (select max(version) from pol_dictionaries) as d,
      (select max(enterprise) from pol_dictionaries) as de,
      (select max(local) from pol_dictionaries) as dl,
      (select changed_at from pol_selection where id = 1) as s,
      (select at from pol_refusal where id = 1) as r`.execute(db);
    return JSON.stringify(rows[0]);
  },
};
