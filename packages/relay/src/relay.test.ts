import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { silentLog } from "@daicho/kernel";
import { hashTitle, packBatch, packHashes, type ReportHeader } from "@daicho/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, post, problem, send, until } from "./fixtures/client.ts";
import { createCompany, type Company } from "./fixtures/company.ts";
import { startUpstream, type Upstream } from "./fixtures/upstream.ts";
import { createRelay, loadRelayConfig, type Relay, type RelayOptions } from "./index.ts";

let company: Company;
let above: Upstream;
let dir: string;
let relays: Relay[];

beforeEach(async () => {
  company = createCompany();
  above = await startUpstream(company);
  dir = mkdtempSync(join(tmpdir(), "daicho-relay-"));
  relays = [];
});
afterEach(async () => {
  for (const relay of relays.reverse()) await relay.stop();
  await above.stop();
  rmSync(dir, { recursive: true, force: true });
});

interface Started {
  readonly relay: Relay;
  readonly url: string;
}

async function start(
  options: { name?: string; upstream?: string[]; limits?: object; token?: string } & Partial<RelayOptions> = {},
): Promise<Started> {
  const name = options.name ?? "tokyo-3f";
  const config = loadRelayConfig({
    env: {},
    flags: {
      ...{ name, listen: "127.0.0.1:0", upstream: options.upstream ?? [above.url], data: join(dir, name) },
      enrollmentToken: options.token ?? company.token,
      limits: options.limits ?? {},
    },
  });
  const relay = createRelay({ config, log: silentLog, backoff: { baseMs: 20, capMs: 50 }, ...options });
  relays.push(relay);
  return { relay, url: (await relay.start()).url };
}

const deviceSeqs = (upstream: Upstream, device: string): number[] =>
  upstream.taken.filter((header) => header.device === device).map((header) => header.seq);
const away = (): { status: number } => ({ status: 502 });

test("a relay enrolls itself once, with the token of its configuration", async () => {
  const first = await start();
  await first.relay.stop();
  const enrollments = (): number => above.requests.filter((r) => r.endsWith("/enroll")).length;
  expect(enrollments()).toBe(1);
  await start({ token: "dct1.not-used-any-more-000000.00000000000000000000000000000000" });
  expect(enrollments()).toBe(1);
});

test("a relay whose token is refused says so at start", async () => {
  const wrong = `dct1.${randomBytes(24).toString("base64url")}.${company.signer.keyId}`;
  await expect(start({ token: wrong })).rejects.toMatchObject({ code: "enrollment-refused" });
});

test("a relay that cannot enroll yet is alive, tells everyone to come back, and enrolls when the node above is there", async () => {
  above.mood = away;
  const { url } = await start();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const refused = await fetch(`${url}/ingest/v1/dictionary`);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await problem(refused)).code).toBe("starting");
  above.mood = undefined;
  const agent = company.node("agent", "pc-1");
  await until(async () => (await fetch(`${url}/readyz`)).status === 200);
  expect(await send(url, agent, agent.report())).toEqual([{ status: "stored" }]);
});

test("a report is answered stored and reaches the node above exactly as it was signed", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  expect(await send(url, agent, agent.report("full"), agent.report("delta"))).toEqual([
    { status: "stored" },
    { status: "stored" },
  ]);
  await until(() => deviceSeqs(above, agent.id).length === 2);
  expect(deviceSeqs(above, agent.id)).toEqual([1, 2]);
});

test("an enrolled relay stores while the node above is away, over a restart, and delivers all of it in order", async () => {
  const first = await start();
  above.mood = away;
  const agents = Array.from({ length: 5 }, (_, i) => company.node("agent", `pc-${i}`));
  for (let round = 0; round < 4; round++)
    await Promise.all(agents.map((agent) => send(first.url, agent, agent.report("delta"))));
  await first.relay.stop();
  const second = await start();
  for (const agent of agents) await send(second.url, agent, agent.report("delta"));
  expect(above.taken).toEqual([]);
  above.mood = undefined;
  await until(() => agents.every((agent) => new Set(deviceSeqs(above, agent.id)).size === 5));
  for (const agent of agents) expect(deviceSeqs(above, agent.id)).toEqual([1, 2, 3, 4, 5]);
  // Oldest first, many at a time.
  expect(Math.max(...above.batches)).toBeGreaterThan(1);
});

