/** Purpose: inv_titles as rows. */
import { sql, type Kysely, type RawBuilder } from "kysely";
import { titleFromText, type TitleText } from "@daicho/protocol";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import { page, type Page } from "../../db/page.ts";
import type { Schema } from "../../db/schema.ts";
import { amongBytes } from "../../db/sets.ts";
import type { ListQuery } from "../../http/list.ts";
import type { StoredTitle } from "./titles.ts";

type Db = Kysely<Schema> | Trx;
type Row = Omit<Schema["inv_titles"], "id"> & { id: number };

const columns = [
  blob("hash"),
  text("source"),
  text("name"),
  text("version"),
  text("publisher"),
  text("arch"),
  text("identifier"),
  integer("first_seen_at"),
] as const;

function known(row: Row): StoredTitle {
  return {
    id: row.id,
    hash: row.hash,
    ...titleFromText([row.source, row.name, row.version, row.publisher, row.arch, row.identifier]),
  };
}

export const titleStore = {
  insert: (db: Database, trx: Trx, titles: readonly { hash: Buffer; text: TitleText }[], now: number) =>
    db.bulk.insert(
      trx,
      { table: "inv_titles", columns, conflict: ["hash"] },
      titles.map(({ hash, text }) => [hash, ...text, now]),
    ),

  async byHashes(db: Db, hashes: readonly Buffer[]) {
    const rows = await db
      .selectFrom("inv_titles")
      .selectAll()
      .where(amongBytes(db, "hash", hashes))
      .execute();
    return rows.map(known);
  },

  async byIds(db: Db, ids: readonly number[]) {
    if (ids.length === 0) return [];
    const rows = await db.selectFrom("inv_titles").selectAll().where("id", "in", ids).execute();
    return rows.map(known);
  },

  async after(db: Db, id: number, limit: number) {
    const rows = await db
      .selectFrom("inv_titles")
      .selectAll()
      .where("id", ">", id)
      .orderBy("id")
      .limit(limit)
      .execute();
    return rows.map(known);
  },

  /** `name` is a glob over the name as found. */
  async page(
    { kysely, dialect }: Database,
    query: ListQuery & { readonly name?: string; readonly source?: string },
  ): Promise<Page<StoredTitle>> {
    let select = kysely.selectFrom("inv_titles as t").selectAll();
    if (query.name !== undefined) select = select.where(nameIs(query.name));
    if (query.source !== undefined) select = select.where("t.source", "=", query.source);
    const fields = { id: { column: "t.id", number: true }, name: { column: "t.name" } };
    const { rows, nextCursor } = await page(select, { dialect, query, fields });
    return { rows: rows.map(known), ...(nextCursor !== undefined && { nextCursor }) };
  },

  async idsByName(db: Db, name: string, version: string | undefined): Promise<number[]> {
    let select = db.selectFrom("inv_titles").select("id").where(nameIs(name));
    if (version !== undefined) select = select.where("version", "=", version);
    return (await select.orderBy("id").limit(10_000).execute()).map((row) => row.id);
  },
};

/** A name without wildcards is looked up (inv_titles_name), a glob is searched for. */
function nameIs(name: string): RawBuilder<boolean> {
  return /[*?]/.test(name)
    ? sql<boolean>`lower(name) like ${likeOf(name)} escape '!'`
    : sql<boolean>`lower(name) = lower(${name})`;
}

function likeOf(glob: string): string {
  return glob.toLowerCase().replace(/[%_!]/g, "!$&").replaceAll("*", "%").replaceAll("?", "_");
}
