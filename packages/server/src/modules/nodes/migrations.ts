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
];
