import type { Migration } from "../../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../../db/dialect.ts";

export const orgChangeMigrations: readonly Migration[] = [
  {
    name: "202611220600-organization-changes",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("org_changes")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("place", ordinalType(dialect), (c) => c.notNull().unique())
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("effective_on", "text")
        .addColumn("types", "text", (c) => c.notNull())
        .addColumn("changes", "text", (c) => c.notNull())
        .addColumn("idempotency_key", "text", (c) => c.unique())
        .addColumn("digest", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("created_by", "text", (c) => c.notNull())
        .addColumn("done_at", time)
        .addColumn("outcome", "text")
        .addColumn("failure", "text")
        .execute();
      await db.schema
        .createIndex("org_changes_planned")
        .on("org_changes")
        .columns(["effective_on", "place"])
        .where("state" as never, "=", "planned" as never)
        .execute();
      await db.schema.alterTable("org_departments").addColumn("merged_into", ordinalType(dialect)).execute();
    },
  },
];
