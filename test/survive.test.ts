/**
 * Purpose: machines and disks that misbehave, with real processes: acme ← relay ← resident agents. A clock that is a year off, a key on two
 * machines, a machine set back to yesterday's disk, a relay's spool damaged or full, a server away, another version. After each, every device is at the server as it is,
 * and `report reconcile` finds no difference.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import Sqlite from "better-sqlite3";
import { packBatch, protocolHeader, reportsContentType } from "@daicho/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBetween, type Between } from "./harness/between.ts";
import { expectReconciled, softwareAt, usedAt } from "./harness/checks.ts";
import { createFleetDevice, linesOf, type FleetDevice } from "./harness/fleet.ts";
import { countOf, policy, someTitles, title } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type MadeUpAgent, type Node, type ServerNode } from "./harness/site.ts";
import { until, untilEqual } from "./harness/until.ts";
import {
  factsOf,
  idOf,
  spoolOf,
  titlesOf,
  untilHeld,
  untilScanned,
  untilStored,
  writeInventory,
} from "./harness/world.ts";

const site = createSite();
const chance = createChance(1881);
const year = 365 * 86_400_000;
let acme: ServerNode;
let between: Between;
let relay: Node;
const devices: FleetDevice[] = [];

/** A device that reports to the relay. */
async function join(name: string, upstream = relay.url): Promise<FleetDevice> {
  const device = await createFleetDevice({ upstream, token: await acme.enrollmentToken(), name });
  devices.push(device);
  return device;
}

const withLogs = async (work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw new Error(`${String(error)}\n${site.logs()}`, { cause: error });
  }
};

const heldBy = async (agent: MadeUpAgent): Promise<string> => {
  const id = await until("the agent to be enrolled", () => idOf(agent));
  await untilScanned(acme, id, () => titlesOf(agent));
  return id;
};

beforeAll(async () => {
  acme = await site.server({ name: "acme" });
  await acme.api.send("PUT", "/api/v1/policies/local", policy(1).replace("enterprise", "local"), "application/yaml");
  between = await createBetween(acme.url);
  relay = await site.relay({ name: "relay", upstream: between.url, company: acme });
}, 120_000);
afterAll(async () => {
  await Promise.all(devices.map((device) => device.stop()));
  await between?.close();
  await site.close();
});

