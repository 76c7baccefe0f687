import { createServer, request as httpRequest, type IncomingMessage, type Server as HttpServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { manualClock } from "@daicho/kernel";
import type { CompanyPositions, Position } from "@daicho/protocol";
import type { ServerConfig } from "../../config.ts";
import { enrollNode, type TestNode } from "../../testing/nodes.ts";
import { enterprisePolicy, localPolicy } from "../../testing/policies.ts";
import { startServer, until, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { DistributionItem } from "../nodes/index.ts";
import { createTask } from "./task.ts";

/** Something between two nodes that can look into, alter and cut what passes. */
interface Between {
  readonly url: string;
  /** What becomes of an answer's body; the answers themselves are real. */
  alter: (path: string, body: Buffer) => Buffer;
  away: boolean;
  /** Connections turned away. */
  readonly refused: number;
  close(): Promise<void>;
}

async function between(target: string): Promise<Between> {
  const sockets = new Set<Socket>();
  const state = { alter: (_path: string, body: Buffer): Buffer => body, away: false, refused: 0 };
  const to = new URL(target);
  const server: HttpServer = createServer((asked, answer) => {
    if (state.away) {
      state.refused++;
      return void asked.socket.destroy();
    }
    const headers = { ...asked.headers };
    // Only plain bodies can be altered here.
    delete headers["accept-encoding"];
    const passed = httpRequest(
      { host: to.hostname, port: to.port, path: asked.url, method: asked.method, headers },
      (got) => {
        void collect(got).then((body) => {
          const altered = state.alter(asked.url ?? "", body);
          answer.writeHead(got.statusCode ?? 502, { ...got.headers, "content-length": altered.length }).end(altered);
        });
      },
    );
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  server.on("upgrade", (asked, socket: Socket, head) => {
    if (state.away) return void socket.destroy();
    const up = connect(Number(to.port), to.hostname, () => {
      const lines = Object.entries(asked.headers).map(([name, value]) => `${name}: ${String(value)}`);
      up.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      up.write(head);
      socket.pipe(up).pipe(socket);
    });
    for (const end of [up, socket]) end.on("error", () => [up, socket].forEach((s) => s.destroy()));
    sockets.add(up);
  });
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get alter() {
      return state.alter;
    },
    set alter(next) {
      state.alter = next;
    },
    get refused() {
      return state.refused;
    },
    get away() {
      return state.away;
    },
    set away(next) {
      state.away = next;
      if (next) for (const socket of sockets) socket.destroy();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const position = (over: Partial<Position> = {}): Position => ({
  license: "@LIBO",
  name: "LibreOffice",
  metric: "device",
  required: 0,
  held: 10,
  rights: 8,
  requested: 1,
  used: 7,
  overUnder: 3,
  idle: 3,
  unmanaged: { preinstalled: 0, individual: 0, other: 0 },
  ...over,
});

forEachStore((store) => {
  const open: { stop(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
  });
  const start = async (config: Partial<ServerConfig> & Pick<ServerConfig, "role">): Promise<TestServer> => {
    const server = await startServer(store, config);
    open.push(server);
    return server;
  };
  const startBetween = async (target: string): Promise<Between> => {
    const made = await between(target);
    open.push({ stop: () => made.close() });
    return made;
  };
  const publish = async (server: TestServer, version: number, codes?: readonly string[]): Promise<void> => {
    const answer = await server.api("PUT", "/api/v1/policies/enterprise", {
      body: enterprisePolicy(version, codes),
      type: "application/yaml",
    });
    expect(answer.status).toBe(200);
  };
  const standing = async (server: TestServer, name: string): Promise<DistributionItem | undefined> => {
    const { items } = (await server.api("GET", "/api/v1/policies/distribution")).json<{ items: DistributionItem[] }>();
    return items.find((item) => item.name === name);
  };
  const company = async (group: TestServer, url = group.url, over: Partial<ServerConfig> = {}): Promise<TestServer> =>
    start({
      role: "corporate",
      name: "sub",
      upstream: { url, enrollmentToken: await group.enrollmentToken(1) },
      ...over,
    });

  describe("from the group to every company (domain.md §2)", () => {
    it("a published policy reaches the company's dictionary, and what it holds is known at the group, with nobody touching it", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const sub = await company(group);
      await until("version 1 at the company", () => sub.server.policies.current().enterprise === 1);
      await until("the channel", () => group.server.nodes.channel.counts().server === 1);
      await publish(group, 2, ["@LIBO7", "@GIMP2"]);
      await until("version 2 at the company", () => sub.server.policies.current().enterprise === 2);
      expect(sub.server.policies.current().dictionary?.software.map((s) => s.code)).toEqual(["@LIBO7", "@GIMP2"]);
      expect((await sub.api("GET", "/api/v1/policies/enterprise")).text).toBe(
        enterprisePolicy(2, ["@LIBO7", "@GIMP2"]),
      );
      const seen = await until("the group to know", async () => {
        const item = await standing(group, "sub");
        return item?.policy === 2 && item.state === "complete" && item;
      });
      expect(seen).toMatchObject({ kind: "server", company: "sub", node: sub.server.nodes.id, dictionary: 2 });
    });

    it("relays of the company are seen at the group with their state", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const sub = await company(group);
      await until("the dictionary", () => sub.server.policies.current().generation === 1);
      const relay = await enrollNode({ url: sub.url, token: await sub.enrollmentToken(1), kind: "relay", name: "r1" });
      open.push(relay);
      await until("the relay at the group", async () => (await standing(group, "r1"))?.state === "none");
      await relay.uplink.postStatus([relay.status({ company: "sub", dictionary: 1, state: "complete" })]);
      expect(
        await until("its state at the group", async () => {
          const item = await standing(group, "r1");
          return item?.state === "complete" && item;
        }),
      ).toMatchObject({ company: "sub", parent: sub.server.nodes.id, policy: 1, dictionary: 1 });
    });

    it("a policy that conflicts with the local edition is not in force: the reason is named at the company and at the group", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const sub = await company(group);
      await until("version 1", () => sub.server.policies.current().enterprise === 1);
      await sub.api("PUT", "/api/v1/policies/local", { body: localPolicy(1, ["@MINE"]), type: "text/yaml" });
      const before = sub.server.policies.current();
      await publish(group, 2, ["@LIBO7", "@MINE"]);
      const seen = await until("the failure at the group", async () => {
        const item = await standing(group, "sub");
        return item?.state === "failed" && item;
      });
      expect(seen).toMatchObject({ policy: 1, reason: { code: "policy-conflict" } });
      expect(seen.reason?.message).toContain("@MINE");
      expect(sub.server.policies.current()).toEqual(before);
      await sub.api("PUT", "/api/v1/policies/local", { body: localPolicy(2, ["@OTHER"]), type: "text/yaml" });
      await until("the recovery at the group", async () => (await standing(group, "sub"))?.state === "complete");
    });

    it("a policy altered on its way is refused and named; the right one is taken when it comes", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const proxy = await startBetween(group.url);
      proxy.alter = (path, body) =>
        path === "/ingest/v1/policy" ? Buffer.from(body.toString("utf8").replace("libo7", "evil7")) : body;
      const sub = await company(group, proxy.url);
      expect(
        await until("the refusal at the group", async () => {
          const item = await standing(group, "sub");
          return item?.state === "failed" && item;
        }),
      ).toMatchObject({ reason: { code: "document-altered" } });
      expect(await standing(sub, "sub")).toMatchObject({ state: "failed", reason: { code: "document-altered" } });
      expect(sub.server.policies.current().generation).toBe(0);
      proxy.alter = (_path, body) => body;
      await publish(group, 2);
      await until("the recovery", async () => (await standing(group, "sub"))?.state === "complete");
      expect(sub.server.policies.current()).toMatchObject({ enterprise: 2 });
    });

    it("an older policy, rightly signed, is refused and named, and the one held stays in force", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const proxy = await startBetween(group.url);
      let old: Buffer | undefined;
      proxy.alter = (path, body) => {
        if (path === "/ingest/v1/policy" && body.includes("enterprise-policy/v1")) old ??= body;
        return body;
      };
      const sub = await company(group, proxy.url);
      await until("version 1", () => sub.server.policies.current().enterprise === 1);
      await until("the channel", () => group.server.nodes.channel.counts().server === 1);
      await publish(group, 2, ["@GIMP2"]);
      await until("version 2", () => sub.server.policies.current().enterprise === 2);
      const before = sub.server.policies.current();
      proxy.alter = (path, body) => (path === "/ingest/v1/policy" && old !== undefined ? old : body);
      await publish(group, 3);
      expect(
        await until("the refusal at the group", async () => {
          const item = await standing(group, "sub");
          return item?.state === "failed" && item;
        }),
      ).toMatchObject({ policy: 2, reason: { code: "document-older" } });
      expect(sub.server.policies.current()).toEqual(before);
    });

    it("a group that is away at the start, or for a while, is waited for", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const proxy = await startBetween(group.url);
      proxy.away = true;
      const sub = await company(group, proxy.url);
      await until("a try in vain", () => proxy.refused > 0);
      expect((await sub.api("GET", "/readyz")).status).toBe(200);
      proxy.away = false;
      await until("version 1 after the outage", () => sub.server.policies.current().enterprise === 1);
      await until("the channel", () => group.server.nodes.channel.counts().server === 1);
      proxy.away = true;
      await until("the channel's end", () => group.server.nodes.channel.counts().server === 0);
      await publish(group, 2);
      proxy.away = false;
      await until("version 2 after the second outage", () => sub.server.policies.current().enterprise === 2);
    });

    it("a restarted company is the same node and needs its token no more", async () => {
      const group = await start({ role: "group", name: "group" });
      await publish(group, 1);
      const database = await store.url();
      const upstream = { url: group.url, enrollmentToken: await group.enrollmentToken(1) };
      const first = await startServer(store, { role: "corporate", name: "sub", database, upstream });
      await until("version 1", () => first.server.policies.current().enterprise === 1);
      await first.stop();
      await publish(group, 2, ["@GIMP2"]);
      const second = await startServer(store, {
        role: "corporate",
        name: "sub",
        database,
        upstream: { url: group.url },
      });
      open.push(second);
      await until("version 2", () => second.server.policies.current().enterprise === 2);
      expect((await group.api("GET", "/api/v1/nodes?kind=server")).json<{ items: object[] }>().items).toHaveLength(1);
    });

    if (store.name === "postgres")
      it("several servers of one company on one database are one node above, and all follow", async () => {
        const group = await start({ role: "group", name: "group" });
        await publish(group, 1);
        const shared = {
          role: "corporate" as const,
          name: "sub",
          database: await store.url(),
          upstream: { url: group.url, enrollmentToken: await group.enrollmentToken(1) },
        };
        const [first, second] = [await start(shared), await start(shared)];
        // Whoever is on duty speaks to the group.
        await until("the one channel", () => group.server.nodes.channel.counts().server === 1);
        await publish(group, 2, ["@GIMP2"]);
        for (const server of [first, second])
          await until("version 2 on each", () => server.server.policies.current().enterprise === 2);
        expect(first.server.policies.current()).toEqual(second.server.policies.current());
        expect((await group.api("GET", "/api/v1/nodes")).json<{ items: object[] }>().items).toHaveLength(1);
        expect((await group.api("GET", "/api/v1/enrollment-tokens")).json()).toMatchObject({ items: [{ used: 1 }] });
        await first.stop();
        await publish(group, 3);
        await until("version 3 at the one that is left", () => second.server.policies.current().enterprise === 3);
      });

    it("the enterprise policy of a server with a group above comes from there only", async () => {
      const group = await start({ role: "group", name: "group" });
      const both = await start({
        role: "both",
        name: "middle",
        upstream: { url: group.url, enrollmentToken: await group.enrollmentToken(1) },
      });
      const refused = await both.api("PUT", "/api/v1/policies/enterprise", {
        body: enterprisePolicy(1),
        type: "text/yaml",
      });
      expect(refused.json()).toMatchObject({ code: "conflict" });
      await publish(group, 1);
      await until("version 1 in the middle", () => both.server.policies.current().enterprise === 1);
      // A group below a group hands it on under its own root.
      const sub = await company(both);
      await until("version 1 below", () => sub.server.policies.current().enterprise === 1);
      await until("the lowest company at the top", async () => (await standing(group, "sub"))?.company === "sub");
    });
  });

  describe("company positions (domain.md §7)", () => {
    const companyServer = async (group: TestServer, name: string): Promise<TestNode> => {
      const node = await enrollNode({ url: group.url, token: await group.enrollmentToken(1), kind: "server", name });
      open.push(node);
      return node;
    };
    const report = (name: string, version: number, over: Partial<CompanyPositions> = {}): CompanyPositions => ({
      company: name,
      version,
      policy: 3,
      at: "2026-11-01T00:00:00Z",
      devices: 12,
      positions: [position({ used: version })],
      ...over,
    });

    it("the newest is shown; an older one, whenever it comes, changes nothing", async () => {
      const group = await start({ role: "group", name: "group" });
      const sub = await companyServer(group, "sub");
      const positions = async () =>
        (await group.api("GET", "/api/v1/companies/sub/positions")).json<{ items: Position[]; version?: number }>();
      expect((await group.api("GET", "/api/v1/companies")).json()).toEqual({ items: [{ name: "sub", node: sub.id }] });
      expect((await positions()).items).toEqual([]);
      for (const version of [5, 4, 5]) await sub.uplink.postCompanyPositions(report("sub", version));
      expect(await positions()).toMatchObject({ version: 5, policy: 3, devices: 12, at: "2026-11-01T00:00:00.000Z" });
      expect((await positions()).items).toEqual([position({ used: 5 })]);
      await sub.uplink.postCompanyPositions(report("sub", 5, { policy: 4 }));
      await sub.uplink.postCompanyPositions(report("sub", 5, { policy: 3 }));
      expect(await positions()).toMatchObject({ version: 5, policy: 4 });
      await Promise.all([9, 7, 8, 6].map((version) => sub.uplink.postCompanyPositions(report("sub", version))));
      expect((await positions()).items[0]?.used).toBe(9);
      expect((await group.api("GET", "/api/v1/companies")).json()).toMatchObject({
        items: [{ name: "sub", version: 9, devices: 12 }],
      });
      expect((await group.api("GET", "/api/v1/companies/none/positions")).status).toBe(404);
    });

    it("a company sends only its own, from the server that is enrolled under its name", async () => {
      const group = await start({ role: "group", name: "group" });
      const [a, b] = [await companyServer(group, "a"), await companyServer(group, "b")];
      expect(await a.uplink.postCompanyPositions(report("b", 1))).toMatchObject({
        kind: "refused",
        problem: { code: "not-allowed" },
      });
      expect(await b.uplink.postCompanyPositions(report("b", 1))).toMatchObject({ kind: "ok" });
      await group.api("DELETE", `/api/v1/nodes/${b.id}`);
      expect(await b.uplink.postCompanyPositions(report("b", 2))).toMatchObject({
        kind: "refused",
        problem: { code: "node-removed" },
      });
      expect(await a.uplink.postCompanyPositions(report("a", 1, { at: "yesterday" }))).toMatchObject({
        kind: "refused",
      });
      expect(
        await a.uplink.postCompanyPositions({ ...report("a", 1), positions: [{ license: "x" } as Position] }),
      ).toMatchObject({
        kind: "refused",
        problem: { code: "input-invalid" },
      });
    });

    it("a count that changes at the company changes at the group, and so does what a new policy makes of it", async () => {
      const group = await start({ role: "both", name: "group" });
      await publish(group, 1, ["@LIBO7"]);
      const sub = await company(group);
      await until("version 1", () => sub.server.policies.current().enterprise === 1);
      const title = (name: string) => ({ name, version: "1", source: "dpkg" });
      const inventory = (hostname: string) => ({
        daicho: "inventory/v1",
        device: { id: hostname, hostname },
        software: [title("libo7"), title("gimp2")],
      });
      const take = async (server: TestServer, json: unknown): Promise<void> =>
        expect((await server.api("POST", "/api/v1/imports/inventories", { json })).status).toBe(200);
      const used = async (name: string): Promise<Record<string, number>> => {
        const { items } = (await group.api("GET", `/api/v1/companies/${name}/positions`)).json<{ items: Position[] }>();
        return Object.fromEntries(items.map((p) => [p.license, p.used]));
      };
      await take(sub, [inventory("pc1"), inventory("pc2")]);
      await take(group, inventory("pc3"));
      await until("the counts at the group", async () => (await used("sub"))["@LIBO7"] === 2);
      expect(await used("group")).toEqual({ "@LIBO7": 1 });
      await publish(group, 2, ["@LIBO7", "@GIMP2"]);
      await until("the new policy's counts at the group", async () => (await used("sub"))["@GIMP2"] === 2);
      await until("its own", async () => (await used("group"))["@GIMP2"] === 1);
      const companies = (await group.api("GET", "/api/v1/companies")).json<{ items: object[] }>();
      expect(companies.items).toMatchObject([
        { name: "group", policy: 2, devices: 1 },
        { name: "sub", policy: 2, devices: 2, node: sub.server.nodes.id },
      ]);
    });

    it("belongs to a group server", async () => {
      const corporate = await start({ role: "corporate" });
      expect((await corporate.api("GET", "/api/v1/companies")).json()).toMatchObject({ code: "wrong-role" });
    });
  });
});

