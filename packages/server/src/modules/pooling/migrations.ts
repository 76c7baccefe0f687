import { sql } from "kysely";
import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";

export const poolingMigrations: readonly Migration[] = [
  {
    name: "202611220950-pooling",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("pool_tiers")
        .addColumn("license", "text", (c) => c.primaryKey())
        .addColumn("currency", "text", (c) => c.notNull())
        .addColumn("tiers", "text", (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("pool_orders")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("period", "text", (c) => c.notNull())
        .addColumn("license", "text", (c) => c.notNull())
        .addColumn("order_no", "text", (c) => c.notNull().unique())
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("unit_price", int, (c) => c.notNull())
        .addColumn("amount", int, (c) => c.notNull())
        .addColumn("currency", "text", (c) => c.notNull())
        .addColumn("alone", int, (c) => c.notNull())
        .addColumn("saving", int, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .execute();
      // The last word on "one order per period and licence".
      await db.schema
        .createIndex("pool_orders_period")
        .unique()
        .on("pool_orders")
        .columns(["period", "license"])
        .execute();
      await db.schema
        .createTable("pool_grants")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("order_id", "text", (c) => c.notNull())
        .addColumn("company", "text", (c) => c.notNull())
        .addColumn("metric", "text", (c) => c.notNull())
        .addColumn("quantity", int, (c) => c.notNull())
        .addColumn("amount", int, (c) => c.notNull())
        .addColumn("alone", int, (c) => c.notNull())
        .addColumn("saving", int, (c) => c.notNull())
        .addColumn("booked_version", int)
        .execute();
      await db.schema.createIndex("pool_grants_order").on("pool_grants").column("order_id").execute();
      await db.schema.createIndex("pool_grants_company").on("pool_grants").columns(["company", "id"]).execute();
      await db.schema
        .createTable("pool_booked")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("entitlement", "text", (c) => c.notNull())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611230105-pooling-reversal",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .alterTable("pool_orders")
        .addColumn("state", "text", (c) => c.notNull().defaultTo("done"))
        .execute();
      for (const column of ["supplier_order", "idempotency"])
        await db.schema.alterTable("pool_orders").addColumn(column, "text").execute();
      await db.schema.dropIndex("pool_orders_period").execute();
      // The last word on "one order per period and licence"; a reversed one leaves its period free.
      await sql`create unique index pool_orders_period on pool_orders (period, license) where state <> 'reversed'`.execute(
        db,
      );
      await db.schema.alterTable("pool_grants").addColumn("reversal_id", "text").execute();
      await db.schema.alterTable("pool_grants").addColumn("reversal_version", int).execute();
      await db.schema
        .createTable("pool_reversed")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("part", "text", (c) => c.notNull().unique())
        .addColumn("version", int, (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .execute();
    },
  },
  {
    name: "202611301720-pooling-word",
    async up(db, dialect) {
      await db.schema
        .createTable("pool_word")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("pooled", "text", (c) => c.notNull())
        .addColumn("count", ordinalType(dialect), (c) => c.notNull())
        .execute();
    },
  },
];
