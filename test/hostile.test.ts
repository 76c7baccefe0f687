/**
 * Purpose: relays and agents that mean harm, with real processes: acme ← (between) ← relay ← devices. What a lying relay drops, holds back for long,
 * repeats or serves anew from yesterday, and what an agent with a valid enrolment can send. After each, every device is at the server as it is, and
 * `report reconcile` finds no difference. Altered reports and dictionaries: chain.test.ts.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join as joinPath } from "node:path";
import { json as readJson } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import {
  maxBatchBytes,
  openEnvelope,
  packBatch,
  reportsContentType,
  sealEnvelope,
  type Dictionary,
  type Signer,
} from "@daicho/protocol";
import { createTestDevice } from "@daicho/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createBetween, swallowingReports, type Between } from "./harness/between.ts";
import { expectReconciled, softwareAt, usedAt } from "./harness/checks.ts";
import { createFleetDevice, linesOf, type FleetDevice } from "./harness/fleet.ts";
import { countOf, policy, someTitles, title } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type Node, type ServerNode } from "./harness/site.ts";
import { until, untilEqual } from "./harness/until.ts";
import { spoolOf, untilHeld, untilStored, writeInventory, idOf, untilScanned, titlesOf } from "./harness/world.ts";

const site = createSite();
const chance = createChance(451);
let acme: ServerNode;
/** The relay's way up. */
let between: Between;
let relay: Node;
const fleet: FleetDevice[] = [];
/** Devices of which `fleet` is not all. */
const others: { readonly id: string; titles(): FleetDevice["titles"] }[] = [];

async function join(name: string, upstream = relay.url): Promise<FleetDevice> {
  const device = await createFleetDevice({ upstream, token: await acme.enrollmentToken(), name });
  fleet.push(device);
  return device;
}

/** As many products as the policy in force knows; each version knows one more, so that each makes another dictionary. */
let products = 0;
async function publish(version: number): Promise<void> {
  products = 15 + version;
  const text = policy(version, products).replace("enterprise", "local");
  await acme.api.send("PUT", "/api/v1/policies/local", text, "application/yaml");
}

/** Heartbeats, as agents send them, until each device is at the server as it is; nothing is counted that is not. */
async function expectHealed(): Promise<void> {
  await untilStored(fleet);
  for (const device of fleet)
    await until(
      `heartbeats to repair ${device.id}`,
      async () => {
        if (String(await softwareAt(acme, device.id)) === String(linesOf(device.titles))) return true;
        if (device.waiting === 0) device.heartbeat();
        return false;
      },
      { everyMs: 300, seconds: 120 },
    );
  const all = [...fleet.map(({ titles }) => titles), ...others.map(({ titles }) => titles())];
  await untilEqual("the counts of what the devices have", countOf(all, products), () => usedAt(acme));
  await expectReconciled(acme);
}

const withLogs = async (work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (error) {
    throw new Error(`${String(error)}\n${site.logs()}`, { cause: error });
  }
};

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  return Array.from(list, () => left.splice(chance.whole(left.length), 1)[0] as T);
}

beforeAll(async () => {
  acme = await site.server({ name: "acme" });
  await publish(1);
  between = await createBetween(acme.url);
  relay = await site.relay({ name: "relay", upstream: between.url, company: acme });
  for (const name of ["a", "b", "c", "d"]) (await join(name)).change(someTitles(chance));
  await expectHealed();
}, 300_000);
afterEach(() => {
  if (between !== undefined) between.swallow = between.alterAnswer = between.alterRequest = between.version = undefined;
});
afterAll(async () => {
  await Promise.all(fleet.map((device) => device.stop()));
  await between?.close();
  await site.close();
});

