import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

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
];