test("what the node above has not answered for is sent again, and nothing else", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  let calls = 0;
  above.mood = (method, path) => (path.endsWith("/reports") && calls++ < 2 ? { status: 500 } : undefined);
  await send(url, agent, agent.report());
  await until(() => deviceSeqs(above, agent.id).length === 1);
  await send(url, agent, agent.report());
  await until(() => deviceSeqs(above, agent.id).length === 2);
  expect(deviceSeqs(above, agent.id)).toEqual([1, 2]);
});

test("with one node above gone, the next in the list gets the reports", async () => {
  const other = await startUpstream(company);
  try {
    const { url } = await start({ upstream: [above.url, other.url] });
    above.mood = away;
    const agent = company.node("agent", "pc-1");
    await send(url, agent, agent.report());
    await until(() => deviceSeqs(other, agent.id).length === 1);
  } finally {
    await other.stop();
  }
});

test("a bad envelope is rejected with its code, alone", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const stranger = company.node("agent", "pc-2");
  const altered = agent.report();
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
  const resigned = agent.report();
  resigned[resigned.indexOf("pc") - 8] = 1; // inside the signature or the length before the body
  const results = await send(url, agent, altered, Buffer.from("nonsense"), stranger.report(), agent.report());
  expect(results).toEqual([
    { status: "rejected", code: "envelope-body-altered" },
    { status: "rejected", code: "envelope-version" },
    { status: "rejected", code: "device-not-sender" },
    { status: "stored" },
  ]);
  const forged = agent.report();
  const at = 5 + forged.readUInt32BE(1);
  forged[at] = (forged[at] ?? 0) ^ 1;
  expect(await send(url, agent, forged)).toEqual([{ status: "rejected", code: "signature-invalid" }]);
});

test("a relay below may bring reports of any device, which it cannot have altered unnoticed by the server", async () => {
  const { url } = await start();
  const below = company.node("relay", "floor-2");
  const [a, b] = [company.node("agent", "a"), company.node("agent", "b")];
  expect(await send(url, below, a.report(), b.report())).toEqual([{ status: "stored" }, { status: "stored" }]);
  await until(() => above.taken.length === 2);
});

test("strangers, servers, wrong clocks and unknown versions are refused by name before their body is read", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const body = packBatch([agent.report()]);
  const attempt = async (
    authorization: string | undefined,
    more: Record<string, string> = {},
  ): Promise<[number, string]> => {
    const response = await fetch(`${url}/ingest/v1/reports`, {
      method: "POST",
      body: new Uint8Array(body),
      headers: { ...(authorization !== undefined && { authorization }), ...more },
    });
    return [response.status, (await problem(response)).code];
  };
  expect(await attempt(undefined)).toEqual([401, "credential-missing"]);
  expect(await attempt("Daicho x.1.y")).toEqual([401, "credential-invalid"]);
  expect(await attempt(createCompany().node("agent", "x").authorization())).toEqual([401, "credential-unknown-root"]);
  expect(await attempt(company.node("server", "s").authorization())).toEqual([403, "kind-not-allowed"]);
  expect(await attempt(agent.authorization(), { "daicho-protocol": "2.0" })).toEqual([426, "version-unsupported"]);
  expect(await attempt(agent.authorization(), { "daicho-protocol": "1.1" })).toEqual(
    [200, expect.anything()].slice(0, 1).concat([undefined]),
  );
  const yearOff = await fetch(`${url}/ingest/v1/reports`, {
    method: "POST",
    headers: { authorization: agent.authorization(Date.now() + 365 * 86_400_000) },
  });
  const skew = await problem(yearOff);
  expect(skew.code).toBe("clock-skew");
  expect(Math.abs(Date.parse(skew.time ?? "") - Date.now())).toBeLessThan(60_000);
});

test("bodies that are torn, lie about their size, or come in an unknown encoding are refused by name", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const attempt = async (body: Buffer, encoding?: string): Promise<[number, string]> => {
    const headers = encoding === undefined ? {} : { "content-encoding": encoding };
    const response = await post(url, agent, "/ingest/v1/reports", body, headers);
    return [response.status, (await problem(response)).code];
  };
  expect(await attempt(packBatch([agent.report()]).subarray(0, 50))).toEqual([400, "batch-malformed"]);
  expect(await attempt(Buffer.from("no gzip at all, but long enough"), "gzip")).toEqual([413, "too-large"]);
  const bomb = gzipSync(Buffer.alloc(40_000_000));
  expect(await attempt(bomb, "gzip")).toEqual([413, "too-large"]);
  bomb.writeUInt32LE(1000, bomb.length - 4);
  expect(await attempt(bomb, "gzip")).toEqual([400, "body-malformed"]);
  expect(await attempt(Buffer.alloc(10), "br")).toEqual([415, "media-type-unsupported"]);
  expect(await send(url, agent, agent.report())).toEqual([{ status: "stored" }]);
});

