/** Purpose: postings, marks and the change log as rows. */
import type { Kysely } from "kysely";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";

type Db = Kysely<Schema> | Trx;

export const indexStore = {
  async containers(db: Db, titles: readonly number[]): Promise<Map<number, Map<number, Buffer>>> {
    const out = new Map<number, Map<number, Buffer>>();
    if (titles.length === 0) return out;
    const rows = await db.selectFrom("inv_postings").selectAll().where("title", "in", titles).execute();
    for (const row of rows) {
      let chunks = out.get(row.title);
      if (chunks === undefined) out.set(row.title, (chunks = new Map()));
      chunks.set(row.chunk, row.container);
    }
    return out;
  },

  async write(
    db: Database,
    trx: Trx,
    rows: readonly { title: number; chunk: number; container: Buffer | undefined }[],
  ): Promise<void> {
    await db.bulk.insert(
      trx,
      {
        table: "inv_postings",
        columns: [integer("title"), integer("chunk"), blob("container")],
        conflict: ["title", "chunk"],
        update: { container: "replace" },
      },
      rows.filter((row) => row.container !== undefined).map((row) => [row.title, row.chunk, row.container as Buffer]),
    );
    for (const row of rows)
      if (row.container === undefined)
        await trx.deleteFrom("inv_postings").where("title", "=", row.title).where("chunk", "=", row.chunk).execute();
  },

  clear: (trx: Trx) => trx.deleteFrom("inv_postings").execute(),

  async mark(db: Db, name: string): Promise<number> {
    const row = await db.selectFrom("inv_marks").select("change").where("name", "=", name).executeTakeFirst();
    return row?.change ?? 0;
  },

  addToMark: (db: Database, trx: Trx, name: string, change: number) =>
    db.bulk.insert(
      trx,
      {
        table: "inv_marks",
        columns: [text("name"), integer("change")],
        conflict: ["name"],
        update: { change: "add" },
      },
      [[name, change]],
    ),

  setMark: (db: Database, trx: Trx, name: string, change: number) =>
    db.bulk.insert(
      trx,
      {
        table: "inv_marks",
        columns: [text("name"), integer("change")],
        conflict: ["name"],
        update: { change: "replace" },
      },
      [[name, change]],
    ),

  changesAfter: (db: Db, id: number, limit: number) =>
    db
      .selectFrom("inv_changes")
      .select(["id", "device", "change"])
      .where("id", ">", id)
      .orderBy("id")
      .limit(limit)
      .execute(),

  /** When the device first reported. */
  async firstChange(db: Db, device: number): Promise<number | undefined> {
    const row = await db
      .selectFrom("inv_changes")
      .select((eb) => eb.fn.min("at").as("at"))
      .where("device", "=", device)
      .executeTakeFirst();
    return row?.at ?? undefined;
  },

  async lastChange(db: Db): Promise<number> {
    const row = await db
      .selectFrom("inv_changes")
      .select((eb) => eb.fn.max("id").as("id"))
      .executeTakeFirst();
    return row?.id ?? 0;
  },
};
