/**
 * Purpose: a fact on its way through real processes, and what must survive (docs: quality): group ← acme ← r1 ← r2 ← r3 ← devices,
 * with nodes killed at random moments, disks lost, restored and full, and somebody in between who alters what passes.
 * After each: what the server holds is what the devices sent last, and `report reconcile` finds no difference.
 *
 *     DAICHO_FAULTS=500 npx vitest run test/chain.test.ts     kills that many nodes instead of 5
 *     DAICHO_SEED=7                                           another order of events
 */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Title } from "@daicho/protocol";
import {
  alterDictionary,
  alterHeader,
  alteringReports,
  createBetween,
  flipBody,
  swallowingReports,
  type Between,
} from "./harness/between.ts";
import { expectReconciled, licensesAt, softwareAt, usedAt, usedAtGroup } from "./harness/checks.ts";
import { linesOf, type FleetDevice } from "./harness/fleet.ts";
import { countOf, licensesOf, policy, someTitles, title } from "./harness/made-up.ts";
import type { NodeProcess } from "./harness/processes.ts";
import { createChance } from "./harness/random.ts";
import type { MadeUpAgent, Node } from "./harness/site.ts";
import { pause, until, untilEqual } from "./harness/until.ts";
import {
  createChain,
  factsOf,
  idOf,
  spoolOf,
  titlesOf,
  untilHeld,
  untilScanned,
  untilStored,
  writeInventory,
  type Chain,
} from "./harness/world.ts";

const faults = Number(process.env["DAICHO_FAULTS"] ?? 5);
const chance = createChance(20_261_121);
/** As many products as the policy that is in force knows. */
let products = 12;
let chain: Chain;
let resident: Node;
/** Between r3 and the made-up agents. */
let door: Between;
let madeUp: { readonly process: NodeProcess; readonly agents: readonly MadeUpAgent[] };

const withLogs = async (work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw new Error(`${String(error)}\n${chain.site.logs()}`, { cause: error });
  }
};

const allDevices = (): { readonly id: string; readonly titles: readonly Title[] }[] => [
  ...chain.fleet,
  ...[...madeUp.agents, resident].map((agent) => ({ id: idOf(agent) ?? "not enrolled", titles: factsOf(agent) })),
];
const allTitles = (): (readonly Title[])[] => allDevices().map(({ titles }) => titles);

/** Everything the devices said is at the server, counted there, and the group sees the same counts. */
async function expectWhole(): Promise<void> {
  const { acme, group, fleet } = chain;
  await untilStored(fleet);
  for (const { id, titles } of allDevices()) await untilHeld(acme, id, titles);
  for (const { id, titles } of allDevices())
    await untilEqual<readonly string[]>(`the licenses of ${id}`, licensesOf(titles, products), () =>
      licensesAt(acme, id),
    );
  const counts = countOf(allTitles(), products);
  await untilEqual("the company's counts", counts, () => usedAt(acme));
  await untilEqual("the group's counts", counts, () => usedAtGroup(group, "acme"));
  await expectReconciled(acme);
}

interface Standing {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly policy?: number;
  readonly dictionary?: number;
  readonly reason?: { readonly code: string };
}
const distributionAt = (server: "acme" | "group"): Promise<readonly Standing[]> =>
  chain[server].api.list<Standing>("/api/v1/policies/distribution");

beforeAll(async () => {
  chain = await createChain({ policy: policy(1, products) });
  const [r1, r2, r3] = chain.relays;
  const places = [r1.url, r2.url, r3.url, r3.url, r3.url, r3.url, chain.acme.url, r2.url];
  for (const [index, at] of places.entries()) {
    const device = await chain.addDevice(at, `pc${index}`);
    device.change(someTitles(chance));
  }
  door = await createBetween(r3.url);
  madeUp = await chain.site.agents({ names: ["nb1", "nb2", "nb3"], upstream: door.url, company: chain.acme });
  for (const agent of madeUp.agents) writeInventory(agent, someTitles(chance));
  resident = await chain.site.agent({ name: "resident", upstream: r3.url, company: chain.acme });
}, 180_000);

afterEach(() => {
  if (chain === undefined || door === undefined) return;
  const { between } = chain;
  between.away = false;
  between.alterAnswer = between.alterRequest = between.swallow = undefined;
  door.alterAnswer = undefined;
});
afterAll(async () => {
  await door?.close();
  await chain?.close();
});

