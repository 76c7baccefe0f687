/**
 * Purpose: postings, marks and the change log as rows.
 * A container is kept in pieces of at most a thousand bytes (pieces.ts): a page of SQLite holds several, where a larger row would take pages of its own and leave the rest
 * of them empty, and PostgreSQL keeps it in the table itself. What is written at one time lies together, by chunk: while a fleet grows, the
 * pages of earlier devices are left alone.
 */
import { PostgresAdapter, sql, type Kysely } from "kysely";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { among } from "../../db/sets.ts";
import { piecesOf } from "./pieces.ts";

type Db = Kysely<Schema> | Trx;

/** Containers of a title, by chunk. */
export type Containers = ReadonlyMap<number, Buffer>;

export const indexStore = {
  /** `first`: only their first pieces. */
  async containers(
    db: Db,
    titles: readonly number[],
    chunks: readonly number[],
    which: "all" | "first" = "all",
  ): Promise<ReadonlyMap<number, Containers>> {
    if (titles.length === 0 || chunks.length === 0) return new Map();
    const rows = await db
      .selectFrom("inv_postings")
      .selectAll()
      .where(among(db, "chunk", chunks))
      .where(among(db, "title", titles))
      .$if(which === "first", (query) => query.where("part", "=", 0))
      .execute();
    const pieces = new Map<number, Map<number, Buffer[]>>();
    for (const { title, chunk, part, piece } of rows) {
      let held = pieces.get(title);
      if (held === undefined) pieces.set(title, (held = new Map()));
      let list = held.get(chunk);
      if (list === undefined) held.set(chunk, (list = []));
      list[part] = piece;
    }
    const whole = ([chunk, list]: [number, Buffer[]]): [number, Buffer] => [
      chunk,
      list.length === 1 ? (list[0] as Buffer) : Buffer.concat(list),
    ];
    return new Map([...pieces].map(([title, held]) => [title, new Map([...held].map(whole))]));
  },

  /** How many chunks there are. */
  async chunkCount(db: Db): Promise<number> {
    const row = await db
      .selectFrom("inv_postings")
      .select((eb) => eb.fn.max("chunk").as("chunk"))
      .executeTakeFirst();
    return (row?.chunk ?? -1) + 1;
  },

  /** `held`: what is there now. */
  async write(
    db: Database,
    trx: Trx,
    rows: readonly {
      readonly title: number;
      readonly chunk: number;
      readonly container: Buffer | undefined;
      readonly held: Buffer | undefined;
    }[],
  ): Promise<void> {
    const written: (number | Buffer)[][] = [];
    for (const { title, chunk, container, held } of rows) {
      const pieces = container === undefined ? [] : piecesOf(container);
      for (const [part, piece] of pieces.entries()) written.push([chunk, title, part, piece]);
      if (held !== undefined && piecesOf(held).length > pieces.length)
        await trx
          .deleteFrom("inv_postings")
          .where("chunk", "=", chunk)
          .where("title", "=", title)
          .where("part", ">=", pieces.length)
          .execute();
    }
    await db.bulk.insert(
      trx,
      {
        table: "inv_postings",
        columns: [integer("chunk"), integer("title"), integer("part"), blob("piece")],
        conflict: ["chunk", "title", "part"],
        update: { piece: "replace" },
      },
      written,
    );
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
   * Changes above `after` and those of `gaps`, at most `limit`, in their order; the last one there is; the mark; how many chunks there are; and which transactions were under way: all
   * before `oldest` had ended, and none from `next` on had begun. One statement, so that all of it is true for one moment.
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
      chunks: number;
      last: number;
      id: number | null;
      device: number;
      change: Buffer;
    }>`select now.*, c.id, c.device, c.change
      from (select ${under}, (select change from inv_marks where name = ${mark}) as mark,
        (select coalesce(max(chunk) + 1, 0) from inv_postings) as chunks, (select coalesce(max(id), 0) from inv_changes) as last) as now
      left join (select id, device, change from inv_changes where id > ${after} ${filled} order by id limit ${limit}) as c
      on 1 = 1 order by c.id`.execute(db);
    const [now] = rows;
    return {
      oldest: Number(now?.oldest),
      next: Number(now?.next),
      mark: now?.mark ?? 0,
      chunks: now?.chunks ?? 0,
      last: now?.last ?? 0,
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