describe("a relay that means harm", { sequential: true, timeout: 400_000 }, () => {
  it("drops what it acknowledged, and delivers it long after, twice and in no order: the older overwrites nothing", () =>
    withLogs(async () => {
      const held: Buffer[] = [];
      between.swallow = swallowingReports(held);
      for (let round = 0; round < 6; round++) for (const device of fleet) device.change(someTitles(chance));
      await untilStored(fleet);
      await until("all of it to be swallowed", async () => (await spoolOf(relay)) === 0 && held.length >= 24);
      between.swallow = undefined;
      await expectHealed();
      // It is named, by what the devices themselves signed.
      const missing = async (): Promise<unknown> =>
        (await acme.api.list<{ name: string; missing?: { reports: number; devices: number } }>("/api/v1/nodes"))
          .filter(({ name }) => name === "relay")
          .map(({ missing: of }) => of && [of.reports, of.devices]);
      expect(await missing()).toEqual([[24, 4]]);
      await until("the log to say so", () => acme.process.logged("reports-missing") > 0);
      // The reports are of January by their own clock: a week more or less makes no difference to anybody.
      const late = shuffled([...held, ...held]);
      const answers = await deliver(late);
      expect(new Set(answers)).toEqual(new Set(["duplicate"]));
      // They came after all.
      expect(await missing()).toEqual([undefined]);
      await expectHealed();
    }));

  it("delivers in no order and twice what nobody has sent anew yet: what does not fit is asked for, nothing is made up", () =>
    withLogs(async () => {
      const held: Buffer[] = [];
      between.swallow = swallowingReports(held);
      for (let round = 0; round < 4; round++) for (const device of fleet) device.change(someTitles(chance));
      await untilStored(fleet);
      await until("all of it to be swallowed", async () => (await spoolOf(relay)) === 0 && held.length >= 16);
      between.swallow = undefined;
      const answers = new Set(await deliver(shuffled([...held, ...held])));
      for (const answer of answers) expect(["stored", "duplicate", "need-full"]).toContain(answer);
      await expectHealed();
    }));

  it("is served an old dictionary: it says so by name, keeps the one it has, and goes on once it gets a new one", () =>
    withLogs(async () => {
      const dictionaryOf = async (node: Node): Promise<Buffer> =>
        Buffer.from(
          await (
            await fetch(`${node.url}/ingest/v1/dictionary`, {
              headers: { authorization: (fleet[0] as FleetDevice).uplink.authorization() },
            })
          ).arrayBuffer(),
        );
      const versionOf = (body: Buffer): number =>
        (JSON.parse((JSON.parse(body.toString()) as { payload: string }).payload) as Dictionary).version;
      const old = await dictionaryOf(acme);
      await publish(2);
      await until("the relay to hold the second", async () => versionOf(await dictionaryOf(relay)) > versionOf(old));
      const second = versionOf(await dictionaryOf(relay));
      between.alterAnswer = (path) => (path === "/ingest/v1/dictionary" ? old : undefined);
      await publish(3);
      const standing = async (): Promise<unknown> =>
        (
          await acme.api.list<{ name: string; state: string; dictionary?: number; reason?: { code: string } }>(
            "/api/v1/policies/distribution",
          )
        )
          .filter(({ name }) => name === "relay")
          .map(({ state, dictionary, reason }) => [state, dictionary, reason?.code]);
      await untilEqual("it to be named", [["failed", second, "document-older"]], standing);
      await until("its log to say so", () => relay.process.logged("dictionary-refused", "document-older") > 0);
      expect(versionOf(await dictionaryOf(relay))).toBe(second);
      between.alterAnswer = undefined;
      await relay.process.kill();
      await relay.process.start();
      await untilEqual("the third", [["complete", second + 1, undefined]], standing);
      await expectHealed();
    }));

  it("an agent that is served an old dictionary by its relay uses it not, and is named", () =>
    withLogs(async () => {
      const door = await createBetween(relay.url);
      const { agents, process } = await site.agents({ names: ["notebook"], upstream: door.url, company: acme });
      const [agent] = agents as [(typeof agents)[number]];
      writeInventory(agent, [title(3), title(4)]);
      let old: Buffer | undefined;
      door.alterAnswer = (path, body) => void (path === "/ingest/v1/dictionary" && (old ??= Buffer.from(body)));
      await process.start();
      const id = await until("the agent to be enrolled", () => idOf(agent));
      others.push({ id, titles: () => titlesOf(agent) });
      await untilScanned(acme, id, () => titlesOf(agent));
      await until("it to hold a dictionary", () => old !== undefined);
      await publish(4);
      const { version } = await acme.api.get<{ version: number }>("/api/v1/dictionary");
      await until("it to hold the next", () => dictionaryHeld(agent.data) === version);
      door.alterAnswer = (path) => (path === "/ingest/v1/dictionary" ? old : undefined);
      await publish(5);
      await until("it to be named", async () =>
        (await acme.api.list<{ kind: string; reason?: { code: string } }>("/api/v1/policies/distribution")).some(
          ({ kind, reason }) => kind === "agent" && reason?.code === "document-older",
        ),
      );
      expect(dictionaryHeld(agent.data)).toBe(version);
      await process.stop();
      await door.close();
      await expectHealed();
    }));
});

