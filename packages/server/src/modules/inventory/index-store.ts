/** Purpose: postings, marks and the change log as rows. */
import { PostgresAdapter, sql, type Kysely } from "kysely";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { among } from "../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

export const indexStore = {
  /** Of one chunk alone, where it is named. */
  async containers(db: Db, titles: readonly number[], chunk?: number): Promise<Map<number, Map<number, Buffer>>> {
    const out = new Map<number, Map<number, Buffer>>();
    if (titles.length === 0) return out;
    let query = db.selectFrom("inv_postings").selectAll().where("title", "in", titles);
    if (chunk !== undefined) query = query.where("chunk", "=", chunk);
    const rows = await query.execute();
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

  /** The same, and nobody raises it before this transaction has ended. */
  async holdMark(db: Database, trx: Trx, name: string): Promise<number> {
    let query = trx.selectFrom("inv_marks").select("change").where("name", "=", name);
    if (db.dialect === "postgres") query = query.forUpdate();
    return (await query.executeTakeFirst())?.change ?? 0;
  },

  async raiseMark(db: Database, trx: Trx, name: string): Promise<number> {
    await indexStore.addToMark(db, trx, name, 1);
    return indexStore.mark(trx, name);
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

  /**
   * Changes above `after` and those of `gaps`, at most `limit`, in their order; the mark; and which transactions were under way: all before `oldest` had
   * ended, and none from `next` on had begun. One statement, so that all of it is true for one moment.
   */
  async log(db: Db, mark: string, after: number, gaps: readonly number[], limit: number) {
    const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
    const under = postgres
      ? sql`pg_snapshot_xmin(pg_current_snapshot())::text as oldest, pg_snapshot_xmax(pg_current_snapshot())::text as next`
      : sql`0 as oldest, 0 as next`;
    const filled = gaps.length === 0 ? sql`` : sql`or ${among(db, "id", gaps)}`;
    const { rows } = await sql<{
      oldest: string | number;
      next: string | number;
      mark: number | null;
      id: number | null;
      device: number;
      change: Buffer;
    }>`select now.*, c.id, c.device, c.change
      from (select ${under}, (select change from inv_marks where name = ${mark}) as mark) as now
      left join (select id, device, change from inv_changes where id > ${after} ${filled} order by id limit ${limit}) as c
      on 1 = 1 order by c.id`.execute(db);
    const [now] = rows;
    return {
      ...{ oldest: Number(now?.oldest), next: Number(now?.next), mark: now?.mark ?? 0 },
      rows: rows.flatMap(({ id, device, change }) => (id === null ? [] : [{ id, device, change }])),
    };
  },

  /** When the device first reported. */
  async firstChange(db: Db, device: number): Promise<number | undefined> {
    const row = await db
      .selectFrom("inv_changes")
      .select((eb) => eb.fn.min("at").as("at"))
      .where("device", "=", device)
      .executeTakeFirst();
    return row?.at ?? undefined;
  },
};