test("a full spool refuses with 503 and Retry-After, keeps what it acknowledged, and takes more when there is room", async () => {
  const { url } = await start({ limits: { spoolBytes: 1_000_000 } });
  above.mood = away;
  const agent = company.node("agent", "pc-1");
  const big = (): Buffer => agent.report("full", { text: "x".repeat(200_000) });
  let stored = 0;
  let refused: Response | undefined;
  while (refused === undefined && stored < 20) {
    const response = await post(url, agent, "/ingest/v1/reports", packBatch([big()]));
    if (response.status === 200) stored++;
    else refused = response;
  }
  expect(stored).toBe(4);
  expect(refused?.status).toBe(503);
  expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await problem(refused as Response)).code).toBe("spool-full");
  above.mood = undefined;
  await until(() => deviceSeqs(above, agent.id).length === stored);
  await until(async () => (await post(url, agent, "/ingest/v1/reports", packBatch([agent.report()]))).status === 200);
});

test("more requests than it works on at once are told to come back", async () => {
  const { url } = await start({ limits: { requests: 1 } });
  const agent = company.node("agent", "pc-1");
  above.mood = away;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(url, agent, "/ingest/v1/reports", packBatch([agent.report()]))),
  );
  const refused = answers.filter((answer) => answer.status === 503);
  expect(refused.length).toBeGreaterThan(0);
  expect(answers.filter((answer) => answer.status === 200).length).toBeGreaterThan(0);
  for (const answer of refused) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await send(url, agent, agent.report())).toEqual([{ status: "stored" }]);
});

test("need-full from above is pushed to the device and answered to its next report, until a full one comes", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const channel = await connect(url, agent);
  above.judge = (header: ReportHeader) => (header.kind === "delta" ? { status: "need-full" } : undefined);
  expect(await send(url, agent, agent.report("delta"))).toEqual([{ status: "stored" }]);
  await until(() => channel.messages.find((message) => message.type === "need-full"));
  expect(channel.messages.at(-1)).toEqual({ type: "need-full", devices: [agent.id] });
  expect(await send(url, agent, agent.report("heartbeat"))).toEqual([{ status: "need-full" }]);
  expect(await send(url, agent, agent.report("heartbeat"))).toEqual([{ status: "need-full" }]);
  expect(await send(url, agent, agent.report("full"), agent.report("heartbeat"))).toEqual([
    { status: "stored" },
    { status: "stored" },
  ]);
  expect(await send(url, agent, agent.report("heartbeat"))).toEqual([{ status: "stored" }]);
});

test("need-full travels down through a chain of relays, and survives their restart", async () => {
  const upper = await start({ name: "upper" });
  let lower = await start({ name: "lower", upstream: [upper.url] });
  const agent = company.node("agent", "pc-1");
  const channel = await connect(lower.url, agent);
  await until(() => above.heard.some((message) => JSON.stringify(message).includes('"relays":1')));
  above.judge = (header) => (header.kind === "heartbeat" ? { status: "need-full", code: "titles-unknown" } : undefined);
  await send(lower.url, agent, agent.report("heartbeat"));
  await until(() => channel.messages.find((message) => message.type === "need-full"));
  // The lower relay learns by answer what the upper one remembers.
  await until(async () => (await send(lower.url, agent, agent.report("heartbeat")))[0]?.status === "need-full");
  await lower.relay.stop();
  lower = await start({ name: "lower", upstream: [upper.url] });
  expect(await send(lower.url, agent, agent.report("heartbeat"))).toEqual([
    { status: "need-full", code: "titles-unknown" },
  ]);
});

test("a verdict on an older report asks for nothing when a newer full report is stored here already", async () => {
  const { url } = await start();
  above.mood = away;
  const agent = company.node("agent", "pc-1");
  await send(url, agent, agent.report("delta"));
  await send(url, agent, agent.report("full"));
  above.judge = (header) => (header.kind === "delta" ? { status: "need-full" } : undefined);
  above.mood = undefined;
  await until(() => deviceSeqs(above, agent.id).length === 2);
  await until(async () => /spool_records 0/.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await send(url, agent, agent.report("heartbeat"))).toEqual([{ status: "stored" }]);
});