describe("nodes one minor version apart", { sequential: true, timeout: 400_000 }, () => {
  it("a relay and agents to whom all above are newer, and say things nobody has heard of, work as before", () =>
    withLogs(async () => {
      const door = await createBetween(relay.url);
      for (const one of [between, door]) {
        one.version = "1.1";
        one.alterAnswer = withUnknownFields;
      }
      await relay.process.kill();
      await relay.process.start();
      const { agents, process } = await site.agents({
        process: "newer",
        names: ["newer"],
        upstream: door.url,
        company: acme,
      });
      const [agent] = agents as [(typeof agents)[number]];
      writeInventory(agent, someTitles(chance));
      await process.start();
      const id = await until("the agent to be enrolled", () => idOf(agent));
      others.push({ id, titles: () => titlesOf(agent) });
      const device = await join("newer-too", door.url);
      for (let round = 0; round < 3; round++) device.change(someTitles(chance));
      await untilHeld(acme, device.id, device.titles);
      writeInventory(agent, someTitles(chance));
      await untilScanned(acme, id, () => titlesOf(agent));
      await process.stop();
      await device.stop();
      await door.close();
      between.alterAnswer = between.version = undefined;
      await relay.process.kill();
      await relay.process.start();
      fleet.splice(fleet.indexOf(device), 1);
      others.push({ id: device.id, titles: () => device.titles });
      await expectHealed();
    }));
});

describe("an agent that means harm", { sequential: true, timeout: 400_000 }, () => {
  it("cannot speak for another, nor replay what it overheard", () =>
    withLogs(async () => {
      const evil = await join("evil");
      evil.change([title(1)]);
      await untilStored([evil]);
      const victim = fleet[0] as FleetDevice;
      const heard: Buffer[] = [];
      between.alterRequest = (path, body) => {
        if (path === "/ingest/v1/reports") heard.push(Buffer.from(body));
        return undefined;
      };
      victim.change(someTitles(chance));
      await until("something to be overheard", async () => heard.length > 0 && (await spoolOf(relay)) === 0);
      between.alterRequest = undefined;
      const key = createTestDevice("evil").signer;
      const forged = forge(victim.prepare([...victim.titles]), key);
      for (const [node, code] of [
        [relay, "device-not-sender"],
        [acme, "signature-invalid"],
      ] as const) {
        const answer = await post(node, evil, packBatch([forged]));
        expect((await answer.json()) as object).toMatchObject({ results: [{ status: "rejected", code }] });
      }
      await until("both to have said so", () =>
        [
          relay.process.logged("reports-rejected", "device-not-sender", evil.id),
          acme.process.logged("report-rejected", "signature-invalid"),
        ].every((lines) => lines > 0),
      );
      const replayed = (await (await post(relay, evil, heard[0] ?? Buffer.alloc(0))).json()) as object;
      expect(replayed).toMatchObject({ results: [{ status: "rejected", code: "device-not-sender" }] });
      await expectHealed();
    }));

  it("is still sending what is too large when it is told so, and hears it", () =>
    withLogs(async () => {
      const evil = await join("evil-3");
      const bytes = maxBatchBytes + 4 * 1024 * 1024;
      const own = { authorization: evil.uplink.authorization(), "content-type": reportsContentType };
      for (const node of [relay, acme]) {
        const sending = request(`${node.url}/ingest/v1/reports`, {
          method: "POST",
          headers: { ...own, "content-length": bytes },
        });
        sending.flushHeaders();
        const [answer] = (await once(sending, "response")) as [IncomingMessage];
        expect([node.process.name, answer.statusCode]).toEqual([node.process.name, 413]);
        expect((await readJson(answer)) as object).toMatchObject({ code: "too-large" });
        // The rest of it meets no broken line.
        sending.end(Buffer.alloc(bytes));
        await once(sending, "finish");
      }
    }));

  it("sends what is huge, deep, torn or not what it claims to be: each is refused with a code, at relay and server, and both go on", () =>
    withLogs(async () => {
      const evil = await join("evil-2");
      evil.change([title(2)]);
      await untilStored([evil]);
      const whole = evil.prepare([title(2), title(3)]);
      const deep = `{"nodes":${"[".repeat(300_000)}`;
      const requests: readonly [name: string, send: (node: Node) => Promise<Response>, statuses: readonly number[]][] =
        [
          ["larger than a batch may be", (node) => post(node, evil, Buffer.alloc(maxBatchBytes + 1024)), [413]],
          ["a bomb", (node) => post(node, evil, gzipSync(Buffer.alloc(400 * 1024 * 1024)), gzip), [400, 413]],
          ["no gzip", (node) => post(node, evil, Buffer.from("no gzip at all, not by far"), gzip), [400, 413]],
          [
            "an encoding nobody knows",
            (node) => post(node, evil, packBatch([whole]), { "content-encoding": "lzw" }),
            [415],
          ],
          ["a batch cut off", (node) => post(node, evil, packBatch([whole]).subarray(0, whole.length / 2)), [400]],
          ["more envelopes than a batch holds", (node) => post(node, evil, Buffer.alloc(4 * 1001)), [400]],
          ["depth", (node) => status(node, evil, deep), [400]],
          [
            "a status of a million nodes",
            (node) => status(node, evil, `{"nodes":[${"{},".repeat(300_000)}{}]}`),
            [400, 413],
          ],
          ["hashes cut off", (node) => post(node, evil, Buffer.alloc(13), {}, "/ingest/v1/titles"), [400]],
          ["a digest that is a path", (node) => get(node, evil, "/ingest/v1/blobs/..%2f..%2fetc%2fpasswd"), [400, 404]],
          [
            "an enrolment that is none",
            (node) => post(node, evil, Buffer.from(deep), json, "/ingest/v1/enroll"),
            [400, 413],
          ],
        ];
      for (const node of [relay, acme])
        for (const [name, send, statuses] of requests) {
          const answer = await send(node);
          expect([node.process.name, name, statuses.includes(answer.status) || answer.status]).toEqual([
            ...[node.process.name, name, true],
          ]);
          const problem = (await answer.json()) as { code?: string };
          expect([name, problem.code]).toEqual([name, expect.stringMatching(/^[a-z0-9-]+$/)]);
        }
      // One bit of it, anywhere: never taken, never a failure of the node.
      for (const node of [relay, acme]) {
        const bent = Array.from({ length: 200 }, () => {
          const bytes = Buffer.from(whole);
          const at = chance.whole(bytes.length);
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << chance.whole(8)), at);
          return bytes;
        });
        const answer = await post(node, evil, packBatch(bent));
        const { results } = (await answer.json()) as { results: { status: string }[] };
        expect(results.map(({ status }) => status)).toEqual(bent.map(() => "rejected"));
      }
      await shout(relay, evil);
      await shout(acme, evil);
      // Neither fell over and came back.
      expect([relay, acme].map(({ process }) => [process.running, process.logged("request-failed")])).toEqual([
        [true, 0],
        [true, 0],
      ]);
      evil.change([title(2), title(3), title(4)]);
      await expectHealed();
    }));
});

