/**
 * Purpose: the same store suite on every store. `forEachStore` runs the given suite on SQLite and on PostgreSQL. It never skips. What it
 * is given are copies of the empty, migrated databases that setup.ts made: migrating one takes longer than most tests.
 */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe } from "vitest";
import { silentLog, systemClock, type Clock } from "@daicho/kernel";
import { openDatabase, type Database } from "../db/database.ts";

export interface TestStore {
  readonly name: "sqlite" | "postgres";
  /** An empty database; closed and removed after the suite. */
  open(clock?: Clock): Promise<Database>;
  /** The `database` setting of an empty database. */
  url(): Promise<string>;
}

export function forEachStore(suite: (store: TestStore) => void): void {
  onSqlite(suite);
  onPostgres(suite);
}

/** What no store has a say in. */
export function onSqlite(suite: (store: TestStore) => void): void {
  describe("on SQLite", () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    const url = (): Promise<string> => {
      const dir = mkdtempSync(join(tmpdir(), "daicho-store-"));
      cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
      const file = join(dir, "daicho.db");
      copyFileSync(made("DAICHO_TEST_SQLITE_TEMPLATE"), file);
      return Promise.resolve(`sqlite:${file}`);
    };
    suite(store("sqlite", url, cleanups));
    afterAll(() => runAll(cleanups));
  });
}

/** What only PostgreSQL can do: several servers on one database. */
export function onPostgres(suite: (store: TestStore) => void): void {
  describe("on PostgreSQL", () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    const names: string[] = [];
    const base = made("DAICHO_TEST_POSTGRES");
    const template = made("DAICHO_TEST_POSTGRES_TEMPLATE");
    let count = 0;
    const url = async (): Promise<string> => {
      const name = `daicho_test_${process.pid}_${Date.now()}_${++count}`;
      names.push(name);
      // What a test commits need not outlive the machine.
      await execute(
        base,
        `create database ${name} template ${template}`,
        `alter database ${name} set synchronous_commit = off`,
      );
      const at = new URL(base);
      at.pathname = `/${name}`;
      return at.toString();
    };
    suite(store("postgres", url, cleanups));
    // Each drop waits for a checkpoint of the whole server; together they share it. On a busy machine that is minutes of waiting all the same.
    afterAll(async () => {
      await runAll(cleanups);
      const drop = (name: string): Promise<void> => execute(base, `drop database if exists ${name} with (force)`);
      while (names.length > 0) await Promise.all(names.splice(0, 8).map(drop));
    }, 600_000);
  });
}

function store(
  name: TestStore["name"],
  url: () => Promise<string>,
  cleanups: (() => Promise<void> | void)[],
): TestStore {
  return {
    name,
    url,
    async open(clock = systemClock) {
      const db = await openDatabase({ url: await url(), clock, log: silentLog });
      cleanups.push(() => db.close());
      return db;
    },
  };
}

async function runAll(cleanups: (() => Promise<void> | void)[]): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** What setup.ts found or made. */
function made(name: string): string {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`no ${name}: run the tests by vitest with the configuration of this repository`);
  return value;
}

export async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000 });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
