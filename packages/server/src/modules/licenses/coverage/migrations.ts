import type { Migration } from "../../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../../db/dialect.ts";

export const coverageMigrations: readonly Migration[] = [
  {
    name: "202611221300-licenses-coverage",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      for (const column of ["certificate", "supplier", "parent", "manager"])
        await db.schema.alterTable("lic_entitlements").addColumn(column, "text").execute();
      await db.schema
        .alterTable("lic_entitlements")
        .addColumn("pack_size", "integer", (c) => c.notNull().defaultTo(1))
        .execute();
      await db.schema
        .createTable("lic_allocations")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("entitlement", "text")
        .addColumn("device", int)
        .addColumn("employee", int)
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("since", time, (c) => c.notNull())
        .addColumn("until", time)
        .execute();
      for (const column of ["license", "device", "employee"])
        await db.schema
          .createIndex(`lic_allocations_${column}`)
          .on("lic_allocations")
          .column(column)
          .where("until" as never, "is", null)
          .execute();
      await db.schema
        .createTable("lic_version_paths")
        .addColumn("id", int, ordinal)
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("licenses", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("replaced_at", time)
        .execute();
      // One path of a name at a time, also when two write at once.
      await db.schema
        .createIndex("lic_version_paths_name")
        .on("lic_version_paths")
        .column("name")
        .unique()
        .where("replaced_at" as never, "is", null)
        .execute();
      // Coverage fetches the devices of the departments that changed.
      await db.schema.createIndex("lic_repository_department").on("lic_repository").column("department").execute();
    },
  },
  {
    name: "202611240900-licenses-traits",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("lic_traits_history")
        .addColumn("id", int, ordinal)
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("until", time, (c) => c.notNull())
        .addColumn("portable", "integer", (c) => c.notNull())
        .addColumn("virtual", "integer", (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex("lic_traits_history_device")
        .on("lic_traits_history")
        .columns(["device", "until"])
        .execute();
    },
  },
];
