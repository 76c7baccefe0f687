import { sql } from "kysely";
import type { Migration } from "../../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../../db/dialect.ts";

export const handOverMigrations: readonly Migration[] = [
  {
    name: "202611220610-devices-hand-overs",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("dev_handovers")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("device", int, (c) => c.notNull())
        .addColumn("employee", int, (c) => c.notNull())
        .addColumn("since", time, (c) => c.notNull())
        .addColumn("done_at", time)
        .addColumn("done_to", "text")
        .execute();
      await sql`create unique index dev_handovers_open on dev_handovers (device) where done_at is null`.execute(db);
      await db.schema.createIndex("dev_handovers_employee").on("dev_handovers").column("employee").execute();
    },
  },
];