test("a refusal the device must act on is answered to its next report, once; a clone's only to the clone", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  above.judge = (header) =>
    header.evidence === "clone"
      ? { status: "rejected", code: "identity-cloned" }
      : header.seq === 7
        ? { status: "rejected", code: "sequence-regress" }
        : undefined;
  await send(url, agent, agent.report("delta", { seq: 7 }));
  await until(async () => /verdicts_waiting 1/.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await send(url, agent, agent.report("delta"))).toEqual([{ status: "rejected", code: "sequence-regress" }]);
  expect(await send(url, agent, agent.report("full", { epoch: 2 }))).toEqual([{ status: "stored" }]);

  await send(url, agent, agent.report("delta", { evidence: "clone" }));
  await until(async () => /verdicts_waiting 1/.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await send(url, agent, agent.report("heartbeat", { evidence: "original" }))).toEqual([{ status: "stored" }]);
  expect(await send(url, agent, agent.report("heartbeat", { evidence: "clone" }))).toEqual([
    { status: "rejected", code: "identity-cloned" },
  ]);
});

test("the dictionary is fetched, verified, served with ETag, announced below, and served on when the node above is away", async () => {
  above.dictionary = company.dictionary(1);
  above.dictionaryVersion = 1;
  const { url, relay } = await start();
  const agent = company.node("agent", "pc-1");
  const get = (at: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${at}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization(), ...headers } });
  await until(async () => (await get(url)).status === 200);
  const first = await get(url);
  expect(await first.json()).toEqual(above.dictionary);
  const etag = first.headers.get("etag") ?? "";
  expect((await get(url, { "if-none-match": etag })).status).toBe(304);

  const channel = await connect(url, agent);
  above.dictionary = company.dictionary(2);
  above.dictionaryVersion = 2;
  await until(() => above.sockets.size === 1);
  above.push({ type: "policy-changed", dictionary: 2 });
  await until(() => channel.messages.find((message) => message.type === "policy-changed" && message.dictionary === 2));
  // Announced when it is here already.
  expect(((await (await get(url)).json()) as { payload: string }).payload).toContain('"version":2');

  await relay.stop();
  above.mood = away;
  const again = await start();
  expect((await get(again.url, { "if-none-match": etag })).status).toBe(200);
});

test("an altered or older dictionary is refused, named in the status upward, and the one held is served on", async () => {
  above.dictionary = company.dictionary(3);
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const version = async (): Promise<string> => {
    const response = await fetch(`${url}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization() } });
    return response.status === 200 ? ((await response.json()) as { payload: string }).payload : "";
  };
  await until(async () => (await version()).includes('"version":3'));
  const failed = (code: string) => () =>
    above.statuses.flat().find((status) => status.state === "failed" && status.reason?.code === code);

  await until(() => above.sockets.size === 1);
  const altered = company.dictionary(4);
  above.dictionary = { ...altered, payload: altered.payload.replace("acme", "evil") };
  above.push({ type: "policy-changed", dictionary: 4 });
  expect(await until(failed("document-altered"))).toMatchObject({ kind: "relay", name: "tokyo-3f", dictionary: 3 });
  expect(await version()).toContain('"version":3');

  above.dictionary = company.dictionary(2);
  above.push({ type: "policy-changed", dictionary: 5 });
  await until(failed("document-older"));
  expect(await version()).toContain('"version":3');

  above.dictionary = company.dictionary(6);
  above.push({ type: "policy-changed", dictionary: 6 });
  await until(() => above.statuses.flat().find((status) => status.state === "complete" && status.dictionary === 6));
});

test("a dictionary that was altered on the relay's own disk is not served", async () => {
  above.dictionary = company.dictionary(1);
  const { relay, url } = await start();
  const agent = company.node("agent", "pc-1");
  const get = (at: string): Promise<Response> =>
    fetch(`${at}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization() } });
  await until(async () => (await get(url)).status === 200);
  await until(() => existsSync(join(dir, "tokyo-3f", "dictionary.json")));
  await relay.stop();
  const file = join(dir, "tokyo-3f", "dictionary.json");
  writeFileSync(file, readFileSync(file, "utf8").replace("acme", "evil"));
  above.mood = away;
  const again = await start();
  expect((await get(again.url)).status).toBe(404);
});