describe("a task", () => {
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it("runs once for a burst, keeps its distance, waits as told, and never twice at once", async () => {
    const clock = manualClock();
    const runs: number[] = [];
    let answer: number | undefined;
    let hold: (() => void) | undefined;
    const task = createTask({
      clock,
      everyMs: 60_000,
      leastDistanceMs: 500,
      onError: () => runs.push(-1),
      async run() {
        runs.push(clock.now());
        if (hold !== undefined) await new Promise<void>((resolve) => (hold = resolve));
        return answer;
      },
    });
    const advance = async (ms: number): Promise<void> => {
      clock.advance(ms);
      await settle();
    };
    for (let i = 0; i < 10; i++) task.soon(100);
    await advance(100);
    expect(runs).toEqual([100]);
    task.soon(0);
    await advance(499);
    expect(runs).toEqual([100]);
    await advance(1);
    expect(runs).toEqual([100, 600]);
    answer = 5_000;
    await advance(60_000);
    expect(runs).toEqual([100, 600, 60_600]);
    task.soon(0);
    await advance(4_999);
    expect(runs).toHaveLength(3);
    answer = undefined;
    hold = () => undefined;
    await advance(1);
    expect(runs).toHaveLength(4);
    task.soon(0);
    await advance(10_000);
    expect(runs).toHaveLength(4);
    const release = hold;
    hold = undefined;
    release();
    await settle();
    await advance(500);
    expect(runs).toHaveLength(5);
    await task.stop();
    task.soon(0);
    await advance(120_000);
    expect(runs).toHaveLength(5);
  });
});
