/**
 * Purpose: the same store suite on every store. `forEachStore` runs the given suite on SQLite and on PostgreSQL (which one: postgres.ts).
 * It never skips.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe } from "vitest";
import { silentLog, systemClock, type Clock } from "@daicho/kernel";
import { openDatabase, type Database } from "../db/database.ts";

export interface TestStore {
  readonly name: "sqlite" | "postgres";
  /** An empty, migrated database; closed and removed after the suite. */
  open(clock?: Clock): Promise<Database>;
  /** The `database` setting of an empty database. */
  url(): Promise<string>;
}

export function forEachStore(suite: (store: TestStore) => void): void {
  onSqlite(suite);
  onPostgres(suite);
}

function onSqlite(suite: (store: TestStore) => void): void {
  describe("on SQLite", () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    const url = (): Promise<string> => {
      const dir = mkdtempSync(join(tmpdir(), "daicho-store-"));
      cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
      return Promise.resolve(`sqlite:${join(dir, "daicho.db")}`);
    };
    suite(store("sqlite", url, cleanups));
    afterAll(() => runAll(cleanups), 60_000);
  });
}

/** What only PostgreSQL can do: several servers on one database. */
export function onPostgres(suite: (store: TestStore) => void): void {
  describe("on PostgreSQL", () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    const base = postgres();
    let count = 0;
    const url = async (): Promise<string> => {
      const name = `daicho_test_${process.pid}_${Date.now()}_${++count}`;
      await execute(base, `create database ${name}`);
      cleanups.push(() => execute(base, `drop database if exists ${name} with (force)`));
      const at = new URL(base);
      at.pathname = `/${name}`;
      return at.toString();
    };
    suite(store("postgres", url, cleanups));
    afterAll(() => runAll(cleanups), 60_000);
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

/** What the run's setup (postgres.ts) found or started. */
function postgres(): string {
  const url = process.env["DAICHO_TEST_POSTGRES"];
  if (url === undefined)
    throw new Error("no PostgreSQL: run the tests by vitest with the configuration of this repository");
  return url;
}

async function execute(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