test("the channel hands down scan-now and messages - to all, or to the devices named - and counts presence upward", async () => {
  const upper = await start({ name: "upper" });
  const lower = await start({ name: "lower", upstream: [upper.url] });
  const [a, b, c] = [company.node("agent", "a"), company.node("agent", "b"), company.node("agent", "c")];
  const [onA, onB, onC] = await Promise.all([connect(lower.url, a), connect(lower.url, b), connect(upper.url, c)]);
  await until(() =>
    above.heard.find((m) => JSON.stringify(m) === JSON.stringify({ type: "presence", agents: 3, relays: 1 })),
  );

  above.push({ type: "message", text: "hello all" });
  for (const channel of [onA, onB, onC]) await until(() => channel.messages.find((m) => m.type === "message"));
  above.push({ type: "scan-now", devices: [a.id] });
  await until(() => onA.messages.find((m) => m.type === "scan-now"));
  above.push({ type: "scan-now" });
  for (const channel of [onA, onB, onC])
    await until(() => channel.messages.find((m) => m.type === "scan-now" && m.devices === undefined));
  expect(onB.messages.filter((m) => m.type === "scan-now")).toHaveLength(1);
  expect(onC.messages.filter((m) => m.type === "scan-now")).toHaveLength(1);

  onA.close();
  await until(() =>
    above.heard.find((m) => JSON.stringify(m) === JSON.stringify({ type: "presence", agents: 2, relays: 1 })),
  );
});

test("the channel refuses strangers, replaces an earlier connection of the same node, and says no when it is full", async () => {
  const { url } = await start({ limits: { connections: 1 } });
  const agent = company.node("agent", "pc-1");
  await expect(connect(url, createCompany().node("agent", "x"))).rejects.toMatchObject({ status: 401 });
  const first = await connect(url, agent);
  await connect(url, agent);
  expect(await first.closed).toBe(4001);
  await expect(connect(url, company.node("agent", "pc-2"))).rejects.toMatchObject({
    status: 503,
    headers: { "retry-after": expect.stringMatching(/^\d+$/) as string },
  });
});

test("status from below is merged with the relay's own and passed up within about a second", async () => {
  const upper = await start({ name: "upper" });
  await start({ name: "lower", upstream: [upper.url] });
  const agent = company.node("agent", "pc-1");
  await until(() => above.statuses.flat().find((status) => status.name === "lower"));
  const upperId = above.statuses.flat().find((status) => status.name === "upper")?.id;
  expect(above.statuses.flat().find((status) => status.name === "lower")?.parent).toBe(upperId);
  for (const report of above.statuses) expect(report[0]?.name).toBe("upper");

  const failing = { id: agent.id, kind: "agent", name: "pc-1", company: "acme", dictionary: 0, state: "failed" };
  const body = {
    nodes: [{ ...failing, reason: { code: "document-altered", message: "x" }, at: new Date().toISOString() }],
  };
  expect((await post(upper.url, agent, "/ingest/v1/status", Buffer.from(JSON.stringify(body)))).status).toBe(204);
  const seen = await until(() => above.statuses.flat().find((status) => status.id === agent.id));
  expect(seen).toMatchObject({ state: "failed", parent: upperId });
});

test("an agent's status speaks for itself only, and nobody speaks for the relay", async () => {
  const { url } = await start();
  await until(() => above.statuses.length > 0);
  const own = above.statuses[0]?.[0]?.id ?? "";
  const agent = company.node("agent", "pc-1");
  const claim = (id: string): object => ({
    ...{
      id,
      kind: "relay",
      name: "evil",
      company: "acme",
      dictionary: 9,
      state: "complete",
      at: "2026-01-01T00:00:00Z",
    },
  });
  const body = { nodes: [claim(own), claim("f".repeat(32)), claim(agent.id)] };
  await post(url, agent, "/ingest/v1/status", Buffer.from(JSON.stringify(body)));
  const seen = await until(() => above.statuses.flat().find((status) => status.id === agent.id));
  expect(seen).toMatchObject({ kind: "agent", name: "pc-1" });
  expect(above.statuses.flat().some((status) => status.name === "evil")).toBe(false);
});

