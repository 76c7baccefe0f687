/** Queries of the nodes' table; one per method. */
import { sql, type Kysely } from "kysely";
import type { BulkColumn, BulkStatement, DialectName } from "../../db/dialect.ts";
import type { Database, Trx } from "../../db/database.ts";
import { page, type Page } from "../../db/page.ts";
import type { Schema } from "../../db/schema.ts";
import type { ListQuery } from "../../http/list.ts";

type Db = Kysely<Schema>;
export type NodeRow = Schema["node_nodes"];
export type NodeFilter = Partial<Pick<NodeRow, "id" | "kind" | "name" | "company">>;

const idsPerStatement = 1000;
const text = (name: string): BulkColumn => ({ name, type: "text" });
const integer = (name: string): BulkColumn => ({ name, type: "integer" });

/** What a status report changes of a row; enrolment's columns stay. */
export type ReportedRow = Pick<
  NodeRow,
  "id" | "kind" | "name" | "company" | "parent" | "status" | "last_seen_at" | "via"
>;

const reported: BulkStatement = {
  table: "node_nodes",
  columns: [
    text("id"),
    text("kind"),
    text("name"),
    text("company"),
    text("parent"),
    text("status"),
    integer("last_seen_at"),
    text("via"),
  ],
  conflict: ["id"],
  update: {
    name: "replace",
    company: "replace",
    parent: "replace",
    status: "replace",
    last_seen_at: "replace",
    via: "replace",
  },
};