const dictionaryHeld = (data: string): number =>
  (JSON.parse(readFileSync(joinPath(data, "status.json"), "utf8")) as { dictionary: number }).dictionary;

const gzip = { "content-encoding": "gzip" };
const json = { "content-type": "application/json" };

function post(
  node: Node,
  device: FleetDevice,
  body: Buffer,
  headers: Record<string, string> = {},
  path = "/ingest/v1/reports",
): Promise<Response> {
  const own = { authorization: device.uplink.authorization(), "content-type": reportsContentType };
  return fetch(`${node.url}${path}`, { method: "POST", headers: { ...own, ...headers }, body: new Uint8Array(body) });
}
const status = (node: Node, device: FleetDevice, text: string): Promise<Response> =>
  post(node, device, Buffer.from(text), json, "/ingest/v1/status");
const get = (node: Node, device: FleetDevice, path: string): Promise<Response> =>
  fetch(`${node.url}${path}`, { headers: { authorization: device.uplink.authorization() } });

/** Messages on the channel that are no messages, and one that is too large: the line is cut, if anything. */
async function shout(node: Node, device: FleetDevice): Promise<void> {
  const socket = new WebSocket(`${node.url.replace("http", "ws")}/ingest/v1/channel`, {
    headers: { authorization: device.uplink.authorization() },
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  for (const text of ["", "{", '{"type":"presence","agents":1e308,"relays":-1}', `{"type":${"[".repeat(2_000)}`])
    socket.send(text);
  socket.send(Buffer.alloc(4 * 1024 * 1024));
  await closed;
}

/** Straight to the server, as any relay of the company could. */
async function deliver(envelopes: readonly Buffer[]): Promise<string[]> {
  const answers: string[] = [];
  for (let at = 0; at < envelopes.length; at += 7) {
    const answer = await post(acme, fleet[0] as FleetDevice, packBatch(envelopes.slice(at, at + 7)));
    const { results } = (await answer.json()) as { results: { status: string }[] };
    answers.push(...results.map(({ status: said }) => said));
  }
  return answers;
}

/** The same report under another's signature. */
function forge(envelope: Buffer, signer: Signer): Buffer {
  const opened = openEnvelope(envelope);
  if (!opened.ok) throw new Error("no envelope");
  const { body: _body, v: _v, ...header } = opened.envelope.header;
  return sealEnvelope({ ...header, seq: header.seq + 1 }, {}, signer);
}

/** As a newer node might answer. */
function withUnknownFields(_path: string, body: Buffer): Buffer | undefined {
  try {
    const value = JSON.parse(body.toString()) as Record<string, unknown>;
    // A signed document is what was signed.
    return "signatures" in value || "payload" in value
      ? undefined
      : Buffer.from(JSON.stringify({ ...value, sinceThen: { much: ["has", "changed"] } }));
  } catch {
    return undefined;
  }
}
