import { sql } from "kysely";
import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const organizationMigrations: readonly Migration[] = [
  {
    name: "202611210200-organization",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      await db.schema
        .createTable("org_departments")
        .addColumn("ordinal", ordinalType(dialect), ordinal)
        .addColumn("code", "text", (c) => c.notNull().unique())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("parent", ordinalType(dialect))
        .addColumn("cost_centre", "text")
        .addColumn("manager", "text")
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("dissolved_at", time)
        .execute();
      await db.schema
        .createTable("org_employees")
        .addColumn("ordinal", ordinalType(dialect), ordinal)
        .addColumn("id", "text", (c) => c.notNull().unique())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("mail", "text")
        .addColumn("department", ordinalType(dialect))
        .addColumn("title", "text")
        .addColumn("manager", "text")
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("left_at", time)
        .execute();
      await db.schema.createIndex("org_employees_department").on("org_employees").column("department").execute();
    },
  },
  {
    name: "202611220200-organization-order",
    async up(db, dialect) {
      // Lists are ordered by bytes (http/page.ts), which PostgreSQL's own indexes are not.
      const collate = sql.raw(dialect === "postgres" ? ` collate "C"` : "");
      if (dialect === "postgres")
        await sql`create index org_employees_by_id on org_employees (id${collate})`.execute(db);
      await sql`create index org_employees_by_name on org_employees (name${collate}, id${collate})`.execute(db);
    },
  },
  {
    name: "202611220610-organization-department-history",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("org_department_history")
        .addColumn("id", int, ordinal)
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("code", "text", (c) => c.notNull())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("parent", int)
        .addColumn("until", time, (c) => c.notNull())
        .execute();
    },
  },
];
