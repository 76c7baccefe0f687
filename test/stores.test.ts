/**
 * Purpose: both stores give the same answers, through real processes: the same devices through the same chain on SQLite and on PostgreSQL, and a
 * server that is killed while a load comes in.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { expectReconciled, usedAt, usedAtGroup } from "./harness/checks.ts";
import type { FleetDevice } from "./harness/fleet.ts";
import { countOf, policy, someTitles } from "./harness/made-up.ts";
import { daicho } from "./harness/processes.ts";
import { createChance } from "./harness/random.ts";
import { pause, until, untilEqual } from "./harness/until.ts";
import { createChain, untilHeld, untilStored, type Chain } from "./harness/world.ts";

interface PhaseFigures {
  readonly phase: string;
  readonly stored: number;
  readonly duplicates: number;
  readonly lost: number;
}

/** What each store answered; compared when both have. */
const answers = new Map<string, unknown>();

forEachStore((store) => {
  describe(`group, company and relays on ${store.name}`, { sequential: true, timeout: 150_000 }, () => {
    let chain: Chain;
    let database: string;
    /** Devices of the loads before. */
    const loaded = store.name === "postgres" ? 300 : 0;
    beforeAll(async () => {
      chain = await createChain({
        policy: policy(1),
        databases: { group: await store.url(), acme: (database = await store.url()) },
      });
    }, 180_000);
    afterAll(() => chain?.close());

    it("gives the positions that a recount gives, and the same as the other store", async () => {
      const { acme, group, fleet, relays } = chain;
      // The same devices on every store.
      const chance = createChance(4711);
      for (let index = 0; index < 4; index++) await chain.addDevice(relays[index % 3]?.url ?? "", `pc${index}`);
      for (let round = 0; round < 12; round++) chance.pick<FleetDevice>(fleet).change(someTitles(chance));
      for (const device of fleet) device.change(someTitles(chance));
      await untilStored(fleet);
      for (const device of fleet) await untilHeld(acme, device.id, device.titles);
      const counts = countOf(fleet.map(({ titles }) => titles));
      await untilEqual("the company's counts", counts, () => usedAt(acme));
      await untilEqual("the group's counts", counts, () => usedAtGroup(group, "acme"));
      const imports = [
        ["departments", "code,name\nD1,One\nD2,Two\n"],
        ["employees", "id,name,department\nE1,Hanako,D1\nE2,Taro,D2\n"],
        ["devices", `id,employee\n${fleet[0]?.id},E1\n${fleet[1]?.id},E2\n`],
        ["entitlements", "license,metric,quantity\n@P03,device,2\n@P07,device,1\n"],
        ["rights", "department,license,rights\nD1,@P03,1\nD2,@P05,2\n"],
      ] as const;
      for (const [kind, text] of imports) {
        const { code, stderr } = await acme.run("import", kind, chain.site.write(`${kind}.csv`, text));
        expect({ kind, code, stderr: code === 0 ? "" : stderr }).toEqual({ kind, code: 0, stderr: "" });
      }
      await expectReconciled(acme);
      const itemsOf = async (path: string): Promise<unknown> => (await acme.api.get<{ items: unknown }>(path)).items;
      const company = await itemsOf("/api/v1/positions");
      await untilEqual(
        "the company's position at the group",
        company,
        async () => (await group.api.get<{ items: unknown }>("/api/v1/companies/acme/positions")).items,
      );
      answers.set(store.name, { company, departments: await itemsOf("/api/v1/positions/departments") });
      const [first, ...others] = [...answers.values()];
      for (const other of others) expect(other).toEqual(first);
    });

    if (store.name === "postgres")
      it("loses nothing when the database ends every transaction in its middle, again and again", async () => {
        const { acme } = chain;
        const token = await acme.enrollmentToken();
        const running = daicho([
          ...["simulate", "--upstream", acme.url, "--enrollment-token", token, "--devices", "300", "--titles", "120"],
          ...["--phases", "new,changed,changed,same", "--concurrency", "4", "--batch", "8", "--seed", "db", "--json"],
        ]);
        let over = false;
        void running.finally(() => (over = true));
        const chance = createChance(1905);
        let ended = 0;
        const admin = new pg.Client({ connectionString: database });
        await admin.connect();
        while (!over) {
          await pause(chance.whole(400));
          const { rowCount } = await admin.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`,
          );
          ended += rowCount ?? 0;
        }
        await admin.end();
        expect(ended).toBeGreaterThan(5);
        const { code, stdout, stderr } = await running;
        expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
        for (const figures of (JSON.parse(stdout) as { phases: PhaseFigures[] }).phases) {
          expect(figures).toMatchObject({ lost: 0 });
          expect(figures.stored + figures.duplicates).toBeGreaterThanOrEqual(300);
        }
        expect((await acme.api.list("/api/v1/devices?limit=1000&fields=id")).length).toBe(300 + chain.fleet.length);
        await expectReconciled(acme);
        for (const device of chain.fleet) await untilHeld(acme, device.id, device.titles);
      });

    it("stores every report of a load during which the server is killed, and takes the same load again", async () => {
      const { acme } = chain;
      const token = await acme.enrollmentToken();
      const load = (phases: string): ReturnType<typeof daicho> =>
        daicho([
          ...["simulate", "--upstream", acme.url, "--enrollment-token", token, "--devices", "600", "--titles", "120"],
          ...["--phases", phases, "--concurrency", "4", "--batch", "8", "--seed", "kill", "--json"],
        ]);
      const count = async (): Promise<number> =>
        (await acme.api.list<{ hostname?: string }>("/api/v1/devices?limit=1000")).length;
      const running = load("new,changed,changed,same");
      for (const least of [100, 500]) {
        await until("devices to arrive", async () => (await count()) > loaded + least, { everyMs: 20 });
        await pause(createChance(least).whole(300));
        await acme.process.kill();
        await acme.process.start();
      }
      const first = await running;
      expect(first).toMatchObject({ code: 0 });
      expect(await count()).toBe(loaded + 600 + chain.fleet.length);
      await expectReconciled(acme);

      const again = await load("new,same");
      expect(again).toMatchObject({ code: 0 });
      for (const result of [first, again])
        for (const figures of (JSON.parse(result.stdout) as { phases: PhaseFigures[] }).phases) {
          expect(figures).toMatchObject({ lost: 0 });
          expect(figures.stored + figures.duplicates).toBeGreaterThanOrEqual(600);
        }
      expect(await count()).toBe(loaded + 600 + chain.fleet.length);
      await expectReconciled(acme);
    });
  });
});