describe("the chain of group, company, three relays and agents", { sequential: true, timeout: 150_000 }, () => {
  it(
    `loses nothing and counts nothing twice when ${faults} times a node is killed while reports flow`,
    { timeout: 180_000 + faults * 8_000 },
    () =>
      withLogs(async () => {
        const { fleet, relays, acme, group } = chain;
        const victims = [
          group.process,
          acme.process,
          ...relays.map((r) => r.process),
          madeUp.process,
          resident.process,
        ];
        // The agents enrol while the nodes above them come and go.
        madeUp.process.launch();
        resident.process.launch();
        let flowing = true;
        const flow = (async () => {
          while (flowing) {
            await pause(10 + chance.whole(60));
            chance.pick(fleet).change(someTitles(chance));
            if (chance.whole(10) === 0) writeInventory(chance.pick(madeUp.agents), someTitles(chance));
          }
        })();
        const starting: Promise<void>[] = [];
        for (let fault = 0; fault < faults; fault++) {
          await pause(chance.whole(1_500));
          const victim = chance.pick(victims);
          await victim.kill();
          const down = chance.whole(800);
          starting.push(
            pause(down).then(() => {
              if (!victim.running) victim.launch();
            }),
          );
        }
        await Promise.all(starting);
        flowing = false;
        await flow;
        for (const victim of victims) await victim.ready();

        await untilStored(fleet);
        for (const device of fleet) {
          await untilHeld(acme, device.id, device.titles);
          // No disk was lost: nobody had to be asked for anything again.
          expect(device.answers.filter(({ status }) => status !== "duplicate")).toEqual([]);
        }
        for (const agent of [...madeUp.agents, resident]) {
          const id = await until("the agent to be enrolled", () => idOf(agent), { seconds: 120 });
          await untilScanned(acme, id, () => titlesOf(agent));
        }
        await expectWhole();
      }),
  );

  it("publishes version N+1 at the group and the group's counts change, with nobody touching the servers between (domain §2)", () =>
    withLogs(async () => {
      const { acme, group } = chain;
      const before = await usedAtGroup(group, "acme");
      products = 24;
      const after = countOf(allTitles(), products);
      expect(after).not.toEqual(before);
      await group.api.send("PUT", "/api/v1/policies/enterprise", policy(2, products), "application/yaml");
      await untilEqual("the group's counts", after, () => usedAtGroup(group, "acme"));

      const { version } = await acme.api.get<{ version: number }>("/api/v1/dictionary");
      await untilEqual(
        "each node's state at the company",
        ["r1", "r2", "r3"].map((name) => ({ name, state: "complete", dictionary: version, policy: 2 })),
        async () =>
          (await distributionAt("acme"))
            .filter(({ kind }) => kind === "relay")
            .map(({ name, state, dictionary, policy: held }) => ({
              name,
              state,
              dictionary: dictionary ?? 0,
              policy: held ?? 0,
            })),
      );
      await untilEqual(
        "each node's state at the group",
        ["acme", "r1", "r2", "r3"].map((name) => ({ name, state: "complete", policy: 2 })),
        async () =>
          (await distributionAt("group"))
            .filter(({ name }) => name !== "group")
            .map(({ name, state, policy: held }) => ({ name, state, policy: held ?? 0 })),
      );
      await expectReconciled(acme);
      await expectReconciled(group);
    }));

  it("refuses a dictionary that was altered on its way, and names where and why", () =>
    withLogs(async () => {
      const { between, group, relays } = chain;
      between.alterAnswer = alterDictionary;
      products = 20;
      await group.api.send("PUT", "/api/v1/policies/enterprise", policy(3, products), "application/yaml");
      await until("the relay below to name it", async () =>
        (await distributionAt("acme")).some(
          ({ name, state, reason }) => name === "r2" && state === "failed" && reason?.code === "document-altered",
        ),
      );
      const states = new Map((await distributionAt("acme")).map(({ name, state }) => [name, state]));
      expect([states.get("r1"), states.get("r3")]).toEqual(["complete", "in-progress"]);
      expect(relays[1].process.logged("dictionary-refused", "document-altered")).toBeGreaterThan(0);
      between.alterAnswer = undefined;
      // It asks again by itself within minutes, or at once when it starts.
      await relays[1].process.kill();
      await relays[1].process.start();
      await until("the good one everywhere", async () =>
        (await distributionAt("acme")).every(({ state }) => state === "complete"),
      );
      await expectWhole();
    }));

  it("lets no agent use an altered dictionary, and shows it as failed for as long as it lasts", () =>
    withLogs(async () => {
      const { group } = chain;
      door.alterAnswer = alterDictionary;
      products = 18;
      await group.api.send("PUT", "/api/v1/policies/enterprise", policy(4, products), "application/yaml");
      const failed = async (): Promise<readonly (string | undefined)[]> =>
        (await distributionAt("acme")).filter(({ kind }) => kind === "agent").map(({ reason }) => reason?.code);
      await untilEqual(
        "each agent to name it",
        madeUp.agents.map(() => "document-altered"),
        failed,
      );
      // The counts do not depend on the agents here: titles suffice.
      await expectWhole();
      door.alterAnswer = undefined;
      await madeUp.process.kill();
      await madeUp.process.start();
      await untilEqual("no agent to be shown as failed", [], failed);
    }));

  it("refuses a report whose content was altered on its way, at the next node, by name", () =>
    withLogs(async () => {
      const { acme, between, relays } = chain;
      const [r1] = relays;
      const device = await chain.addDevice(between.url, "tampered");
      between.alterRequest = alteringReports(flipBody);
      device.change([title(1)]);
      await until("the refusal", () => device.answers.some(({ code }) => code === "envelope-body-altered"));
      between.alterRequest = alteringReports(alterHeader);
      device.change([title(1), title(3)]);
      await until("the refusal", () => device.answers.some(({ code }) => code === "signature-invalid"));
      expect(device.stored).toBe(0);
      expect(r1.process.logged("reports-rejected", "signature-invalid", device.id)).toBeGreaterThan(0);
      between.alterRequest = undefined;
      await heartbeatsUntilHeld(device);
      expect(await softwareAt(acme, device.id)).toEqual(linesOf([title(1), title(3)]));
    }));

  it("refuses at the server a report that a relay altered, and the next heartbeat repairs what was lost", () =>
    withLogs(async () => {
      const { acme, between, relays, fleet } = chain;
      const device = fleet[3] as FleetDevice;
      await untilStored(fleet);
      const before = await softwareAt(acme, device.id);
      between.alterRequest = alteringReports(alterHeader);
      device.change([title(5), title(6), title(7)]);
      await until(
        "the server's refusal",
        () => acme.process.logged("report-rejected", "signature-invalid", device.id) > 0,
      );
      await until(
        "the relay to be told of it",
        () => relays[0].process.logged("forwarded-report-rejected", "signature-invalid", device.id) > 0,
      );
      expect(await softwareAt(acme, device.id)).toEqual(before);
      between.alterRequest = undefined;
      await heartbeatsUntilHeld(device);
      await expectWhole();
    }));

  it("repairs within a heartbeat what a relay acknowledged and dropped", () =>
    withLogs(async () => {
      const { between, fleet } = chain;
      await untilStored(fleet);
      const device = fleet[4] as FleetDevice;
      const dropped: Buffer[] = [];
      between.swallow = swallowingReports(dropped);
      device.change([title(8), title(9)]);
      await until(
        "the report to be dropped",
        async () => dropped.length > 0 && device.waiting === 0 && (await nothingWaits()),
      );
      between.swallow = undefined;
      await heartbeatsUntilHeld(device);
      await expectWhole();
    }));

  it("heals within a heartbeat when the disk of a relay is destroyed after it acknowledged", () =>
    withLogs(async () => {
      const { acme, between, fleet, relays } = chain;
      const [, r2, r3] = relays;
      const device = fleet[5] as FleetDevice;
      await untilStored(fleet);
      // Requests do not get through; the channel, open already, does.
      between.away = true;
      device.change([title(10), title(11), title(12)]);
      for (const [index, agent] of madeUp.agents.entries()) writeInventory(agent, [title(15 + index)]);
      const agents = madeUp.agents.map((agent) => idOf(agent) ?? "");
      await until("the agents to have scanned and been told `stored`", async () => {
        if (madeUp.agents.every((agent) => String(linesOf(factsOf(agent))) === String(linesOf(titlesOf(agent)))))
          return (await spoolOf(r2)) > 3 && (await spoolOf(r3)) === 0;
        await acme.api.send("POST", "/api/v1/nodes/scan-now", { devices: agents });
        return false;
      });
      await untilStored([device]);
      await r2.process.kill();
      rmSync(r2.data, { recursive: true });
      between.away = false;
      await r2.process.start();
      await heartbeatsUntilHeld(device);
      // Nobody asks the agents for anything: their own heartbeats must do.
      await expectWhole();
    }));

  it("takes no harm from a relay that is restored from an old copy of its disk: nothing older overwrites, nothing counts twice", () =>
    withLogs(async () => {
      const { between, fleet, relays } = chain;
      const [, r2] = relays;
      const copy = join(chain.site.dir, "r2-copy");
      between.away = true;
      for (const device of fleet.slice(2, 6)) device.change(someTitles(chance));
      await untilStored(fleet);
      await until("reports to wait in it", async () => (await spoolOf(r2)) >= 4);
      await r2.process.kill();
      cpSync(r2.data, copy, { recursive: true });
      await r2.process.start();
      between.away = false;
      for (const device of fleet.slice(2, 6)) device.change(someTitles(chance));
      await expectWhole();
      await r2.process.kill();
      rmSync(r2.data, { recursive: true });
      cpSync(copy, r2.data, { recursive: true });
      await r2.process.start();
      await until("it to be empty", async () => (await spoolOf(r2)) === 0);
      await expectWhole();
    }));
});

const nothingWaits = async (): Promise<boolean> =>
  (await Promise.all(chain.relays.map(spoolOf))).every((records) => records === 0);

/** As an agent does whose node above says `need-full` at one of its heartbeats. */
async function heartbeatsUntilHeld(device: FleetDevice): Promise<void> {
  const lines = linesOf(device.titles);
  await until(
    "a heartbeat to repair",
    async () => {
      if (String(await softwareAt(chain.acme, device.id)) === String(lines)) return true;
      if (device.waiting === 0) device.heartbeat();
      return false;
    },
    { everyMs: 500 },
  );
}
