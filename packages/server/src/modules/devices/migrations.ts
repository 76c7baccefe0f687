import { sql } from "kysely";
import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const deviceMigrations: readonly Migration[] = [
  {
    name: "202611210300-devices",
    async up(db, dialect) {
      const { time, ordinal } = columnTypes(dialect);
      await db.schema
        .createTable("dev_devices")
        .addColumn("ordinal", ordinalType(dialect), ordinal)
        .addColumn("id", "text", (c) => c.notNull().unique())
        .addColumn("hostname", "text", (c) => c.notNull())
        .addColumn("serial", "text")
        .addColumn("employee", ordinalType(dialect))
        .addColumn("department", ordinalType(dialect))
        .addColumn("manager", "text")
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("origin", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex("dev_devices_serial")
        .on("dev_devices")
        .column("serial")
        .where("serial", "is not", null)
        .execute();
      await db.schema
        .createIndex("dev_devices_employee")
        .on("dev_devices")
        .column("employee")
        .where("employee", "is not", null)
        .execute();
      await db.schema
        .createIndex("dev_devices_department")
        .on("dev_devices")
        .column("department")
        .where("department", "is not", null)
        .execute();
    },
  },
  {
    name: "202611220300-devices-order",
    async up(db, dialect) {
      // Lists are ordered by bytes (http/page.ts), which PostgreSQL's own indexes are not.
      const collate = sql.raw(dialect === "postgres" ? ` collate "C"` : "");
      if (dialect === "postgres") await sql`create index dev_devices_by_id on dev_devices (id${collate})`.execute(db);
      await sql`create index dev_devices_by_hostname on dev_devices (hostname${collate}, id${collate})`.execute(db);
    },
  },
  {
    name: "202611302200-devices-split-off",
    async up(db, dialect) {
      await db.schema.alterTable("dev_devices").addColumn("split_from", ordinalType(dialect)).execute();
    },
  },
];