describe("what must survive", { sequential: true, timeout: 150_000 }, () => {
  it("a machine whose clock is a year off, either way, reports like any other", () =>
    withLogs(async () => {
      for (const [name, clockAheadMs] of [
        ["ahead", year],
        ["behind", -year],
      ] as const) {
        const { agents, process } = await site.agents({
          process: name,
          names: [name],
          upstream: relay.url,
          company: acme,
          clockAheadMs,
        });
        const [agent] = agents as [MadeUpAgent];
        writeInventory(agent, someTitles(chance));
        await process.start();
        const id = await heldBy(agent);
        writeInventory(agent, someTitles(chance));
        await untilScanned(acme, id, () => titlesOf(agent));
        await process.stop();
      }
      await expectReconciled(acme);
    }));

  it("two machines with one key are split: the first keeps its identity, the other enrols anew, none is merged", () =>
    withLogs(async () => {
      const first = await site.agents({ process: "original", names: ["one"], upstream: relay.url, company: acme });
      const [one] = first.agents as [MadeUpAgent];
      writeInventory(one, [title(5), title(6)]);
      await first.process.start();
      const id = await heldBy(one);
      await first.process.stop();

      // Another machine is made from a copy of the disk: other serial number, other software.
      const second = await site.agents({ process: "copy", names: ["two"], upstream: relay.url, company: acme });
      const [two] = second.agents as [MadeUpAgent];
      cpSync(one.data, two.data, { recursive: true });
      writeInventory(two, [title(7), title(8), title(9)]);
      await first.process.start();
      writeInventory(one, [title(5)]);
      await untilScanned(acme, id, () => titlesOf(one));
      await second.process.start();
      const other = await until(
        "the copy to have an identity of its own",
        async () => {
          const now = idOf(two);
          if (now !== undefined && now !== id) return now;
          await acme.api.send("POST", "/api/v1/nodes/scan-now", {});
          return undefined;
        },
        { seconds: 120, everyMs: 1000 },
      );
      await untilScanned(acme, other, () => titlesOf(two));
      await untilScanned(acme, id, () => titlesOf(one));
      expect(idOf(one)).toBe(id);
      await first.process.stop();
      await second.process.stop();
      await expectReconciled(acme);
    }));

  it("a machine set back to an old copy of its disk is counted as it is now", () =>
    withLogs(async () => {
      const { agents, process } = await site.agents({ names: ["old"], upstream: relay.url, company: acme });
      const [agent] = agents as [MadeUpAgent];
      writeInventory(agent, [title(10)]);
      await process.start();
      const id = await heldBy(agent);
      await process.stop();
      cpSync(agent.data, `${agent.data}.copy`, { recursive: true });
      await process.start();
      for (const titles of [[title(10), title(11)], [title(11)], [title(11), title(12)]]) {
        writeInventory(agent, titles);
        await untilScanned(acme, id, () => titlesOf(agent));
      }
      await process.kill();
      rmSync(agent.data, { recursive: true });
      cpSync(`${agent.data}.copy`, agent.data, { recursive: true });
      writeInventory(agent, [title(13)]);
      await process.start();
      await untilScanned(acme, id, () => titlesOf(agent));
      expect(factsOf(agent)).toEqual([title(13)]);
      await process.stop();
      await expectReconciled(acme);
    }));

  it("a relay whose spool was truncated and had bits flipped starts, invents nothing, and heartbeats repair the rest", () =>
    withLogs(async () => {
      const fleet = await Promise.all(["s1", "s2", "s3", "s4"].map((name) => join(name)));
      for (const device of fleet) device.change(someTitles(chance));
      for (const device of fleet) await untilHeld(acme, device.id, device.titles);
      between.away = true;
      for (let round = 0; round < 10; round++) for (const device of fleet) device.change(someTitles(chance));
      await until("the relay to hold them", () => fleet.every(({ waiting }) => waiting === 0));
      await relay.process.kill();
      const dir = joinPath(relay.data, "spool");
      const files = readdirSync(dir)
        .map((name) => joinPath(dir, name))
        .filter((file) => statSync(file).size > 1000);
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) {
        const bytes = readFileSync(file);
        for (let hits = 0; hits < 12; hits++) {
          const at = chance.whole(bytes.length);
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << chance.whole(8)), at);
        }
        writeFileSync(file, bytes);
        truncateSync(file, bytes.length - 200);
      }
      between.away = false;
      await relay.process.start();
      const metrics = await (await fetch(`${relay.url}/metrics`)).text();
      expect(Number(/^daicho_relay_spool_damaged_bytes (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
      for (const device of fleet)
        await until(
          "heartbeats to repair",
          async () => {
            if (String(await softwareAt(acme, device.id)) === String(linesOf(device.titles))) return true;
            if (device.waiting === 0) device.heartbeat();
            return false;
          },
          { everyMs: 500 },
        );
      await expectReconciled(acme);
      const all = await acme.api.list<{ software?: never; id: string }>("/api/v1/devices");
      const titles = await Promise.all(
        all.map(
          async ({ id }) => (await acme.api.get<{ software: { name: string }[] }>(`/api/v1/devices/${id}`)).software,
        ),
      );
      const counted = titles.map((list) => list.map(({ name }) => title(Number(/^p(\d+)$/.exec(name)?.[1] ?? 99))));
      await untilEqual("counts of what is held", countOf(counted), () => usedAt(acme));
    }));

  it("keeps what arrives while the company's server is away, refuses with Retry-After what it has no room for, and drains", () =>
    withLogs(async () => {
      const fleet = [await join("w1"), await join("w2"), await join("w3")];
      const small = await site.relay({
        name: "small",
        upstream: acme.url,
        company: acme,
        limits: { spoolBytes: 1_000_000 },
      });
      const device = await join("verbose", small.url);
      await acme.process.kill();
      for (let round = 0; round < 20; round++) for (const one of fleet) one.change(someTitles(chance));
      const noise = (round: number): { name: string; version: string; source: string }[] =>
        Array.from({ length: 700 }, () => ({
          name: Array.from({ length: 12 }, () => chance.whole(1e9).toString(36)).join(""),
          source: "dpkg",
          version: String(round),
        }));
      const sent: ReturnType<typeof noise>[] = [];
      let waiting: Buffer = Buffer.alloc(0);
      const refused = await until("the relay to be full", async () => {
        sent.push(noise(sent.length));
        const answer = await sendByHand(small, device, (waiting = device.prepare(sent.at(-1) ?? [])));
        return answer.status === 200 ? undefined : answer;
      });
      expect(refused.status).toBe(503);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await refused.json()).toMatchObject({ code: "spool-full" });
      expect(await spoolOf(small)).toBe(sent.length - 1);

      await acme.process.start();
      await until("the small relay to drain", async () => (await spoolOf(small)) === 0);
      await until("the relay to take reports again", async () => {
        return (await sendByHand(small, device, waiting)).status === 200;
      });
      const last = sent.at(-1) ?? [];
      await untilHeld(acme, device.id, last);
      await small.process.stop();
      await untilStored(fleet);
      for (const one of fleet) await untilHeld(acme, one.id, one.titles);
      await expectReconciled(acme);
    }));

  it("refuses a protocol version that nobody can serve, and serves one minor version older or newer", () =>
    withLogs(async () => {
      const device = await join("versions");
      for (const node of [acme, relay])
        for (const [version, status] of [
          ["99.0", 426],
          ["1.9", 426],
          ["nonsense", 426],
          ["1.1", 200],
        ] as const) {
          const answer = await sendByHand(node, device, device.seal("heartbeat"), { [protocolHeader]: version });
          expect([node.process.name, version, answer.status]).toEqual([node.process.name, version, status]);
          if (status === 426) expect(await answer.json()).toMatchObject({ code: "version-unsupported" });
        }
    }));

  it("notices a stored total that is wrong: `report reconcile` names it and exits 1", () =>
    withLogs(async () => {
      const db = new Sqlite(joinPath(acme.data, "daicho.db"));
      db.prepare("update lic_usage set used = used + 1 where used = (select max(used) from lic_usage)").run();
      const { code, stdout } = await acme.run("report", "reconcile");
      expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining("stored-equals-recomputed") });
      db.prepare("update lic_usage set used = used - 1 where used = (select max(used) from lic_usage)").run();
      db.close();
    }));
});

function sendByHand(node: Node, device: FleetDevice, envelope: Buffer, headers = {}): Promise<Response> {
  return fetch(`${node.url}/ingest/v1/reports`, {
    method: "POST",
    headers: {
      authorization: device.uplink.authorization(),
      "content-type": reportsContentType,
      ...headers,
    },
    body: new Uint8Array(packBatch([envelope])),
  });
}