export const nodeStore = {
  /** One company's server enrols at a time: two keys cannot both find its name free. */
  async lockNames(trx: Trx, dialect: DialectName): Promise<void> {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(7400, 3)`.execute(trx);
  },

  find: (db: Db, id: string) => db.selectFrom("node_nodes").selectAll().where("id", "=", id).executeTakeFirst(),

  async findMany(db: Db, ids: readonly string[]): Promise<ReadonlyMap<string, NodeRow>> {
    const found = new Map<string, NodeRow>();
    for (let at = 0; at < ids.length; at += idsPerStatement) {
      const rows = await db
        .selectFrom("node_nodes")
        .selectAll()
        .where("id", "in", ids.slice(at, at + idsPerStatement))
        .execute();
      for (const row of rows) found.set(row.id, row);
    }
    return found;
  },

  /** Nodes that count for the distribution: relays, servers and what fails. In the order of their ids. */
  list: (db: Db, after: string, limit: number) =>
    db
      .selectFrom("node_nodes")
      .selectAll()
      .where("removed_at", "is", null)
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute(),

  /** Every company's server, whether enrolled here or heard of through another. */
  servers: (db: Db) =>
    db.selectFrom("node_nodes").selectAll().where("kind", "=", "server").where("removed_at", "is", null).execute(),

  page: ({ kysely, dialect }: Database, query: ListQuery & NodeFilter): Promise<Page<NodeRow>> => {
    let select = kysely.selectFrom("node_nodes as n").selectAll().where("n.removed_at", "is", null);
    for (const field of ["id", "kind", "name", "company"] as const) {
      const wanted = query[field];
      if (wanted !== undefined) select = select.where(`n.${field}`, "=", wanted);
    }
    const fields = {
      id: { column: "n.id" },
      kind: { column: "n.kind" },
      name: { column: "n.name" },
      company: { column: "n.company" },
      lastSeenAt: { column: "n.last_seen_at", number: true },
    };
    return page(select, { dialect, query, fields });
  },

  /** The server of a company that is enrolled here. */
  serverOf: (db: Db, company: string) =>
    db
      .selectFrom("node_nodes")
      .selectAll()
      .where("kind", "=", "server")
      .where("name", "=", company)
      .where("enrolled_at", "is not", null)
      .where("removed_at", "is", null)
      .executeTakeFirst(),

  /** Which company was reported by whom. */
  companies: (db: Db) =>
    db
      .selectFrom("node_nodes")
      .select(["company", "via"])
      .distinct()
      .where("removed_at", "is", null)
      .where("via", "is not", null)
      .execute(),

  saveEnrolled: (db: Db, row: Omit<NodeRow, "status" | "removed_at" | "parent">) =>
    db
      .insertInto("node_nodes")
      .values({ ...row, status: null, removed_at: null, parent: null })
      .onConflict((c) =>
        c.column("id").doUpdateSet({
          kind: row.kind,
          name: row.name,
          company: row.company,
          public_key: row.public_key,
          enrolled_at: row.enrolled_at,
          last_seen_at: row.last_seen_at,
          via: row.via,
          token: row.token,
          removed_at: null,
        }),
      )
      .execute(),

  saveReported: (db: Database, trx: Trx, rows: readonly ReportedRow[]): Promise<void> =>
    db.bulk.insert(
      trx,
      reported,
      rows.map((r) => [r.id, r.kind, r.name, r.company, r.parent, r.status, r.last_seen_at, r.via]),
    ),

  async dropAgents(db: Db, ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += idsPerStatement)
      await db
        .deleteFrom("node_nodes")
        .where("kind", "=", "agent")
        .where("removed_at", "is", null)
        .where("id", "in", ids.slice(at, at + idsPerStatement))
        .execute();
  },

  /** Answers how many. */
  async dropAgentsBut(db: Db, via: string, keep: ReadonlySet<string>): Promise<number> {
    const rows = await db
      .selectFrom("node_nodes")
      .select("id")
      .where("via", "=", via)
      .where("kind", "=", "agent")
      .where("removed_at", "is", null)
      .execute();
    const gone = rows.map((r) => r.id).filter((id) => !keep.has(id));
    await nodeStore.dropAgents(db, gone);
    return gone.length;
  },

  async dropAgentsBefore(db: Db, via: string, before: number): Promise<number> {
    const result = await db
      .deleteFrom("node_nodes")
      .where("via", "=", via)
      .where("kind", "=", "agent")
      .where("removed_at", "is", null)
      .where("last_seen_at", "<", before)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  },

  /** Nodes that someone reported for a company before its own server was enrolled here. */
  dropClaims: (db: Db, company: string, id: string) =>
    db
      .deleteFrom("node_nodes")
      .where("company", "=", company)
      .where("enrolled_at", "is", null)
      .where((eb) => eb.or([eb("via", "is", null), eb("via", "!=", id)]))
      .execute(),

  countBelow: (db: Db, via: string) =>
    db
      .selectFrom("node_nodes")
      .select((eb) => eb.fn.countAll<number>().as("count"))
      .where("via", "=", via)
      .executeTakeFirstOrThrow(),

  /** Oldest first. */
  removed: (db: Db) =>
    db
      .selectFrom("node_nodes")
      .select("id")
      .where("removed_at", "is not", null)
      .orderBy("removed_at")
      .orderBy("id")
      .execute(),

  /** A device that is not listed: its name here is all that is known of it. */
  insertRemoved: (db: Db, row: Pick<NodeRow, "id" | "kind" | "name" | "company"> & { readonly at: number }) =>
    db
      .insertInto("node_nodes")
      .values({
        id: row.id,
        kind: row.kind,
        name: row.name,
        company: row.company,
        parent: null,
        public_key: null,
        status: null,
        enrolled_at: null,
        last_seen_at: row.at,
        via: null,
        token: null,
        removed_at: row.at,
      })
      .onConflict((c) => c.column("id").doUpdateSet({ removed_at: row.at }))
      .execute(),

  forgetRemoved: (db: Db, id: string) =>
    db.deleteFrom("node_nodes").where("id", "=", id).where("kind", "=", "agent").execute(),

  async remove(db: Db, id: string, at: number): Promise<boolean> {
    const result = await db
      .updateTable("node_nodes")
      .set({ removed_at: at })
      .where("id", "=", id)
      .where("removed_at", "is", null)
      .executeTakeFirst();
    return Number(result.numUpdatedRows) === 1;
  },
};
