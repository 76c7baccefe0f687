import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { manualClock, silentLog, systemClock, type Clock } from "@daicho/kernel";
import type { DownMessage } from "@daicho/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import { createChannel, type Channel } from "./channel.ts";
import { company, deadAddress, enrolledIdentity, nodeAbove, problem } from "./fixtures/node-above.ts";
import { createUplink, type Uplink } from "./uplink.ts";

const acme = company();
const closing: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

interface Above {
  readonly url: string;
  readonly sockets: WebSocket[];
  readonly dials: IncomingMessage[];
  admit: (request: IncomingMessage) => string | undefined;
}

async function above(options: { autoPong?: boolean } = {}): Promise<Above> {
  const node = await nodeAbove(() => ({ status: 404 }));
  const wss = new WebSocketServer({ noServer: true, autoPong: options.autoPong ?? true });
  const made: Above = { url: node.url, sockets: [], dials: [], admit: () => undefined };
  node.server.on("upgrade", (request: IncomingMessage, socket, head) => {
    made.dials.push(request);
    const refusal = request.url === "/ingest/v1/channel" ? made.admit(request) : "HTTP/1.1 404 Not Found\r\n\r\n";
    if (refusal !== undefined) {
      socket.end(refusal);
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => made.sockets.push(ws));
  });
  closing.push(node);
  return made;
}

async function channelTo(
  upstreams: readonly string[],
  clock: Clock,
): Promise<{ channel: Channel; uplink: Uplink; got: DownMessage[] }> {
  const uplink = createUplink({ upstreams, identity: await enrolledIdentity(acme), clock, log: silentLog });
  const got: DownMessage[] = [];
  const channel = createChannel({
    uplink,
    clock,
    log: silentLog,
    random: () => 0.5,
    onMessage: (message) => void got.push(message),
  });
  closing.push(uplink, channel);
  return { channel, uplink, got };
}

const soon = { timeout: 10_000, interval: 5 };
const start = Date.UTC(2026, 10, 1);

