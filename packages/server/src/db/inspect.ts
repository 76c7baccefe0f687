/**
 * Purpose: looks at a store beside a running server, or without one (`daicho doctor`).
 * Invariants: writes nothing, not even a migration; a store that cannot be read is an answer, not an exception.
 */
import { Kysely, PostgresDialect, SqliteDialect, sql } from "kysely";
import pg from "pg";
import { rootOf, verifyDocument, type DocumentRefusal } from "@daicho/protocol";
import type { ServerConfig } from "../config.ts";
import { accessStore } from "../modules/access/store.ts";
import { policyStore } from "../modules/policies/store.ts";
import { migrations } from "./migrations.ts";
import type { Schema } from "./schema.ts";
import { Sqlite, sqliteFile } from "./sqlite.ts";

export interface StoreReport {
  readonly dialect: "sqlite" | "postgres";
  /** Why it cannot be read; everything below is absent then. */
  readonly unusable?: string;
  /** What SQLite says of the file's structure where it is damaged. */
  readonly damage?: string;
  /** Migrations that a start would apply, and ones that a newer version has applied. */
  readonly pending: readonly string[];
  readonly unknown: readonly string[];
  /** The newest dictionary and whether it verifies under the server's root; undefined where there is none yet. */
  readonly dictionary?: { readonly version: number; readonly refusal?: DocumentRefusal };
}

export async function inspectStore(config: Pick<ServerConfig, "database" | "name">): Promise<StoreReport> {
  const dialect = config.database.startsWith("sqlite:") ? "sqlite" : "postgres";
  const nothing = { dialect, pending: [], unknown: [] } as const;
  let db: Kysely<Schema> | undefined;
  try {
    db = dialect === "sqlite" ? readSqlite(config.database) : readPostgres(config.database);
    const applied = await db.selectFrom("schema_migrations").select("name").execute();
    const names = new Set(applied.map((row) => row.name));
    const pending = migrations.map((m) => m.name).filter((name) => !names.has(name));
    const unknown = [...names].filter((name) => !migrations.some((m) => m.name === name));
    const damage = dialect === "sqlite" ? await sqliteDamage(db) : undefined;
    // A store of another version may have other columns.
    const dictionary = pending.length + unknown.length > 0 ? undefined : await newestDictionary(db, config.name);
    return { dialect, pending, unknown, ...(damage !== undefined && { damage }), ...(dictionary && { dictionary }) };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { ...nothing, unusable: typeof code === "string" ? code : String(message).slice(0, 200) };
  } finally {
    await db?.destroy();
  }
}

function readSqlite(url: string): Kysely<Schema> {
  const database = new Sqlite(sqliteFile(url), { readonly: true, fileMustExist: true });
  return new Kysely<Schema>({ dialect: new SqliteDialect({ database }) });
}

function readPostgres(url: string): Kysely<Schema> {
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 10_000 });
  pool.on("error", () => undefined);
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

async function sqliteDamage(db: Kysely<Schema>): Promise<string | undefined> {
  const { rows } = await sql<{ quick_check: string }>`pragma quick_check(1)`.execute(db);
  const said = rows[0]?.quick_check ?? "no answer";
  return said === "ok" ? undefined : said.slice(0, 200);
}

async function newestDictionary(db: Kysely<Schema>, company: string): Promise<StoreReport["dictionary"]> {
  const row = await policyStore.newestDictionary(db);
  if (row === undefined) return undefined;
  const key = await accessStore.findKey(db, "root");
  if (key === undefined) return { version: Number(row.version), refusal: "document-unknown-key" };
  const verified = verifyDocument(parse(row.signed), "dictionary/v1", rootOf(company, { publicKey: key.public_key }));
  return { version: Number(row.version), ...(!verified.ok && { refusal: verified.refusal }) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
