import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const licenseMigrations: readonly Migration[] = [
  {
    name: "202611210400-licenses",
    async up(db, dialect) {
      const { time, ordinal, blob } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("lic_licenses")
        .addColumn("ordinal", int, ordinal)
        .addColumn("code", "text", (c) => c.notNull().unique())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("metric", "text", (c) => c.notNull())
        .addColumn("managed", "integer", (c) => c.notNull().defaultTo(1))
        .execute();
      await db.schema
        .createTable("lic_repository")
        .addColumn("device", int, (c) => c.primaryKey())
        .addColumn("since", time, (c) => c.notNull())
        .addColumn("employee", int)
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("licenses", blob, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("lic_history")
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("since", time, (c) => c.notNull())
        .addColumn("until", time, (c) => c.notNull())
        .addColumn("employee", int)
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("licenses", blob, (c) => c.notNull())
        .execute();
      await db.schema.createIndex("lic_history_device").on("lic_history").columns(["device", "until"]).execute();
      await db.schema
        .createTable("lic_usage")
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("used", "integer", (c) => c.notNull())
        .addPrimaryKeyConstraint("lic_usage_key", ["department", "license"] as never)
        .execute();
      await db.schema
        .createTable("lic_user_usage")
        .addColumn("employee", int, (c) => c.notNull())
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("devices", "integer", (c) => c.notNull())
        .addPrimaryKeyConstraint("lic_user_usage_key", ["employee", "department", "license"] as never)
        .execute();
      await db.schema
        .createTable("lic_entitlements")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("metric", "text", (c) => c.notNull())
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("unit_price", int)
        .addColumn("currency", "text")
        .addColumn("purchased_at", time)
        .addColumn("starts_at", time)
        .addColumn("expires_at", time)
        .addColumn("rights", "text")
        .addColumn("contract", "text")
        .addColumn("order_no", "text")
        .addColumn("department", int)
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("replaced_at", time)
        .execute();
      await db.schema.createIndex("lic_entitlements_license").on("lic_entitlements").column("license").execute();
      await db.schema
        .createTable("lic_rights")
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("rights", "integer", (c) => c.notNull().defaultTo(0))
        .addColumn("required", "integer", (c) => c.notNull().defaultTo(0))
        .addColumn("requested", "integer", (c) => c.notNull().defaultTo(0))
        .addPrimaryKeyConstraint("lic_rights_key", ["department", "license"] as never)
        .execute();
      await db.schema
        .createTable("lic_rights_history")
        .addColumn("id", int, ordinal)
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("rights", "integer", (c) => c.notNull())
        .addColumn("required", "integer", (c) => c.notNull())
        .addColumn("requested", "integer", (c) => c.notNull())
        .addColumn("until", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("lic_version")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      await db
        .insertInto("lic_version" as never)
        .values({ id: 1, version: 0, changed_at: 0 })
        .execute();
    },
  },
];
