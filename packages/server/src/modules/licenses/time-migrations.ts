import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const licenseTimeMigrations: readonly Migration[] = [
  {
    name: "202611220600-licenses-time",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      // Why an interval was opened and why it was closed: causes.ts. 0 = recorded before causes were.
      for (const [table, column] of [
        ["lic_repository", "cause"],
        ["lic_history", "cause"],
        ["lic_history", "closed"],
        ["lic_rights_history", "cause"],
      ] as const)
        await db.schema
          .alterTable(table)
          .addColumn(column, "integer", (c) => c.notNull().defaultTo(0))
          .execute();
      await db.schema
        .createTable("lic_license_history")
        .addColumn("id", int, ordinal)
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("metric", "text", (c) => c.notNull())
        .addColumn("managed", "integer", (c) => c.notNull())
        .addColumn("until", time, (c) => c.notNull())
        .execute();
      // What a department might use at a moment is the first row after it, per licence.
      await db.schema
        .createIndex("lic_rights_history_place")
        .on("lic_rights_history")
        .columns(["department", "license", "until"])
        .execute();
    },
  },
];
