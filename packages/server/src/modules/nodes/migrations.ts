import type { Migration } from "../../db/migrations.ts";
import { columnTypes } from "../../db/dialect.ts";

export const nodeMigrations: readonly Migration[] = [
  {
    name: "202611210700-nodes",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("node_nodes")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("kind", "text", (c) => c.notNull())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("company", "text", (c) => c.notNull())
        .addColumn("parent", "text")
        .addColumn("public_key", "text")
        .addColumn("status", "text")
        .addColumn("enrolled_at", time)
        .addColumn("last_seen_at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611212250-nodes-via",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema.alterTable("node_nodes").addColumn("via", "text").execute();
      await db.schema.alterTable("node_nodes").addColumn("token", "text").execute();
      await db.schema.alterTable("node_nodes").addColumn("removed_at", time).execute();
      await db.schema.createIndex("node_nodes_via").on("node_nodes").column("via").execute();
    },
  },
];
