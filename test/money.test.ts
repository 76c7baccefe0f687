/**
 * Purpose: random companies taken through a random life by the API - installations, hires, moves, leavers, reorganisations now and on days to come,
 * people moved by SCIM, entitlements that begin and expire, corrections, applications, allocations, purchase runs and reversals, other policies -
 * beside a model of domain.md §3, §5-§7. After every step the server's positions are the model's, the laws hold, and reconcile is clean.
 * `DAICHO_COMPANIES` says how many companies (default 4 a store), `DAICHO_SEED` the seed of the first; each next one has the next seed.
 * Thousands are quicker with a `TMPDIR` in memory, where nothing waits for a disk.
 */
import { afterAll, describe, it } from "vitest";
import type { ApiRole } from "../packages/server/src/modules/access/index.ts";
import { startServer, type TestServer } from "../packages/server/src/testing/server.ts";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { createChance } from "./harness/random.ts";
import { leapingClock, live, policyText, type World } from "./money/life.ts";

const companies = Number(process.env["DAICHO_COMPANIES"] ?? 4);
const first = Number(process.env["DAICHO_SEED"] ?? 7000);
/** Companies that live on one server, one after the other; then a new one, so that what is left of them stays small. */
const onOneServer = 20;
const stepsEach = 30;

forEachStore((store) => {
  describe(`${companies} companies on ${store.name}`, { timeout: 600_000 }, () => {
    let running: TestServer | undefined;
    let world: World | undefined;
    const stop = async (): Promise<void> => {
      await running?.stop();
      running = undefined;
      world = undefined;
    };
    afterAll(stop);

    const found = async (): Promise<World> => {
      const clock = leapingClock(Date.parse("2026-01-01T08:00:00Z"));
      running = await startServer(store, { role: "both" }, clock);
      const { server } = running;
      await server.policies.publish("enterprise", policyText(1, false));
      await server.derivation.refresh();
      const tokenOf = async (role: ApiRole) => (await server.access.createApiToken({ name: role, role })).token;
      const tokens = { admin: await tokenOf("admin"), provisioner: await tokenOf("provisioner") };
      return { server, clock, tokens, serial: 0, policy: 1, root: undefined };
    };

    for (let company = 0; company < companies; company++)
      it(`seed ${first + company}: after every step of its life the numbers are what they must be`, async () => {
        world ??= await found();
        try {
          await live(world, createChance(first, company), stepsEach);
          if ((company + 1) % onOneServer === 0) await stop();
        } catch (error) {
          // What it left behind must not make the next one fail.
          await stop();
          throw error;
        }
      });
  });
});
