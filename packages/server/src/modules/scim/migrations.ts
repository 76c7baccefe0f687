import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const scimMigrations: readonly Migration[] = [
  {
    name: "202611220650-scim",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("scim_users")
        .addColumn("ordinal", int, ordinal)
        .addColumn("id", "text", (c) => c.notNull().unique())
        .addColumn("user_name", "text", (c) => c.notNull())
        .addColumn("user_key", "text", (c) => c.notNull().unique())
        .addColumn("external_id", "text")
        .addColumn("employee", int, (c) => c.notNull().unique())
        .addColumn("away_department", int)
        .addColumn("resource", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      await db.schema.createIndex("scim_users_external").on("scim_users").column("external_id").execute();
      await db.schema
        .createTable("scim_groups")
        .addColumn("ordinal", int, ordinal)
        .addColumn("id", "text", (c) => c.notNull().unique())
        .addColumn("external_id", "text")
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("department", int, (c) => c.unique())
        .addColumn("resource", "text", (c) => c.notNull())
        .addColumn("version", "integer", (c) => c.notNull().defaultTo(1))
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("scim_members")
        .addColumn("of_group", int, (c) => c.notNull())
        .addColumn("member_user", int, (c) => c.notNull())
        .addColumn("member_group", int, (c) => c.notNull())
        .addPrimaryKeyConstraint("scim_members_key", ["of_group", "member_user", "member_group"])
        .execute();
      await db.schema.createIndex("scim_members_user").on("scim_members").column("member_user").execute();
    },
  },
  {
    name: "202611221610-scim-away",
    async up(db) {
      // Few are away and were put elsewhere since; a department's members are read often.
      await db.schema
        .createIndex("scim_users_away")
        .on("scim_users")
        .column("away_department")
        .where("away_department" as never, "is not", null)
        .execute();
    },
  },
];
