/**
 * Purpose: what lasts, with real processes: the company's server gone for a day, a relay whose disk is full, a machine that is re-imaged, a PostgreSQL that is
 * killed in the middle of its transactions. After each, every device is at the server as it is, and `report reconcile` finds no difference.
 */
import { rmSync } from "node:fs";
import { packBatch, reportsContentType, type Title } from "@daicho/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectReconciled, usedAt } from "./harness/checks.ts";
import { createFleetDevice, type FleetDevice } from "./harness/fleet.ts";
import { countOf, policy, someTitles, title } from "./harness/made-up.ts";
import { createKillablePostgres } from "./harness/postgres.ts";
import { createChance } from "./harness/random.ts";
import { daicho } from "./harness/processes.ts";
import { createSite, type MadeUpAgent, type Node, type ServerNode, type Site } from "./harness/site.ts";
import { pause, until, untilEqual } from "./harness/until.ts";
import { idOf, spoolOf, titlesOf, untilHeld, untilScanned, untilStored, writeInventory } from "./harness/world.ts";

const chance = createChance(1666);

async function company(site: Site, database?: string): Promise<ServerNode> {
  const server = await site.server({ name: "acme", ...(database !== undefined && { database }) });
  await server.api.send("PUT", "/api/v1/policies/local", policy(1).replace("enterprise", "local"), "application/yaml");
  return server;
}

const withLogs = async (site: Site, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw new Error(`${String(error)}\n${site.logs()}`, { cause: error });
  }
};

describe("what lasts", { sequential: true, timeout: 400_000 }, () => {
  const site = createSite();
  const fleet: FleetDevice[] = [];
  /** Agents that came and stay in the ledger. */
  const agents: MadeUpAgent[] = [];
  let acme: ServerNode;
  let relay: Node;

  beforeAll(async () => {
    acme = await company(site);
    relay = await site.relay({ name: "relay", upstream: acme.url, company: acme });
    for (const name of ["a", "b", "c"])
      fleet.push(await createFleetDevice({ upstream: relay.url, token: await acme.enrollmentToken(), name }));
    for (const device of fleet) device.change(someTitles(chance));
  }, 300_000);
  afterAll(async () => {
    await Promise.all(fleet.map((device) => device.stop()));
    await site.close();
  });

  async function expectWhole(): Promise<void> {
    await untilStored(fleet);
    for (const { id, titles } of fleet) await untilHeld(acme, id, titles);
    for (const agent of agents) await untilHeld(acme, idOf(agent) ?? "not enrolled", titlesOf(agent));
    const all = [...fleet.map(({ titles }) => titles), ...agents.map(titlesOf)];
    await untilEqual("the counts of what the devices have", countOf(all), () => usedAt(acme));
    await expectReconciled(acme);
  }

  it("the company's server is gone for a day: machines are switched off and on, the relay is restarted, all of it arrives", () =>
    withLogs(site, async () => {
      const first = await site.agents({ names: ["n1", "n2"], upstream: relay.url, company: acme });
      // The same machines a day later.
      const next = await site.agents({
        process: "next-day",
        names: ["n1", "n2"],
        upstream: relay.url,
        company: acme,
        clockAheadMs: 86_400_000,
        sameAs: first.agents,
      });
      for (const agent of first.agents) writeInventory(agent, someTitles(chance));
      agents.push(...first.agents);
      await first.process.start();
      for (const agent of agents) {
        const id = await until("the agent to be enrolled", () => idOf(agent));
        await untilScanned(acme, id, () => titlesOf(agent));
      }
      await acme.process.kill();
      // As many as an hourly heartbeat and a few changes make in a day.
      for (let hour = 0; hour < 24; hour++)
        for (const device of fleet) {
          if (hour % 8 === 0) device.change(someTitles(chance));
          else device.heartbeat();
        }
      await untilStored(fleet);
      await first.process.kill();
      await relay.process.kill();
      for (const agent of agents) writeInventory(agent, someTitles(chance));
      await relay.process.start();
      await next.process.start();
      const waiting = await spoolOf(relay);
      expect(waiting).toBeGreaterThanOrEqual(24 * fleet.length);
      await acme.process.start();
      for (const agent of agents) await untilScanned(acme, idOf(agent) ?? "", () => titlesOf(agent));
      await next.process.stop();
      // Nothing had to be asked for anew.
      for (const device of fleet) expect(device.answers.filter(({ status }) => status !== "duplicate")).toEqual([]);
      await expectWhole();
    }));

  it("a relay whose disk is full acknowledges nothing it cannot keep, says so with Retry-After, and goes on when there is room", () =>
    withLogs(site, async () => {
      await until("the relay to be empty", async () => (await spoolOf(relay)) === 0);
      // Never heard of again: what it says does not fit on the disk.
      const verbose = await createFleetDevice({
        upstream: relay.url,
        name: "verbose",
        token: await acme.enrollmentToken(),
      });
      await acme.process.kill();
      await relay.process.kill();
      relay.process.largestFile = 32_000;
      await relay.process.start();
      await until("the disk to be full", async () => {
        for (const device of fleet) device.change(someTitles(chance));
        await pause(200);
        return (
          relay.process.logged("spool-append-failed") > 0 ||
          fleet.some(({ uplink }) => uplink.lastError?.startsWith("spool-"))
        );
      });
      const answer = await fetch(`${relay.url}/ingest/v1/reports`, {
        method: "POST",
        headers: { authorization: verbose.uplink.authorization(), "content-type": reportsContentType },
        body: new Uint8Array(packBatch([verbose.prepare(moreThanFits())])),
      });
      expect([answer.status, Number(answer.headers.get("retry-after")) > 0]).toEqual([503, true]);
      expect(await answer.json()).toMatchObject({ code: expect.stringMatching(/^spool-(io|full)$/) });
      expect(relay.process.running).toBe(true);
      await relay.process.kill();
      relay.process.largestFile = undefined;
      await relay.process.start();
      await acme.process.start();
      await verbose.stop();
      await expectWhole();
      for (const device of fleet) expect(device.answers.filter(({ status }) => status === "rejected")).toEqual([]);
    }));

  it("a machine that is re-imaged enrols anew, is offered for merging, and counts once when it is merged", () =>
    withLogs(site, async () => {
      const { agents: made, process } = await site.agents({
        process: "imaged",
        names: ["imaged"],
        upstream: relay.url,
        company: acme,
      });
      const [agent] = made as [MadeUpAgent];
      writeInventory(agent, [title(5), title(6)]);
      await process.start();
      const before = await until("the agent to be enrolled", () => idOf(agent));
      await untilScanned(acme, before, () => titlesOf(agent));
      await process.stop();
      rmSync(agent.data, { recursive: true });
      writeInventory(agent, [title(6), title(7)]);
      await process.start();
      const after = await until("the agent to be enrolled anew", () => idOf(agent));
      expect(after).not.toBe(before);
      await untilScanned(acme, after, () => titlesOf(agent));
      const offers = await acme.api.list("/api/v1/device-merges/offers");
      expect(offers).toMatchObject([{ keep: before, from: after, serial: "SN-imaged" }]);
      await acme.api.send("POST", "/api/v1/device-merges", { keep: before, from: after });
      await untilHeld(acme, before, titlesOf(agent));
      writeInventory(agent, [title(7), title(8), title(9)]);
      await until("what it reports to reach the one that stayed", async () => {
        await acme.api.send("POST", "/api/v1/nodes/scan-now", {});
        await untilHeld(acme, before, titlesOf(agent), 3);
        return true;
      });
      await process.stop();
      const all = [...fleet.map(({ titles }) => titles), ...[...agents, agent].map(titlesOf)];
      await untilEqual("the counts of what the devices have", countOf(all), () => usedAt(acme));
      await expectReconciled(acme);
    }));
});

