import { sql } from "kysely";
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
  {
    name: "202611302050-organization-outcomes",
    async up(db, dialect) {
      await db.schema
        .createTable("org_change_outcomes")
        .addColumn("change", "text", (c) => c.notNull())
        .addColumn("place", ordinalType(dialect), (c) => c.notNull())
        .addColumn("part", "text", (c) => c.notNull())
        .addPrimaryKeyConstraint("org_change_outcomes_primary", ["change", "place"])
        .execute();
      await sql`
        insert into org_change_outcomes (change, place, part) select id, 0, outcome from org_changes where outcome is not null
      `.execute(db);
      await db.schema.alterTable("org_changes").dropColumn("outcome").execute();
    },
  },
];
