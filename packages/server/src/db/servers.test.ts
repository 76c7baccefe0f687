/** Several servers on one database: what they tell each other, and what becomes of it when a connection is cut (db/servers.ts). */
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { manualClock, silentLog, type Log, type ManualClock } from "@daicho/kernel";
import { onPostgres } from "../testing/stores.ts";
import { openDatabase, type Database } from "./database.ts";
import { openServers, tellWithin, type Servers } from "./servers.ts";

interface Opened {
  readonly db: Database;
  readonly servers: Servers;
  readonly clock: ManualClock;
  readonly heard: string[];
  readonly events: string[];
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await soon();
}

onPostgres((store) => {
  describe("servers of one database", () => {
    const opened: Opened[] = [];
    const open = async (url: string): Promise<Opened> => {
      const clock = manualClock(0);
      const events: string[] = [];
      const log: Log = { ...silentLog, warn: (event) => void events.push(event) };
      const db = await openDatabase({ url, clock, log });
      const servers = await openServers({ db, url, clock, log });
      const heard: string[] = [];
      for (const what of ["policies", "revision", "missed"] as const) servers.hear(what, () => void heard.push(what));
      const one = { db, servers, clock, heard, events };
      opened.push(one);
      return one;
    };
    afterEach(async () => {
      for (const { servers, db } of opened.splice(0)) {
        await servers.stop();
        await db.close();
      }
    });

    /** As a network or an operator would: every connection that hears. */
    const cut = async (url: string): Promise<void> => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'daicho_servers %'",
      );
      await client.end();
    };

    it("what is told while a connection is cut was missed, and whoever missed it hears so when it is back", async () => {
      const url = await store.url();
      const [a, b] = [await open(url), await open(url)];
      await a.db.transaction((trx) => tellWithin(a.db, trx, "policies"));
      await until(() => [a, b].every(({ heard }) => heard.includes("policies")));

      a.heard.length = b.heard.length = 0;
      await cut(url);
      await until(() => [a, b].every(({ events }) => events.includes("notifications-lost")));
      a.clock.advance(100);
      await until(() => a.heard.includes("missed"));
      await a.db.transaction((trx) => tellWithin(a.db, trx, "policies"));
      await until(() => a.heard.includes("policies"));
      expect(b.heard).toEqual([]);

      b.clock.advance(100);
      await until(() => b.heard.length > 0);
      expect(b.heard).toEqual(["missed"]);
      await a.db.transaction((trx) => tellWithin(a.db, trx, "revision"));
      await until(() => b.heard.length > 1);
      expect(b.heard).toEqual(["missed", "revision"]);
    });

    it("duty ends with the connection that has it, and passes on", async () => {
      const url = await store.url();
      const [a, b] = [await open(url), await open(url)];
      expect([a.servers.onDuty, b.servers.onDuty]).toEqual([true, false]);
      await cut(url);
      await until(() => [a, b].every(({ events }) => events.includes("notifications-lost")));
      expect([a.servers.onDuty, b.servers.onDuty]).toEqual([false, false]);
      b.clock.advance(100);
      await until(() => b.servers.onDuty);
      a.clock.advance(100);
      await until(() => a.heard.includes("missed"));
      a.clock.advance(3000);
      await soon();
      expect([a.servers.onDuty, b.servers.onDuty]).toEqual([false, true]);
      await b.servers.stop();
      await until(async () => {
        a.clock.advance(3000);
        await soon();
        return a.servers.onDuty;
      });
    });
  });
});
