import type { Migration } from "../../db/migrations.ts";
import { columnTypes } from "../../db/dialect.ts";

export const accessMigrations: readonly Migration[] = [
  {
    name: "202611210100-access-keys-and-tokens",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("access_keys")
        .addColumn("name", "text", (c) => c.primaryKey())
        .addColumn("public_key", "text", (c) => c.notNull())
        .addColumn("private_key", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("access_api_tokens")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("role", "text", (c) => c.notNull())
        .addColumn("secret_hash", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("expires_at", time)
        .addColumn("revoked_at", time)
        .execute();
      await db.schema
        .createTable("access_enrollment_tokens")
        .addColumn("id", "text", (c) => c.primaryKey())
        .addColumn("secret_hash", "text", (c) => c.notNull().unique())
        .addColumn("department", "text")
        .addColumn("uses_left", "integer")
        .addColumn("used", "integer", (c) => c.notNull().defaultTo(0))
        .addColumn("created_at", time, (c) => c.notNull())
        .addColumn("expires_at", time)
        .addColumn("revoked_at", time)
        .execute();
    },
  },
  {
    name: "202611220601-access-token-employee",
    async up(db) {
      await db.schema.alterTable("access_api_tokens").addColumn("employee", "text").execute();
    },
  },
  {
    name: "202611301800-access-idempotency-keys",
    async up(db, dialect) {
      const { time } = columnTypes(dialect);
      await db.schema
        .createTable("access_idempotency_keys")
        .addColumn("name", "text", (c) => c.primaryKey())
        .addColumn("body", "text", (c) => c.notNull())
        .addColumn("created_at", time, (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex("access_idempotency_keys_created")
        .on("access_idempotency_keys")
        .column("created_at")
        .execute();
    },
  },
];