test("agents enroll through a chain of relays, and a refusal comes back as it is", async () => {
  const upper = await start({ name: "upper" });
  const lower = await start({ name: "lower", upstream: [upper.url] });
  expect(lower.url).not.toBe(upper.url);
  const wrong = {
    token: "dct1.wrong-wrong-wrong-wrong.00000000000000000000000000000000",
    publicKey: company.signer.publicKey,
  };
  const refused = await fetch(`${lower.url}/ingest/v1/enroll`, {
    method: "POST",
    body: JSON.stringify({ ...wrong, kind: "agent", name: "x", proof: "AAAA" }),
  });
  expect([refused.status, (await problem(refused)).code]).toEqual([403, "enrollment-token-invalid"]);
  const malformed = await fetch(`${lower.url}/ingest/v1/enroll`, { method: "POST", body: "{}" });
  expect([malformed.status, (await problem(malformed)).code]).toEqual([400, "input-invalid"]);
});

test("titles the server is known to have are not asked for again, until it turns out not to know one", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const hash = (name: string): Buffer => hashTitle(["dpkg", name, "1", null, null, null]);
  const ask = async (...names: string[]): Promise<Buffer> => {
    const response = await post(url, agent, "/ingest/v1/titles", packHashes(names.map(hash)));
    return Buffer.from(await response.arrayBuffer());
  };
  const asked = (): number => above.requests.filter((request) => request.endsWith("/titles")).length;
  above.unknownTitles = packHashes([hash("c")]);
  expect(await ask("a", "b", "c")).toEqual(hash("c"));
  above.unknownTitles = Buffer.alloc(0);
  expect(await ask("a", "b")).toHaveLength(0);
  expect(asked()).toBe(1);
  above.judge = () => ({ status: "need-full", code: "titles-unknown" });
  await send(url, agent, agent.report("full"));
  await until(async () => /verdicts_waiting 1/.test(await (await fetch(`${url}/metrics`)).text()));
  await ask("a", "b");
  expect(asked()).toBe(2);
  above.mood = away;
  const refused = await post(url, agent, "/ingest/v1/titles", packHashes([hash("z")]));
  expect([refused.status, (await problem(refused)).code]).toEqual([503, "upstream-unavailable"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
});

test("content is fetched once, checked against its digest, and served with ranges", async () => {
  const { url } = await start();
  const agent = company.node("agent", "pc-1");
  const content = randomBytes(9_000_000);
  const digest = createHash("sha256").update(content).digest("hex");
  above.blobs.set(digest, content);
  const lie = createHash("sha256").update("something else").digest("hex");
  above.blobs.set(lie, content);
  const get = (name: string, range?: string): Promise<Response> =>
    fetch(`${url}/ingest/v1/blobs/${name}`, {
      headers: { authorization: agent.authorization(), ...(range !== undefined && { range }) },
    });
  const [one, two] = await Promise.all([get(digest), get(digest)]);
  expect(Buffer.from(await one.arrayBuffer()).equals(content)).toBe(true);
  expect(Buffer.from(await two.arrayBuffer()).equals(content)).toBe(true);
  expect(above.requests.filter((request) => request.includes(digest))).toHaveLength(3);
  const part = await get(digest, "bytes=100-199");
  expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 100-199/${content.length}`]);
  expect(Buffer.from(await part.arrayBuffer()).equals(content.subarray(100, 200))).toBe(true);
  expect((await get(digest, `bytes=${content.length}-`)).status).toBe(416);
  expect((await get("0".repeat(64))).status).toBe(404);
  expect((await get(lie)).status).toBe(503);
});

test("a bandwidth limit holds on the way up, and everything still arrives", async () => {
  const { url } = await start({ limits: { bytesPerSecond: 40_000 } });
  const agent = company.node("agent", "pc-1");
  const began = Date.now();
  for (let i = 0; i < 10; i++)
    await send(url, agent, agent.report("full", { text: randomBytes(9_000).toString("hex") }));
  await until(() => deviceSeqs(above, agent.id).length === 10);
  // 180 kB at 40 kB/s: the first second's worth at once, the last batch on credit. A busy machine only makes it longer.
  expect(Date.now() - began).toBeGreaterThan(1_000);
});

test("health, readiness and metrics are served, and unknown routes are named", async () => {
  const { url } = await start();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^daicho_relay_spool_records 0$/m);
  expect(metrics).toMatch(/^# TYPE daicho_relay_reports_total counter$/m);
  const unknown = await fetch(`${url}/api/v1/devices`);
  expect([unknown.status, (await problem(unknown)).code]).toEqual([404, "route-not-found"]);
});
