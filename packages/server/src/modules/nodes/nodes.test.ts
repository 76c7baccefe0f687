import { createHash } from "node:crypto";
import { request } from "node:http";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import {
  createSigner,
  enrollProofText,
  generateKeyPair,
  sealEnvelope,
  verifyDocument,
  type EnrollResponse,
  type NodeKind,
  type NodeStatus,
} from "@daicho/protocol";
import type { ServerConfig } from "../../config.ts";
import { enrollNode, type TestNode } from "../../testing/nodes.ts";
import { enterprisePolicy } from "../../testing/policies.ts";
import { startServer, until, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { DistributionItem } from "./index.ts";

forEachStore((store) => {
  const open: { stop(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
  });
  const start = async (role: ServerConfig["role"], config: Partial<ServerConfig> = {}): Promise<TestServer> => {
    const server = await startServer(store, { role, ...config });
    open.push(server);
    return server;
  };
  const below = async (server: TestServer, kind: NodeKind, name: string): Promise<TestNode> => {
    const node = await enrollNode({ url: server.url, token: await server.enrollmentToken(1), kind, name });
    open.push(node);
    return node;
  };
  const publish = (server: TestServer, version: number) =>
    server.api("PUT", "/api/v1/policies/enterprise", { body: enterprisePolicy(version), type: "application/yaml" });
  const standing = async (server: TestServer): Promise<Record<string, DistributionItem>> => {
    const { items } = (await server.api("GET", "/api/v1/policies/distribution")).json<{ items: DistributionItem[] }>();
    return Object.fromEntries(items.map((item) => [item.name, item]));
  };
  const post = (server: TestServer, node: TestNode, path: string, body: unknown, headers: object = {}) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { authorization: node.uplink.authorization(), "content-type": "application/json", ...headers },
      body: Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });

  describe("enrolment", () => {
    const ask = (
      server: TestServer,
      token: string,
      options: {
        pair?: ReturnType<typeof generateKeyPair>;
        kind?: NodeKind;
        name?: string;
        proofFor?: string;
        headers?: object;
      } = {},
    ) => {
      const signer = createSigner(options.pair ?? generateKeyPair());
      const { kind = "relay", name = "tokyo-3f" } = options;
      const proof = signer
        .sign(enrollProofText({ token: options.proofFor ?? token, kind, name }))
        .toString("base64url");
      return fetch(`${server.url}/ingest/v1/enroll`, {
        method: "POST",
        headers: { "content-type": "application/json", ...options.headers },
        body: JSON.stringify({ token, publicKey: signer.publicKey, kind, name, proof }),
      });
    };
    const code = async (answer: Response): Promise<string> => ((await answer.json()) as { code: string }).code;

    it("gives a certificate for exactly the key that proved itself, under the root that the token names", async () => {
      const server = await start("corporate");
      const token = await server.enrollmentToken();
      const pair = generateKeyPair();
      const answer = (await (await ask(server, token, { pair })).json()) as EnrollResponse;
      expect(answer.root.keys[0]?.id).toBe(token.split(".")[2]);
      expect(verifyDocument(answer.certificate, "certificate/v1", answer.root)).toMatchObject({
        ok: true,
        payload: { kind: "relay", name: "tokyo-3f", publicKey: pair.publicKey, company: "acme", id: answer.id },
      });
    });

    it("the same key with the token that let it in gets its certificate again and takes no further use", async () => {
      const server = await start("corporate");
      const token = await server.enrollmentToken(1);
      const pair = generateKeyPair();
      const answers = await Promise.all([1, 2, 3].map(() => ask(server, token, { pair })));
      expect(answers.map((a) => a.status)).toEqual([200, 200, 200]);
      expect((await ask(server, token, { pair })).status).toBe(200);
      expect((await server.api("GET", "/api/v1/enrollment-tokens")).json()).toMatchObject({
        items: [{ used: 1, usesLeft: 0 }],
      });
      expect(await code(await ask(server, token))).toBe("enrollment-token-invalid");
      const roomy = await server.enrollmentToken(5);
      const other = generateKeyPair();
      for (let i = 0; i < 3; i++) expect((await ask(server, roomy, { pair: other })).status).toBe(200);
      expect((await server.server.access.listEnrollmentTokens()).at(-1)).toMatchObject({ used: 1 });
      const [row] = await server.server.access.listEnrollmentTokens();
      await server.server.access.revokeEnrollmentToken(row?.id ?? "");
      expect(await code(await ask(server, token, { pair }))).toBe("enrollment-token-invalid");
    });

    it("a request whose proof is for something else takes no use", async () => {
      const server = await start("corporate");
      const token = await server.enrollmentToken(1);
      expect(await code(await ask(server, token, { proofFor: "dct1.other" }))).toBe("enrollment-proof-invalid");
      expect((await ask(server, token)).status).toBe(200);
    });

    it("a company's server enrols at a group, relays at a company; a company has one server", async () => {
      const corporate = await start("corporate");
      expect(await code(await ask(corporate, await corporate.enrollmentToken(), { kind: "server", name: "sub" }))).toBe(
        "wrong-role",
      );
      const group = await start("group", { name: "group" });
      const token = await group.enrollmentToken();
      expect(await code(await ask(group, token))).toBe("wrong-role");
      const results = await Promise.all([1, 2, 3].map(() => ask(group, token, { kind: "server", name: "sub" })));
      expect(results.map((r) => r.status).sort()).toEqual([200, 409, 409]);
      expect(await code(await ask(group, token, { kind: "server", name: "group" }))).toBe("already-exists");
      expect((await ask(group, token, { kind: "server", name: "no company" })).status).toBe(400);
      const [sub] = (await group.api("GET", "/api/v1/nodes?kind=server")).json<{ items: { id: string }[] }>().items;
      expect((await group.api("DELETE", `/api/v1/nodes/${sub?.id}`)).status).toBe(204);
      expect((await ask(group, token, { kind: "server", name: "sub" })).status).toBe(200);
    });

    it("an address that fails again and again is told to come back later; one relay's senders cannot shut it out", async () => {
      const server = await start("corporate");
      const relay = await below(server, "relay", "r1");
      let last = 200;
      for (let i = 0; i < 40 && last !== 429; i++) last = (await ask(server, "dct1.wrong")).status;
      expect(last).toBe(429);
      const limited = await ask(server, await server.enrollmentToken());
      expect(limited.status).toBe(429);
      expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
      const headers = { authorization: relay.uplink.authorization() };
      expect((await ask(server, await server.enrollmentToken(), { headers })).status).toBe(200);
    });

    it("another protocol version is refused on every route of nodes, one minor version apart is served", async () => {
      const server = await start("corporate");
      for (const path of ["enroll", "reports", "status", "dictionary", "no-such-route"]) {
        const answer = await fetch(`${server.url}/ingest/v1/${path}`, { headers: { "daicho-protocol": "2.0" } });
        expect([answer.status, await code(answer)]).toEqual([426, "version-unsupported"]);
      }
      const near = await fetch(`${server.url}/ingest/v1/dictionary`, { headers: { "daicho-protocol": "1.1" } });
      expect(near.status).toBe(401);
    });
  });

  describe("documents and content down", () => {
    it("the dictionary is signed, conditional and compressed; there is none before a policy", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      expect(await relay.uplink.fetchDocument("/ingest/v1/dictionary")).toEqual({
        kind: "ok",
        value: { kind: "none" },
      });
      await publish(server, 1);
      const first = await relay.uplink.fetchDocument("/ingest/v1/dictionary");
      if (first.kind !== "ok" || first.value.kind !== "document") throw new Error("no dictionary came");
      expect(first.value.payload).toMatchObject({ version: 1, company: "acme", software: [{ code: "@LIBO7" }] });
      const { etag } = first.value;
      expect(await relay.uplink.fetchDocument("/ingest/v1/dictionary", { etag, version: 1 })).toEqual({
        kind: "ok",
        value: { kind: "not-modified" },
      });
      expect((await fetch(`${server.url}/ingest/v1/dictionary`)).status).toBe(401);
    });

    it("the enterprise policy goes to servers only, with the text as it was written", async () => {
      const server = await start("both", { name: "group" });
      await publish(server, 4);
      const sub = await below(server, "server", "sub");
      const relay = await below(server, "relay", "r1");
      expect(await sub.uplink.fetchDocument("/ingest/v1/policy")).toMatchObject({
        value: {
          kind: "document",
          payload: { group: "group", id: "group-standard", version: 4, text: enterprisePolicy(4) },
        },
      });
      expect(await relay.uplink.fetchDocument("/ingest/v1/policy")).toMatchObject({
        kind: "refused",
        problem: { code: "not-allowed" },
      });
    });

    it("content is served by its digest, whole or in part, and only while it has that digest", async () => {
      const server = await start("corporate");
      const relay = await below(server, "relay", "r1");
      const content = Buffer.from("0123456789".repeat(1000));
      const name = createHash("sha256").update(content).digest("hex");
      const dir = join(server.data, "blobs");
      mkdirSync(dir);
      const get = (id: string, headers: object = {}) =>
        fetch(`${server.url}/ingest/v1/blobs/${id}`, {
          headers: { authorization: relay.uplink.authorization(), ...headers },
        });
      expect((await get(name)).status).toBe(404);
      writeFileSync(join(dir, name), content.subarray(1));
      expect((await get(name)).status).toBe(404);
      writeFileSync(join(dir, name), content);
      expect(Buffer.from(await (await get(name)).arrayBuffer()).equals(content)).toBe(true);
      for (const [range, expected] of [
        ["bytes=0-4", "01234"],
        ["bytes=9995-", "56789"],
        ["bytes=-3", "789"],
        ["bytes=9999-20000", "9"],
      ] as const) {
        const part = await get(name, { range });
        expect([part.status, await part.text()]).toEqual([206, expected]);
      }
      expect((await get(name, { range: "bytes=0-4" })).headers.get("content-range")).toBe("bytes 0-4/10000");
      const outside = await get(name, { range: "bytes=10000-" });
      expect([outside.status, outside.headers.get("content-range")]).toEqual([416, "bytes */10000"]);
      expect((await get(name, { range: "bytes=0-4", "if-range": '"other"' })).status).toBe(200);
      expect((await get(name, { "if-none-match": `"${name}"` })).status).toBe(304);
      writeFileSync(join(server.data, "secret"), "secret");
      symlinkSync(join(server.data, "secret"), join(dir, createHash("sha256").update("secret").digest("hex")));
      for (const id of [
        createHash("sha256").update("secret").digest("hex"),
        "..%2Fsecret",
        "%2e%2e%2fsecret",
        name.toUpperCase(),
      ])
        expect((await get(id)).status).toBe(404);
    });
  });

  describe("channel", () => {
    it("says hello, tells of a new dictionary and passes wishes down to whom they concern", async () => {
      const server = await start("both", { name: "group" });
      await publish(server, 1);
      const [relay, sub] = [await below(server, "relay", "r1"), await below(server, "server", "sub")];
      for (const node of [relay, sub]) node.connect();
      await until("two hellos", () => relay.heard.length === 1 && sub.heard.length === 1);
      await publish(server, 2).then(() =>
        server.api("PUT", "/api/v1/policies/enterprise", { body: enterprisePolicy(7, ["@NEW"]), type: "text/yaml" }),
      );
      await until("the relay to hear of dictionary 2", () =>
        relay.heard.find((m) => m.type === "policy-changed" && m.dictionary === 2),
      );
      await until("the server to hear of policy 7", () =>
        sub.heard.find((m) => m.type === "policy-changed" && m.dictionary === 7),
      );
      const device = "a".repeat(32);
      server.server.nodes.channel.needFull([device]);
      await until("the relay to be asked", () =>
        relay.heard.find((m) => m.type === "need-full" && m.devices[0] === device),
      );
      expect((await server.api("POST", "/api/v1/nodes/scan-now", { as: "auditor" })).status).toBe(403);
      const words = { text: "本日18時に停止します" };
      expect((await server.api("POST", "/api/v1/nodes/message", { json: words, as: "auditor" })).status).toBe(403);
      expect((await server.api("POST", "/api/v1/nodes/message", { json: { text: "" } })).status).toBe(400);
      expect((await server.api("POST", "/api/v1/nodes/message", { json: words })).json()).toEqual({ connections: 1 });
      await until("the words", () => relay.heard.some((m) => m.type === "message" && m.text === words.text));
      expect((await server.api("POST", "/api/v1/nodes/scan-now", { as: "manager" })).json()).toEqual({
        connections: 2,
      });
      await until("both to be asked to scan", () =>
        [relay, sub].every((n) => n.heard.some((m) => m.type === "scan-now")),
      );
      expect(sub.heard.some((m) => m.type === "need-full")).toBe(false);
      expect((await server.api("GET", "/metrics")).text).toContain('daicho_channel_connections{kind="relay"} 1');
      expect((await server.api("GET", "/metrics")).text).toMatch(
        /daicho_dictionary_version 2[^]*daicho_devices\{dictionary="current"\} 0/,
      );
    });

    it("of one node the newest connection counts: nobody takes the room of others", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      const [first, second] = [relay.connect(), relay.connect()];
      await until("one of them", async () => {
        const { items } = (await server.api("GET", "/api/v1/nodes")).json<{ items: { online: boolean }[] }>();
        return items[0]?.online === true && first.connected !== second.connected;
      });
      expect(server.server.nodes.channel.counts().relay).toBe(1);
    });

    it("refuses strangers with a problem document, and cuts off who sends nonsense", async () => {
      const server = await start("corporate");
      const stranger = await new Promise<number | undefined>((resolve, reject) => {
        const headers = {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          authorization: "Daicho e30.1.AAAA",
        };
        const asked = request(`${server.url}/ingest/v1/channel`, { headers });
        asked.on("response", (answer) => resolve(answer.statusCode)).on("upgrade", () => resolve(101));
        asked.on("error", reject).end();
      });
      expect(stranger).toBe(401);
      const relay = await below(server, "relay", "r1");
      const channel = relay.connect();
      await until("the connection", () => channel.connected);
      channel.send({ type: "presence", agents: 12, relays: 1 });
      await until("the presence", () => server.server.nodes.channel.presence() === 12);
      channel.send({ type: "presence", agents: -1, relays: 0 });
      await until("the cut, and another hello", () => relay.heard.filter((m) => m.type === "hello").length === 2);
      await until("a presence that says nothing yet", () => server.server.nodes.channel.presence() === 0);
    });
  });

  describe("status and distribution (domain.md §2, fig. 11)", () => {
    it("none, in progress, failed with its reason, complete - and never more than was said", async () => {
      const server = await start("both");
      expect((await standing(server))["acme"]).toMatchObject({ kind: "server", state: "none" });
      await publish(server, 1);
      const relay = await below(server, "relay", "r1");
      expect(await standing(server)).toMatchObject({
        acme: { state: "complete", policy: 1, dictionary: 1 },
        r1: { state: "none", kind: "relay", company: "acme" },
      });
      const say = async (over: Partial<NodeStatus>): Promise<DistributionItem | undefined> => {
        expect(await relay.uplink.postStatus([relay.status(over)])).toMatchObject({ kind: "ok" });
        return (await standing(server))["r1"];
      };
      expect(await say({ dictionary: 0, state: "none" })).toMatchObject({ state: "none", lag: { versions: 1 } });
      const oldestAt = new Date(Date.now() - 90_000).toISOString();
      expect(
        await say({ dictionary: 1, state: "complete", spool: { records: 3, bytes: 900, oldestAt } }),
      ).toMatchObject({
        state: "complete",
        policy: 1,
        spool: { records: 3 },
        lag: { versions: 0, seconds: expect.closeTo(90, -1) },
      });
      await publish(server, 2).then(() =>
        server.api("PUT", "/api/v1/policies/enterprise", { body: enterprisePolicy(3, ["@X1"]), type: "text/yaml" }),
      );
      expect((await standing(server))["r1"]).toMatchObject({
        state: "in-progress",
        policy: 2,
        dictionary: 1,
        lag: { versions: 1 },
      });
      const reason = { code: "document-altered", message: "the dictionary served by hq was refused" };
      expect(await say({ dictionary: 1, state: "failed", reason })).toMatchObject({ state: "failed", reason });
      expect(await say({ dictionary: 9, state: "complete" })).toMatchObject({
        state: "failed",
        reason: { code: "node-newer" },
      });
      expect(await say({ dictionary: 2, state: "complete" })).toMatchObject({ state: "complete", policy: 3 });
    });

    it("at a group: a company's server by its policy, its relays by their server's dictionary", async () => {
      const group = await start("group", { name: "group" });
      await publish(group, 5);
      const sub = await below(group, "server", "sub");
      const relayStatus = (dictionary: number): NodeStatus =>
        sub.status({ id: "b".repeat(32), kind: "relay", name: "sub-r1", dictionary, state: "complete" });
      const say = async (policy: number, dictionary: number, relayHolds: number) => {
        const answer = await sub.uplink.postStatus([
          sub.status({ policy, dictionary, state: "complete", ...{ agents: { current: 7, behind: 2 } } }),
          relayStatus(relayHolds),
        ]);
        expect(answer.kind).toBe("ok");
        return standing(group);
      };
      expect(await say(5, 12, 12)).toMatchObject({
        group: { state: "complete", policy: 5 },
        sub: { state: "complete", policy: 5, dictionary: 12, agents: { current: 7, behind: 2 } },
        "sub-r1": { state: "complete", policy: 5, dictionary: 12, parent: sub.id },
      });
      expect(await say(5, 12, 11)).toMatchObject({ sub: { state: "complete" }, "sub-r1": { state: "in-progress" } });
      expect(await say(4, 11, 11)).toMatchObject({
        sub: { state: "in-progress", lag: { versions: 1 } },
        "sub-r1": { state: "in-progress" },
      });
    });

    it("who is behind and has not been heard of for minutes is not yet distributed, nor online, however far below it is", async () => {
      const group = await start("group", { name: "group" });
      await publish(group, 5);
      const sub = await below(group, "server", "sub");
      const relay = sub.status({
        id: "b".repeat(32),
        kind: "relay",
        name: "sub-r1",
        dictionary: 11,
        state: "complete",
      });
      await sub.uplink.postStatus([sub.status({ policy: 5, dictionary: 12, state: "complete" }), relay]);
      const seen = async (node: string, ago: number) => {
        const last_seen_at = Date.now() - ago;
        await group.server.db.kysely.updateTable("node_nodes").set({ last_seen_at }).where("id", "=", node).execute();
        const { items } = (await group.api("GET", "/api/v1/nodes")).json<{
          items: { id: string; online: boolean }[];
        }>();
        return [(await standing(group))["sub-r1"]?.state, items.find(({ id }) => id === relay.id)?.online];
      };
      expect(await seen(relay.id, 60_000)).toEqual(["in-progress", true]);
      expect(await seen(relay.id, 240_000)).toEqual(["none", false]);
      expect((await standing(group))["sub"]).toMatchObject({ state: "complete" });
      await publish(group, 6);
      expect(await seen(sub.id, 60_000)).toEqual(["none", false]);
      expect((await standing(group))["sub"]).toMatchObject({ state: "in-progress" });
      await seen(sub.id, 240_000);
      expect((await standing(group))["sub"]).toMatchObject({ state: "none", policy: 5, lag: { versions: 1 } });
    });

    it("agents are listed while they fail and forgotten when they recover", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      const agent = (state: NodeStatus["state"]): NodeStatus =>
        relay.status({ id: "c".repeat(32), kind: "agent", name: "pc07", state, at: new Date().toISOString() });
      await relay.uplink.postStatus([relay.status(), agent("failed")]);
      expect((await standing(server))["pc07"]).toMatchObject({ state: "failed", kind: "agent" });
      // A relay says only what changed: not being named is not being well.
      await relay.uplink.postStatus([relay.status()]);
      expect((await standing(server))["pc07"]).toBeDefined();
      await relay.uplink.postStatus([relay.status(), agent("complete")]);
      expect((await standing(server))["pc07"]).toBeUndefined();
    });

    it("a status that comes by another way is taken only if it was made later", async () => {
      const server = await start("both");
      await publish(server, 1);
      const [first, second] = [await below(server, "relay", "r1"), await below(server, "relay", "r2")];
      await second.uplink.postStatus([second.status({ dictionary: 1, state: "complete" })]);
      const about = (ms: number): NodeStatus =>
        second.status({ dictionary: 0, state: "failed", at: new Date(Date.now() + ms).toISOString() });
      await first.uplink.postStatus([first.status(), about(-60_000)]);
      expect((await standing(server))["r2"]).toMatchObject({ state: "complete" });
      await first.uplink.postStatus([first.status(), about(1_000)]);
      expect((await standing(server))["r2"]).toMatchObject({ state: "failed" });
    });

    it("a status from a year ahead does not outrank what is said of that node afterwards", async () => {
      const server = await start("both");
      const [liar, honest] = [await below(server, "relay", "r1"), await below(server, "relay", "r2")];
      const deep = (over: Partial<NodeStatus>): NodeStatus =>
        honest.status({ id: "d".repeat(32), kind: "relay", name: "deep", ...over });
      const ahead = new Date(Date.now() + 366 * 86_400_000).toISOString();
      await liar.uplink.postStatus([liar.status(), deep({ dictionary: 0, state: "failed", at: ahead })]);
      expect((await standing(server))["deep"]).toMatchObject({ state: "failed" });
      const soon = new Date(Date.now() + 1_000).toISOString();
      await honest.uplink.postStatus([honest.status(), deep({ dictionary: 0, state: "none", at: soon })]);
      expect((await standing(server))["deep"]).toMatchObject({ state: "none" });
    });

    it("what a node may not say is left out: other companies, this server, servers, other kinds", async () => {
      const group = await start("both", { name: "group" });
      const [a, b, relay] = [
        await below(group, "server", "a"),
        await below(group, "server", "b"),
        await below(group, "relay", "r1"),
      ];
      await b.uplink.postStatus([b.status({ policy: 1 })]);
      const before = await standing(group);
      const foreign = [
        b.status({ policy: 99, state: "complete", at: "2099-01-01T00:00:00Z" }),
        a.status({ id: "d".repeat(32), kind: "relay", name: "fake", company: "b" }),
        a.status({ id: "e".repeat(32), kind: "relay", name: "fake", company: "group" }),
        a.status({ id: group.server.nodes.id, kind: "server", company: "group" }),
        a.status({ id: relay.id, kind: "relay", company: "group" }),
        a.status({ id: relay.id, kind: "relay", company: "a" }),
        a.status({ id: "../../etc", kind: "relay" }),
      ];
      const answer = await post(group, a, "/ingest/v1/status", { nodes: [a.status(), ...foreign] });
      expect(await answer.json()).toEqual({ accepted: 1, refused: foreign.length });
      const relayed = [
        relay.status({ company: "group" }),
        relay.status({ id: "f".repeat(32), kind: "server", name: "evil", company: "group" }),
        relay.status({ id: a.id, kind: "server", name: "a", company: "a" }),
        relay.status({ id: "f".repeat(32), kind: "relay", name: "evil", company: "a" }),
      ];
      expect(await (await post(group, relay, "/ingest/v1/status", { nodes: relayed })).json()).toMatchObject({
        accepted: 1,
        refused: 3,
      });
      expect((await standing(group))["b"]).toEqual({ ...before["b"], lag: before["b"]?.lag });
      expect(Object.keys(await standing(group)).sort()).toEqual(["a", "b", "group", "r1"]);
    });

    it("a removed node is refused at every route, its channel is cut, and it comes back by enrolling again", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      const channel = relay.connect();
      await until("the channel", () => channel.connected);
      await server.api("DELETE", `/api/v1/nodes/${relay.id}`);
      await until("it to be cut", () => !channel.connected);
      const refused = { kind: "refused", problem: { code: "node-removed" } };
      expect(await relay.uplink.postStatus([relay.status()])).toMatchObject(refused);
      expect(await relay.uplink.sendReports([Buffer.alloc(0)])).toMatchObject(refused);
      expect(await relay.uplink.unknownTitles(Buffer.alloc(8))).toMatchObject(refused);
      for (const path of ["/ingest/v1/dictionary", `/ingest/v1/blobs/${"0".repeat(64)}`] as const)
        expect(await relay.uplink.request("GET", path)).toMatchObject(refused);
      expect((await standing(server))["r1"]).toBeUndefined();
      expect((await server.api("DELETE", `/api/v1/nodes/${relay.id}`)).status).toBe(404);
      expect((await server.api("DELETE", "/api/v1/nodes/nobody")).status).toBe(404);

      const token = await server.enrollmentToken(1);
      const proof = relay.identity.signer.sign(enrollProofText({ token, kind: "relay", name: "r1" }));
      const { publicKey } = relay.identity.signer;
      const again = { token, publicKey, kind: "relay", name: "r1", proof: proof.toString("base64url") };
      expect((await post(server, relay, "/ingest/v1/enroll", again)).status).toBe(200);
      expect(await relay.uplink.postStatus([relay.status()])).toMatchObject({ kind: "ok" });
    });

    it("a removed device is refused by name, its reports by whatever way they come; relays are told", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      const agent = await below(server, "agent", "pc-1");
      const report = sealEnvelope(
        {
          device: agent.id,
          epoch: 1,
          seq: 1,
          kind: "heartbeat",
          state: "0".repeat(64),
          dictionary: 0,
          at: "2026-01-01",
        },
        {},
        agent.identity.signer,
      );
      const answer = async () => {
        const sent = await relay.uplink.sendReports([report]);
        return sent.kind === "ok" ? sent.value.results : sent;
      };
      expect(await answer()).toMatchObject([{ status: "need-full" }]);
      expect(await relay.uplink.postStatus([relay.status()])).toMatchObject({ value: { removed: [] } });
      expect((await server.api("DELETE", `/api/v1/nodes/${agent.id}`)).status).toBe(204);
      expect(await answer()).toMatchObject([{ status: "rejected", code: "device-unknown" }]);
      expect(await agent.uplink.sendReports([report])).toMatchObject({ problem: { code: "node-removed" } });
      expect(await relay.uplink.postStatus([relay.status()])).toMatchObject({ value: { removed: [agent.id] } });
      // What relays say of it no longer counts, nor makes it forgotten.
      const failing = relay.status({ id: agent.id, kind: "agent", name: "pc-1", state: "complete" });
      await relay.uplink.postStatus([relay.status(), failing]);
      expect(await answer()).toMatchObject([{ status: "rejected", code: "device-unknown" }]);
      expect((await server.api("GET", `/api/v1/devices/${agent.id}`)).status).toBe(200);
    });

    it("huge, deep, unpacking or malformed reports are refused, and the server goes on", async () => {
      const server = await start("both");
      const relay = await below(server, "relay", "r1");
      const send = async (body: unknown, headers: object = {}) =>
        (await post(server, relay, "/ingest/v1/status", body, headers)).status;
      const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
      expect(await send(bomb, { "content-encoding": "gzip" })).toBe(413);
      expect(await send(Buffer.from("no gzip at all"), { "content-encoding": "gzip" })).toBe(400);
      expect(await send(gzipSync("{}").subarray(0, 10), { "content-encoding": "gzip" })).toBe(400);
      expect(await send(Buffer.from("x"), { "content-encoding": "br" })).toBe(415);
      expect(await send(Buffer.from("{"))).toBe(400);
      expect(await send(Buffer.from("[".repeat(200_000)))).toBe(400);
      expect(await send({ nodes: [{ id: 7 }] })).toBe(400);
      expect(await send({ nodes: Array.from({ length: 10_001 }, () => relay.status()) })).toBe(400);
      const fat = relay.status({ name: "r1", ...{ junk: "x".repeat(1_000_000) } });
      expect(await send({ nodes: [fat] })).toBe(200);
      const row = await server.server.db.kysely
        .selectFrom("node_nodes")
        .selectAll()
        .where("id", "=", relay.id)
        .executeTakeFirst();
      expect(row?.status?.length).toBeLessThan(500);
      const many = Array.from({ length: 9_999 }, (_, i) => relay.status({ id: `x${i}`, kind: "relay", name: `x${i}` }));
      expect(await send({ nodes: [relay.status(), ...many] })).toBe(200);
      for (const part of [1, 2, 3])
        expect(await send({ nodes: many.map((n) => ({ ...n, id: `${n.id}-${part}` })) })).toBe(200);
      const { count } = await server.server.db.kysely
        .selectFrom("node_nodes")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .executeTakeFirstOrThrow();
      expect(Number(count)).toBeLessThanOrEqual(20_001);
      expect((await server.api("GET", "/readyz")).status).toBe(200);
    });
  });

  it("nodes are listed page by page", async () => {
    const server = await start("both");
    for (const name of ["r1", "r2", "r3"]) await below(server, "relay", name);
    const names: string[] = [];
    let cursor = "";
    do {
      const page = (await server.api("GET", `/api/v1/nodes?limit=2${cursor}`)).json<{
        items: { name: string; online: boolean }[];
        nextCursor?: string;
      }>();
      names.push(...page.items.map((n) => n.name));
      cursor = page.nextCursor === undefined ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(names.sort()).toEqual(["r1", "r2", "r3"]);
    const csv = await server.api("GET", "/api/v1/policies/distribution", { headers: { accept: "text/csv" } });
    expect(csv.text.split("\n")[0]).toMatch(/^node,kind,name,company/);
  });
});
