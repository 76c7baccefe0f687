import type { Migration } from "../../db/migrations.ts";
import { columnTypes, ordinalType } from "../../db/dialect.ts";
import { sumWith } from "./register.ts";
import { applicationStore } from "./store.ts";

export const applicationMigrations: readonly Migration[] = [
  {
    name: "202611221001-applications",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      const int = ordinalType(dialect);
      await db.schema
        .createTable("app_applications")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("idempotency", "text", (c) => c.unique())
        .addColumn("content", "text", (c) => c.notNull())
        .addColumn("signature", "text", (c) => c.notNull())
        .addColumn("department", int, (c) => c.notNull())
        .addColumn("license", int, (c) => c.notNull())
        .addColumn("quantity", "integer", (c) => c.notNull())
        .addColumn("applicant", "text")
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("filed_at", time, (c) => c.notNull())
        .addColumn("waiting_for", "text")
        .addColumn("approved_at", time)
        .addColumn("closed_at", time)
        .addColumn("withdrawal", "text")
        .addColumn("requested", "integer", (c) => c.notNull())
        .addColumn("granted", "integer", (c) => c.notNull())
        .addColumn("from_idle", "text")
        .addColumn("seal", "text", (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex("app_applications_place")
        .on("app_applications")
        .columns(["department", "license", "state"])
        .execute();
      await db.schema.createIndex("app_applications_state").on("app_applications").columns(["state", "id"]).execute();
      await db.schema.createIndex("app_applications_applicant").on("app_applications").column("applicant").execute();
      await db.schema.createIndex("app_applications_waiting").on("app_applications").column("waiting_for").execute();
      await db.schema
        .createTable("app_steps")
        .addColumn("application", "text", (c) => c.notNull())
        .addColumn("place", "integer", (c) => c.notNull())
        .addColumn("department", int)
        .addColumn("approver", "text")
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("decided_at", time)
        .addColumn("decided_by", "text")
        .addColumn("on_behalf", "integer", (c) => c.notNull())
        .addColumn("comment", "text")
        .addColumn("signature", "text")
        .addPrimaryKeyConstraint("app_steps_key", ["application", "place"] as never)
        .execute();
      await db.schema.createIndex("app_steps_approver").on("app_steps").columns(["state", "approver"]).execute();
      await db.schema
        .createTable("app_grants")
        .addColumn("application", "text", (c) => c.notNull())
        .addColumn("source", "text", (c) => c.notNull())
        .addColumn("quantity", "integer", (c) => c.notNull())
        .addColumn("at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("app_grants_key", ["application", "source"] as never)
        .execute();
      await db.schema.createIndex("app_grants_source").on("app_grants").column("source").execute();
      await db.schema
        .createTable("app_budgets")
        .addColumn("cost_centre", "text", (c) => c.notNull())
        .addColumn("period", "text", (c) => c.notNull())
        .addColumn("amount", int, (c) => c.notNull())
        .addColumn("currency", "text", (c) => c.notNull())
        .addColumn("changed_at", time, (c) => c.notNull())
        .addPrimaryKeyConstraint("app_budgets_key", ["cost_centre", "period"] as never)
        .execute();
    },
  },
  {
    name: "202611301810-application-register",
    async up(db) {
      await db.schema
        .createTable("app_register")
        .addColumn("id", "integer", (c) => c.primaryKey())
        .addColumn("applications", "integer", (c) => c.notNull())
        .addColumn("sum", "text", (c) => c.notNull())
        .addColumn("seal", "text", (c) => c.notNull())
        .execute();
      const seals = (await applicationStore.allSeals(db)).map(({ seal }) => seal);
      await db
        .insertInto("app_register")
        .values({ id: 1, applications: seals.length, sum: sumWith("0", seals), seal: "" })
        .execute();
    },
  },
];
