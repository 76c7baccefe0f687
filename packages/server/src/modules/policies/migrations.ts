import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const policyMigrations: readonly Migration[] = [
  {
    name: "202611210600-policies",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("pol_documents")
        .addColumn("edition", "text", (c) => c.notNull())
        .addColumn("id", "text", (c) => c.notNull())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("text", "text", (c) => c.notNull())
        .addColumn("signed", "text")
        .addColumn("accepted_at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("pol_documents_key", ["edition", "id", "version"] as never)
        .execute();
      await db.schema
        .createTable("pol_selection")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("codes", "text")
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("pol_dictionaries")
        .addColumn("version", int, (c) => c.primaryKey())
        .addColumn("enterprise", int, (c) => c.notNull())
        .addColumn("local", int, (c) => c.notNull())
        .addColumn("signed", "text", (c) => c.notNull())
        .addColumn("license_policy", "text", (c) => c.notNull())
        .addColumn("etag", "text", (c) => c.notNull())
        .addColumn("generated_at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611230002-policies-refusal",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("pol_refusal")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("code", "text", (c) => c.notNull())
        .addColumn("message", "text", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .execute();
    },
  },
];
