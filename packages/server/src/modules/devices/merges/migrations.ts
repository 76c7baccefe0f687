import { columnTypes, ordinalType } from "../../../db/dialect.ts";
import type { Migration } from "../../../db/migrations.ts";

export const mergeMigrations: readonly Migration[] = [
  {
    name: "202611220800-devices-merges",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema.alterTable("dev_devices").addColumn("merged_into", int).execute();
      await db.schema
        .createTable("dev_merges")
        .addColumn("ordinal", int, ordinal)
        .addColumn("id", "text", (c) => c.notNull().unique())
        .addColumn("kept", int, (c) => c.notNull())
        .addColumn("gone", int, (c) => c.notNull())
        .addColumn("exchanged", "integer", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addColumn("undone_at", time)
        .execute();
      await db.schema
        .createTable("dev_merge_offers")
        .addColumn("device", int, (c) => c.primaryKey())
        .addColumn("candidate", int, (c) => c.notNull())
        .addColumn("serial", "text", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611221600-devices-merged-allocations",
    async up(db) {
      await db.schema.alterTable("dev_merges").addColumn("allocations", "text").execute();
    },
  },
];
