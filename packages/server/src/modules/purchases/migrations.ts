import { sql } from "kysely";
import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const purchaseMigrations: readonly Migration[] = [
  {
    name: "202611220900-purchases",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("pur_runs")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("period", "text", (c) => c.notNull())
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("idempotency", "text", (c) => c.unique())
        .addColumn("report", "text", (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      // The last word on "never two orders for a period"; a reversed run leaves its period free.
      await sql`create unique index pur_runs_period on pur_runs (period) where state <> 'reversed'`.execute(db);
      await db.schema
        .createTable("pur_orders")
        .addColumn("run", "text", (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("order_no", "text", (c) => c.notNull().unique())
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("unit_price", int, (c) => c.notNull())
        .addColumn("amount", int, (c) => c.notNull())
        .addColumn("currency", "text", (c) => c.notNull())
        .addColumn("entitlement", "text", (c) => c.notNull())
        .addColumn("supplier_order", "text")
        .addPrimaryKeyConstraint("pur_orders_key", ["run", "license"] as never)
        .execute();
      await db.schema
        .createTable("pur_chargebacks")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("run", "text", (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("department_code", "text", (c) => c.notNull())
        .addColumn("cost_centre", "text")
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("amount", int, (c) => c.notNull())
        .addColumn("currency", "text", (c) => c.notNull())
        .execute();
      await db.schema.createIndex("pur_chargebacks_run").on("pur_chargebacks").columns(["run", "id"]).execute();
      await db.schema
        .createTable("pur_rights")
        .addColumn("run", "text", (c) => c.notNull())
        .addColumn("place", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("department_code", "text", (c) => c.notNull())
        .addColumn("rights_before", int, (c) => c.notNull())
        .addColumn("rights_after", int, (c) => c.notNull())
        .addColumn("requested_before", int, (c) => c.notNull())
        .addColumn("requested_after", int, (c) => c.notNull())
        .addPrimaryKeyConstraint("pur_rights_key", ["run", "place"] as never)
        .execute();
      await db.schema
        .createTable("pur_schedule")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("seen_at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611220960-purchases-packs",
    async up(db) {
      await db.schema
        .alterTable("pur_orders")
        .addColumn("pack_size", "integer", (c) => c.notNull().defaultTo(1))
        .execute();
    },
  },
  {
    name: "202611230105-purchases-follow",
    async up(db) {
      await db.schema.createIndex("pur_rights_department").on("pur_rights").column("department").execute();
      // What was merged or dissolved before: whoever stands at the end of the line has its rights.
      const { rows } = await sql<{ ordinal: number; merged_into: number }>`
        select ordinal, merged_into from org_departments where dissolved_at is not null and merged_into is not null
      `.execute(db);
      const heirs = new Map(rows.map((row) => [Number(row.ordinal), Number(row.merged_into)]));
      for (const former of heirs.keys()) {
        let heir = former;
        for (let steps = 0; steps <= heirs.size && heirs.has(heir); steps++) heir = heirs.get(heir) as number;
        await sql`
          update pur_rights set department = ${heir}
          where department = ${former} and run in (select id from pur_runs where state = 'done')
        `.execute(db);
      }
    },
  },
  {
    name: "202611301900-purchases-rights-moved",
    async up(db, dialect) {
      const int = ordinalType(dialect);
      await db.schema
        .createTable("pur_rights_moved")
        .addColumn("run", "text", (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("rights", int, (c) => c.notNull())
        .execute();
      await db.schema.createIndex("pur_rights_moved_run").on("pur_rights_moved").column("run").execute();
      await db.schema.createIndex("pur_rights_moved_department").on("pur_rights_moved").column("department").execute();
    },
  },
];
