import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const groupMigrations: readonly Migration[] = [
  {
    name: "202611210800-group",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("grp_companies")
        .addColumn("name", "text", (c) => c.primaryKey())
        .addColumn("node", "text", (c) => c.notNull())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("policy", int, (c) => c.notNull())
        .addColumn("devices", int, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addColumn("received_at", time, (c) => c.notNull())
        .addColumn("positions", "text", (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611212300-group-upstream",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("grp_upstream")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("enrollment", "text", (c) => c.notNull())
        .addColumn("enrolled_at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611230105-group-pooled",
    async up(db) {
      await db.schema
        .alterTable("grp_companies")
        .addColumn("pooled", "text", (c) => c.notNull().defaultTo("false"))
        .execute();
    },
  },
];
