/**
 * Purpose: opens the store - SQLite file or PostgreSQL - brings its schema up to date and hands out transactions.
 * Invariants: SQLite runs in WAL mode with synchronous=FULL, so a commit that was acknowledged survives power loss; migrations run in
 * one explicit order, under a lock on PostgreSQL, and a database made by a newer version is refused, not touched.
 */
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Kysely, PostgresDialect, SqliteDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { isDaichoError, type Clock, type Log } from "@daicho/kernel";
import { serverErrors } from "../errors.ts";
import { createUpkeep } from "./upkeep.ts";
import { preparingStatements } from "./prepared.ts";
import { postgresBulk, sqliteBulk, type Bulk, type DialectName } from "./dialect.ts";
import { migrations } from "./migrations.ts";
import type { Schema } from "./schema.ts";
import { keepingStatements, Sqlite, type SqliteDatabase, sqliteFile } from "./sqlite.ts";

export type Trx = Transaction<Schema>;

export interface Database {
  readonly kysely: Kysely<Schema>;
  readonly dialect: DialectName;
  readonly bulk: Bulk<Schema>;
  /** One transaction; on PostgreSQL READ COMMITTED, repeated when it was the victim of a deadlock. */
  transaction<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /**
   * Reads that must belong together: everything `work` reads is true for one moment. It waits for no writer, and no writer for it (SQLite:
   * a read connection of its own; PostgreSQL: REPEATABLE READ, read only). Writing inside fails.
   */
  snapshot<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /** One statement, by itself: what was committed before it began. It waits for no writer. */
  latest<T>(ask: (from: Kysely<Schema> | Trx) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** @throws database-unusable, schema-newer */
export async function openDatabase(options: {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Database> {
  const opened = options.url.startsWith("sqlite:") ? openSqlite(options.url) : openPostgres(options.url, options.log);
  try {
    await migrate(opened.kysely, opened.dialect, options.clock);
  } catch (error) {
    await opened.close();
    if (isDaichoError(error)) throw error;
    throw serverErrors.make("database-unusable", { reason: reasonOf(error) }, { cause: error });
  }
  return {
    ...opened,
    async transaction(work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await opened.kysely.transaction().execute(work);
        } catch (error) {
          const code = (error as { code?: string }).code;
          // 40P01 deadlock, 40001 serialisation: nothing was done, and doing it again is right.
          if ((code !== "40P01" && code !== "40001") || attempt === 5) throw error;
        }
      }
    },
  };
}

type Opened = Omit<Database, "transaction">;

function openSqlite(url: string): Opened {
  const file = sqliteFile(url);
  let database: SqliteDatabase;
  try {
    if (file !== ":memory:") mkdirSync(dirname(resolve(file)), { recursive: true });
    database = new Sqlite(file);
    // Takes effect on a new file only. A device's state is about 1.4 KB: two would fill a page of 4 KB and leave a third of it empty.
    database.pragma("page_size = 8192");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    database.pragma("busy_timeout = 5000");
    database.pragma("cache_size = -65536");
  } catch (error) {
    throw serverErrors.make("database-unusable", { reason: reasonOf(error) }, { cause: error });
  }
  const kysely = new Kysely<Schema>({
    dialect: new SqliteDialect({ database: keepingStatements(database, "begin immediate") }),
  });
  const readers = sqliteReaders(file);
  // A database in memory belongs to its one connection.
  const snapshot: Opened["snapshot"] = (work) =>
    file === ":memory:" ? kysely.transaction().execute(work) : readers.use(work);
  return {
    kysely,
    dialect: "sqlite",
    bulk: sqliteBulk<Schema>(database),
    snapshot,
    // The writer's connection may be busy, a reader's is not.
    latest: snapshot,
    async close() {
      await readers.close();
      await kysely.destroy();
    },
  };
}

/** Read connections, made when needed and a few kept: in WAL mode each sees the last commit before its transaction began. */
function sqliteReaders(file: string): { use: Opened["snapshot"]; close(): Promise<void> } {
  const idle: Kysely<Schema>[] = [];
  let closed = false;
  return {
    async use(work) {
      const reader =
        idle.pop() ??
        new Kysely<Schema>({
          dialect: new SqliteDialect({
            database: keepingStatements(new Sqlite(file, { readonly: true, fileMustExist: true })),
          }),
        });
      try {
        return await reader.transaction().execute(work);
      } finally {
        if (closed || idle.length >= 4) await reader.destroy();
        else idle.push(reader);
      }
    },
    async close() {
      closed = true;
      for (const reader of idle.splice(0)) await reader.destroy();
    },
  };
}

function openPostgres(url: string, log: Log): Opened {
  // bigint columns hold times and ordinals, all below 2^53.
  const types = {
    getTypeParser: ((oid: number, format: "text" | "binary") =>
      oid === 20 && format !== "binary"
        ? Number
        : (pg.types.getTypeParser as (o: number, f: string) => unknown)(
            oid,
            format ?? "text",
          )) as typeof pg.types.getTypeParser,
  };
  const pool = new pg.Pool({ connectionString: url, max: 8, types, connectionTimeoutMillis: 10_000 });
  // Without listeners the loss of a connection would end the process: one that is idle, and one that is in a transaction but between two statements,
  // whose next statement then fails by itself.
  const lost = (error: unknown): void => log.warn("database-connection-lost", { reason: reasonOf(error) });
  pool.on("error", lost);
  pool.on("connect", (client) => client.on("error", lost));
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: preparingStatements(pool) }) });
  const upkeep = createUpkeep({ kysely, log });
  return {
    kysely,
    dialect: "postgres",
    bulk: postgresBulk<Schema>(upkeep.changed),
    snapshot: (work) =>
      kysely.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(work),
    latest: (ask) => ask(kysely),
    async close() {
      await upkeep.stop();
      await kysely.destroy();
    },
  };
}

async function migrate(kysely: Kysely<Schema>, dialect: DialectName, clock: Clock): Promise<void> {
  await kysely.transaction().execute(async (trx) => {
    if (dialect === "postgres") await sql`select pg_advisory_xact_lock(7400, 1)`.execute(trx);
    await sql`create table if not exists schema_migrations (name text primary key, applied_at bigint not null)`.execute(
      trx,
    );
    const applied = new Set(
      (await trx.selectFrom("schema_migrations").select("name").execute()).map((row) => row.name),
    );
    const known = new Set(migrations.map((m) => m.name));
    for (const name of applied) if (!known.has(name)) throw serverErrors.make("schema-newer", { migration: name });
    for (const migration of migrations) {
      if (applied.has(migration.name)) continue;
      await migration.up(trx as never, dialect);
      await trx.insertInto("schema_migrations").values({ name: migration.name, applied_at: clock.now() }).execute();
    }
  });
}

function reasonOf(error: unknown): string {
  return (error as { code?: string }).code ?? (error instanceof Error ? error.message : "unknown");
}

/**
 * Why the database cannot be reached, where that is what the error says: shut down or starting (57P01-57P03), too many connections (53300), class 08, or
 * the socket's own codes. Undefined for every other error.
 */
export function connectionLoss(error: unknown): string | undefined {
  const { code, message = "" } = error as { code?: unknown; message?: string };
  if (typeof code === "string" && /^(57P0[1-3]|53300|08...|ECONN(RESET|REFUSED)|EPIPE|ETIMEDOUT|ENOTFOUND)$/.test(code))
    return code;
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
    message,
  )
    ? "connection lost"
    : undefined;
}
