import type { Migration } from "../../db/migrations.ts";
import { ordinalType } from "../../db/dialect.ts";

export const licenseLedgerMigrations: readonly Migration[] = [
  {
    name: "202611220400-licenses-position-marks",
    async up(db, dialect) {
      const int = ordinalType(dialect);
      await db.schema
        .createTable("lic_marks")
        .addColumn("scope", int, (c) => c.primaryKey())
        .addColumn("version", int, (c) => c.notNull())
        .execute();
      await db.schema.createIndex("lic_marks_version").on("lic_marks").column("version").execute();
    },
  },
  {
    name: "202611221000-licenses-quotas",
    async up(db, dialect) {
      const int = ordinalType(dialect);
      await db.schema
        .createTable("lic_quotas")
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("quota", "integer", (c) => c.notNull())
        .addPrimaryKeyConstraint("lic_quotas_key", ["department", "license"] as never)
        .execute();
    },
  },
];