describe("the channel", () => {
  it("opens with the node's credential, hands messages down and up, and drops what is malformed", async () => {
    const node = await above();
    const { channel, got } = await channelTo([node.url], systemClock);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
    expect(acme.verifier(() => Date.now())(node.dials[0]?.headers.authorization)).toMatchObject({ ok: true });
    const [socket] = node.sockets;
    for (const text of ["{", "[]", '{"type":"format-disk"}', '{"type":"need-full","devices":7}']) socket?.send(text);
    socket?.send(Buffer.from([1, 2, 3]));
    socket?.send(JSON.stringify({ type: "policy-changed", dictionary: 8 }));
    await vi.waitFor(() => expect(got).toEqual([{ type: "policy-changed", dictionary: 8 }]), soon);
    const up = once(socket as WebSocket, "message");
    expect(channel.send({ type: "presence", agents: 3, relays: 0 })).toBe(true);
    expect(JSON.parse(String((await up)[0]))).toEqual({ type: "presence", agents: 3, relays: 0 });
  });

  it("survives a message handler that throws", async () => {
    const node = await above();
    const identity = await enrolledIdentity(acme);
    const uplink = createUplink({ upstreams: [node.url], identity, clock: systemClock, log: silentLog });
    let calls = 0;
    const channel = createChannel({
      uplink,
      clock: systemClock,
      log: silentLog,
      onMessage() {
        calls++;
        throw new Error("a defect");
      },
    });
    closing.push(uplink, channel);
    await vi.waitFor(() => expect(node.sockets).toHaveLength(1), soon);
    for (let i = 0; i < 2; i++) node.sockets[0]?.send('{"type":"scan-now"}');
    await vi.waitFor(() => expect(calls).toBe(2), soon);
    expect(channel.connected).toBe(true);
  });

  it("connects again after it was cut, and says so", async () => {
    const clock = manualClock(start);
    const node = await above();
    const { channel } = await channelTo([node.url], clock);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
    node.sockets[0]?.terminate();
    await vi.waitFor(() => expect(channel.connected).toBe(false), soon);
    expect(channel.send({ type: "presence", agents: 0, relays: 0 })).toBe(false);
    clock.advance(120_000);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
  });

  it("tells requests that the node above is there again, so that what it announces can be fetched", async () => {
    const clock = manualClock(start);
    const node = await above();
    const { channel, uplink } = await channelTo([node.url], clock);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
    node.sockets[0]?.terminate();
    await vi.waitFor(() => expect(channel.connected).toBe(false), soon);
    for (const attempt of uplink.upstreams.candidates()) attempt.failed();
    uplink.upstreams.exhausted();
    expect(await uplink.request("GET", "/ingest/v1/dictionary")).toMatchObject({ kind: "retry" });
    clock.advance(120_000);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
    expect(uplink.nextAttemptAt).toBe(0);
  });

  it("takes the next upstream when the first has no channel", async () => {
    const clock = manualClock(start);
    const node = await above();
    const { channel } = await channelTo([await deadAddress(), node.url], clock);
    await vi.waitFor(() => {
      clock.advance(10_000);
      expect(channel.upstream).toBe(node.url);
    }, soon);
  });

  it("goes back to where requests go: at once when they do, else after a while, and tries it first after a cut", async () => {
    const [first, second] = [await above(), await above()];
    const clock = manualClock(start);
    let upstream = first.url;
    const uplink = createUplink({
      upstreams: [first.url, second.url],
      identity: await enrolledIdentity(acme),
      clock,
      log: silentLog,
    });
    const channel = createChannel({
      uplink: Object.defineProperty(Object.create(uplink) as typeof uplink, "upstream", { get: () => upstream }),
      clock,
      log: silentLog,
      random: () => 0.5,
      onMessage: () => undefined,
    });
    closing.push(uplink, channel);
    const settled = async (node: Above): Promise<void> => {
      await vi.waitFor(() => {
        if (!channel.connected) clock.advance(10_000);
        expect(channel.connected).toBe(true);
      }, soon);
      expect(channel.upstream).toBe(node.url);
    };
    /** Until the next ping, and its answer. */
    const pingOf = async (node: Above): Promise<void> => {
      const socket = node.sockets.at(-1) as WebSocket;
      const pinged = once(socket, "ping");
      clock.advance(30_000);
      await pinged;
      const answered = once(socket, "pong");
      socket.ping(); // its answer comes after that to the channel's own ping was read
      await answered;
    };

    await settled(first);
    first.admit = () => "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    first.sockets[0]?.terminate();
    await vi.waitFor(() => expect(channel.connected).toBe(false), soon);
    await settled(second);
    expect(first.dials).toHaveLength(2); // it was asked first

    upstream = second.url;
    await pingOf(second);
    first.admit = () => undefined;
    upstream = first.url;
    clock.advance(30_000);
    expect(channel.connected).toBe(false);
    await settled(first);

    first.admit = () => "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    first.sockets.at(-1)?.terminate();
    await vi.waitFor(() => expect(channel.connected).toBe(false), soon);
    await settled(second);
    for (let minutes = 0; minutes < 10; minutes += 0.5) await pingOf(second);
    expect(channel.upstream).toBe(second.url);
    first.admit = () => undefined;
    clock.advance(30_000);
    expect(channel.connected).toBe(false);
    await settled(first);
  });

  it("learns the right time from the refusal of a credential that is off", async () => {
    const clock = manualClock(start);
    const right = start + 365 * 86_400_000;
    const node = await above();
    const verify = acme.verifier(() => right);
    node.admit = (request) => {
      const result = verify(request.headers.authorization);
      if (result.ok) return undefined;
      const body = String(problem(401, result.refusal, { time: new Date(right).toISOString() }).body);
      return `HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    };
    const { channel } = await channelTo([node.url], clock);
    await vi.waitFor(() => {
      clock.advance(10_000);
      expect(channel.connected).toBe(true);
    }, soon);
  });

  it("obeys Retry-After", async () => {
    const manual = manualClock(start);
    const delays: number[] = [];
    const clock: Clock = { now: manual.now, after: (ms, task) => (delays.push(ms), manual.after(ms, task)) };
    const node = await above();
    node.admit = () => "HTTP/1.1 503 Service Unavailable\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n";
    const { channel } = await channelTo([node.url], clock);
    const asked = (): boolean => delays.some((ms) => ms >= 600_000 && ms <= 750_000);
    await vi.waitFor(() => expect(asked()).toBe(true), soon);
    expect(node.dials).toHaveLength(1);
    node.admit = () => undefined;
    manual.advance(750_000);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
  });

  it("gives up a peer that stays silent", async () => {
    const clock = manualClock(start);
    const node = await above({ autoPong: false });
    const { channel } = await channelTo([node.url], clock);
    await vi.waitFor(() => expect(channel.connected).toBe(true), soon);
    clock.advance(60_000);
    expect(channel.connected).toBe(false);
    await vi.waitFor(() => {
      clock.advance(10_000);
      expect(node.sockets.length).toBeGreaterThan(1);
    }, soon);
  });

  it("closes cleanly, connected or not", async () => {
    const node = await above();
    const open = await channelTo([node.url], systemClock);
    await vi.waitFor(() => expect(open.channel.connected).toBe(true), soon);
    await open.channel.close();
    expect(open.channel.connected).toBe(false);
    const never = await channelTo([await deadAddress()], manualClock(start));
    await never.channel.close();
  });
});