/** Names that no packing makes smaller. */
const moreThanFits = (): Title[] =>
  Array.from({ length: 2_000 }, () => ({
    name: Array.from({ length: 12 }, () => chance.whole(1e9).toString(36)).join(""),
    version: "1",
    source: "dpkg",
  }));

describe("a PostgreSQL that is killed", { timeout: 600_000 }, () => {
  it("in the middle of its transactions, again and again: nothing acknowledged is lost, nothing counts twice", async () => {
    const postgres = await createKillablePostgres();
    const site = createSite();
    const fleet: FleetDevice[] = [];
    try {
      await withLogs(site, async () => {
        const acme = await company(site, postgres.url);
        const relay = await site.relay({ name: "relay", upstream: acme.url, company: acme });
        for (const [name, upstream] of [
          ["direct", acme.url],
          ["below", relay.url],
        ] as const)
          fleet.push(await createFleetDevice({ upstream, token: await acme.enrollmentToken(), name }));
        const token = await acme.enrollmentToken();
        const load = daicho([
          ...["simulate", "--upstream", acme.url, "--enrollment-token", token, "--devices", "300", "--titles", "120"],
          ...["--phases", "new,changed,same,changed", "--concurrency", "4", "--batch", "8", "--seed", "pg", "--json"],
        ]);
        let over = false;
        void load.finally(() => (over = true));
        let kills = 0;
        while (kills < 2 || (!over && kills < 4)) {
          for (const device of fleet) device.change(someTitles(chance));
          await pause(200 + chance.whole(1_500));
          await postgres.kill();
          for (const device of fleet) device.change(someTitles(chance));
          await postgres.start();
          kills++;
          await until("the server to serve again", async () => (await fetch(`${acme.url}/readyz`)).ok);
          // So that the load gets on however slow the machine is.
          await pause(1_500);
        }
        const { code, stdout, stderr } = await load;
        expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
        for (const phase of (JSON.parse(stdout) as { phases: { lost: number; stored: number; duplicates: number }[] })
          .phases) {
          expect(phase.lost).toBe(0);
          expect(phase.stored + phase.duplicates).toBeGreaterThanOrEqual(300);
        }
        await untilStored(fleet);
        for (const { id, titles } of fleet) await untilHeld(acme, id, titles);
        expect((await acme.api.list("/api/v1/devices?limit=1000&fields=id")).length).toBe(300 + fleet.length);
        await expectReconciled(acme);
      });
    } finally {
      await Promise.all(fleet.map((device) => device.stop()));
      await site.close();
      await postgres.close();
    }
  });
});
