import { sql } from "kysely";
import type { Migration } from "../../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../../db/dialect.ts";

export const classificationMigrations: readonly Migration[] = [
  {
    name: "202611221400-licenses-classification",
    async up(db, dialect) {
      const int = ordinalType(dialect);
      const { time } = columnTypes(dialect);
      // A variant: the installations of `base` that are of this class.
      await db.schema.alterTable("lic_licenses").addColumn("base", int).execute();
      await db.schema.alterTable("lic_licenses").addColumn("class", "text").execute();
      // Units of cores, summed over a company, do not fit 32 bits.
      if (dialect === "postgres") await sql`alter table lic_usage alter column used type bigint`.execute(db);
      await db.schema
        .createTable("lic_class_rules")
        .addColumn("place", "integer", (c) => c.primaryKey())
        .addColumn("rule", "text", (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("lic_class_categories")
        .addColumn("license", int, (c) => c.primaryKey())
        .addColumn("category", "text", (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("lic_class_corrections")
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("class", "text", (c) => c.notNull())
        .addColumn("reason", "text", (c) => c.notNull())
        .addColumn("by", "text", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("lic_class_corrections_key", ["device", "license"] as never)
        .execute();
    },
  },
];
