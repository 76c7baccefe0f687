import { sql, type Kysely } from "kysely";
import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";
import { packEvidence, packText } from "./compact.ts";
import { piecesOf } from "./pieces.ts";
import { repackContainer } from "./ordinals.ts";

export const inventoryMigrations: readonly Migration[] = [
  {
    name: "202611210500-inventory",
    async up(db, dialect) {
      const { time, ordinal, blob } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("inv_identities")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("public_key", "text", (c) => c.notNull())
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("evidence", "text")
        .addColumn("enrolled_at", time, (c) => c.notNull())
        .addColumn("token", "text")
        .addColumn("first_evidence", "text")
        .addColumn("forked_at", time)
        .execute();
      await db.schema.createIndex("inv_identities_device").on("inv_identities").column("device").execute();
      await db.schema
        .createTable("inv_heads")
        .addColumn("device", int, (c) => c.primaryKey())
        .addColumn("identity", "text", (c) => c.notNull())
        .addColumn("epoch", int, (c) => c.notNull())
        .addColumn("seq", int, (c) => c.notNull())
        .addColumn("digest", blob, (c) => c.notNull())
        .addColumn("evidence", "text")
        .addColumn("dictionary", int, (c) => c.notNull())
        .addColumn("made_at", time, (c) => c.notNull())
        .addColumn("received_at", time, (c) => c.notNull())
        .addColumn("scanned_at", time, (c) => c.notNull())
        .addColumn("generation", int, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("inv_states")
        .addColumn("device", int, (c) => c.primaryKey())
        .addColumn("titles", blob, (c) => c.notNull())
        .addColumn("details", blob, (c) => c.notNull())
        .addColumn("probes", blob, (c) => c.notNull())
        .addColumn("machine", blob, (c) => c.notNull())
        .addColumn("scan", blob)
        .addColumn("asserted", "text")
        .execute();
      await db.schema
        .createTable("inv_titles")
        .addColumn("id", int, ordinal)
        .addColumn("hash", blob, (c) => c.notNull().unique())
        .addColumn("source", "text", (c) => c.notNull())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("version", "text", (c) => c.notNull())
        .addColumn("publisher", "text")
        .addColumn("arch", "text")
        .addColumn("identifier", "text")
        .addColumn("first_seen_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("inv_changes")
        .addColumn("id", int, ordinal)
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addColumn("change", blob, (c) => c.notNull())
        .execute();
      await db.schema.createIndex("inv_changes_device").on("inv_changes").columns(["device", "id"]).execute();
      await db.schema
        .createTable("inv_postings")
        .addColumn("title", int, (c) => c.notNull())
        .addColumn("chunk", int, (c) => c.notNull())
        .addColumn("container", blob, (c) => c.notNull())
        .addPrimaryKeyConstraint("inv_postings_key", ["title", "chunk"] as never)
        .execute();
      await db.schema
        .createTable("inv_marks")
        .addColumn("name", "text", (c) => c.primaryKey())
        .addColumn("change", int, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611221400-inventory-compact",
    async up(db, dialect) {
      const { time, blob } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("inv_bases")
        .addColumn("id", int, (c) => c.primaryKey())
        .addColumn("titles", blob, (c) => c.notNull())
        .execute();
      await db.schema.alterTable("inv_states").addColumn("base", int).execute();

      await db.schema.alterTable("inv_heads").renameTo("inv_heads_1").execute();
      await db.schema
        .createTable("inv_heads")
        .addColumn("device", int, (c) => c.primaryKey())
        .addColumn("identity", blob, (c) => c.notNull())
        .addColumn("epoch", int, (c) => c.notNull())
        .addColumn("seq", int, (c) => c.notNull())
        .addColumn("digest", blob, (c) => c.notNull())
        .addColumn("evidence", blob)
        .addColumn("dictionary", int, (c) => c.notNull())
        .addColumn("made_at", time, (c) => c.notNull())
        .addColumn("received_at", time, (c) => c.notNull())
        .addColumn("scanned_at", time, (c) => c.notNull())
        .addColumn("generation", int, (c) => c.notNull())
        .execute();
      await convert(db, "inv_heads", "device", (row) => ({
        ...row,
        identity: packText(String(row["identity"])),
        evidence: packed(row["evidence"], packText),
      }));

      await db.schema.dropIndex("inv_identities_device").execute();
      await db.schema.alterTable("inv_identities").renameTo("inv_identities_1").execute();
      await db.schema
        .createTable("inv_identities")
        .addColumn("id", blob, (c) => c.notNull().unique())
        .addColumn("public_key", blob, (c) => c.notNull())
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("evidence", blob)
        .addColumn("enrolled_at", time, (c) => c.notNull())
        .addColumn("token", "text")
        .addColumn("first_evidence", blob)
        .addColumn("forked_at", time)
        .execute();
      await db.schema.createIndex("inv_identities_device").on("inv_identities").column("device").execute();
      await convert(db, "inv_identities", "id", (row) => ({
        ...row,
        id: packText(String(row["id"])),
        public_key: Buffer.from(String(row["public_key"]), "base64url"),
        evidence: packed(row["evidence"], packEvidence),
        first_evidence: packed(row["first_evidence"], packText),
      }));

      if (dialect === "sqlite") {
        // The key is most of a row of a rare title: once is enough.
        await sql`alter table inv_postings rename to inv_postings_1`.execute(db);
        await sql`create table inv_postings (title integer not null, chunk integer not null, container blob not null,
          primary key (title, chunk)) without rowid`.execute(db);
        await sql`insert into inv_postings select title, chunk, container from inv_postings_1`.execute(db);
        await sql`drop table inv_postings_1`.execute(db);
      } else {
        // An update finds room on its own page and leaves the indexes alone; what is packed already is not packed again.
        await sql`alter table inv_heads set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)`.execute(db);
        await sql`alter table inv_states set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)`.execute(db);
        await sql`alter table inv_postings set (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05,
          toast.autovacuum_vacuum_scale_factor = 0.05)`.execute(db);
        for (const column of ["titles", "details", "probes", "machine", "scan"])
          await sql`alter table inv_states alter column ${sql.ref(column)} set storage external`.execute(db);
      }
    },
  },
  {
    name: "202611221500-inventory-title-names",
    async up(db) {
      await sql`create index inv_titles_name on inv_titles (lower(name))`.execute(db);
    },
  },
  {
    name: "202611301720-inventory-posting-pieces",
    async up(db, dialect) {
      await sql`alter table inv_postings rename to inv_postings_1`.execute(db);
      const { blob } = columnTypes(dialect);
      const layout = sql.raw(
        dialect === "sqlite" ? "without rowid" : "with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05)",
      );
      await sql`create table inv_postings (chunk integer not null, title integer not null, part integer not null, piece ${sql.raw(blob)} not null,
        constraint inv_postings_pieces primary key (chunk, title, part)) ${layout}`.execute(db);
      const { rows: last } = await sql<{
        chunk: number | null;
      }>`select max(chunk) as chunk from inv_postings_1`.execute(db);
      // In the order they lie in, so that no page is split.
      for (let chunk = 0; chunk <= (last[0]?.chunk ?? -1); chunk++)
        for (let after = 0; ;) {
          const { rows } = await sql<{ title: number; container: Buffer }>`select title, container from inv_postings_1
            where chunk = ${chunk} and title > ${after} order by title limit 500`.execute(db);
          const pieces = rows.flatMap(({ title, container }) =>
            piecesOf(repackContainer(container)).map((piece, part) => ({ chunk, title, part, piece })),
          );
          for (let at = 0; at < pieces.length; at += 1000)
            await db
              .insertInto("inv_postings" as never)
              .values(pieces.slice(at, at + 1000))
              .execute();
          if (rows.length === 0) break;
          after = rows[rows.length - 1]?.title ?? after;
        }
      await sql`drop table inv_postings_1`.execute(db);
    },
  },
  {
    name: "202611301800-inventory-missing",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("inv_missing")
        .addColumn("identity", "text", (c) => c.notNull())
        .addColumn("epoch", time, (c) => c.notNull())
        .addColumn("seq", time, (c) => c.notNull())
        .addColumn("via", "text")
        .addColumn("at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("inv_missing_key", ["identity", "epoch", "seq"])
        .execute();
    },
  },
  {
    name: "202611302200-inventory-clones",
    async up(db, dialect) {
      const { time, blob } = columnTypes(dialect);
      await db.schema
        .createTable("inv_clones")
        .addColumn("evidence", blob, (c) => c.notNull())
        .addColumn("identity", blob, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("inv_clones_key", ["evidence", "identity"])
        .execute();
      await db.schema.createIndex("inv_clones_identity").on("inv_clones").column("identity").execute();
    },
  },
];

function packed(value: unknown, pack: (text: string) => Buffer): Buffer | null {
  return typeof value === "string" ? pack(value) : null;
}

/** Moves the rows of `<table>_1` over, changed, a page at a time, and drops it. */
async function convert(
  db: Kysely<never>,
  table: string,
  key: string,
  change: (row: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const old = sql.ref(`${table}_1`);
  for (let after: unknown = undefined; ;) {
    const from = after === undefined ? sql`` : sql`where ${sql.ref(key)} > ${after}`;
    const { rows } = await sql<
      Record<string, unknown>
    >`select * from ${old} ${from} order by ${sql.ref(key)} limit 500`.execute(db);
    if (rows.length === 0) break;
    await db
      .insertInto(table as never)
      .values(rows.map(change))
      .execute();
    after = rows[rows.length - 1]?.[key];
  }
  await sql`drop table ${old}`.execute(db);
}
