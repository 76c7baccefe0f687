import { gunzipSync, gzipSync } from "node:zlib";
import { manualClock, silentLog, type Clock, type Log, type ManualClock } from "@daicho/kernel";
import {
  canonicalJson,
  hashTitle,
  packHashes,
  signDocument,
  titleText,
  unpackBatch,
  type Dictionary,
} from "@daicho/protocol";
import { afterEach, describe, expect, it } from "vitest";
import {
  company,
  deadAddress,
  enrolledIdentity,
  json,
  nodeAbove,
  problem,
  tempDir,
  type NodeAbove,
  type Route,
} from "./fixtures/node-above.ts";
import { openIdentity } from "./identity.ts";
import { createUplink, type Uplink } from "./uplink.ts";

const acme = company();
const start = Date.UTC(2026, 10, 1);
const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
});

async function node(route: Route): Promise<NodeAbove> {
  const made = await nodeAbove(route);
  closing.push(made);
  return made;
}

async function uplinkTo(
  upstreams: readonly string[],
  clock: Clock = manualClock(start),
  log: Log = silentLog,
): Promise<Uplink> {
  const uplink = createUplink({
    upstreams,
    identity: await enrolledIdentity(acme),
    clock,
    log,
    random: () => 0.5,
    connectTimeoutMs: 2_000,
    answerTimeoutMs: 5_000,
  });
  closing.push(uplink);
  return uplink;
}

const fine: Route = () => json(200, { results: [{ status: "stored" }], time: new Date(start).toISOString() });
const report = Buffer.from("an envelope");

describe("credentials", () => {
  it("are accepted by a verifier of the same company, and made anew after five minutes", async () => {
    const clock = manualClock(start);
    const verify = acme.verifier(() => clock.now());
    const above = await node(({ headers }) => {
      const result = verify(headers.authorization);
      return result.ok
        ? json(200, { results: [{ status: "stored" }], time: new Date(clock.now()).toISOString() })
        : problem(401, result.refusal);
    });
    const uplink = await uplinkTo([above.url], clock);
    for (const wait of [0, 60_000, 5 * 60_000, 3600_000]) {
      clock.advance(wait);
      expect((await uplink.sendReports([report])).kind).toBe("ok");
    }
    const seen = above.received.map((r) => r.headers.authorization);
    expect(seen[1]).toBe(seen[0]);
    expect(new Set(seen).size).toBe(3);
  });

  it("carry the right time even where the machine's clock is a year off", async () => {
    const right = start + 365 * 86_400_000;
    const verify = acme.verifier(() => right);
    const above = await node(({ headers }) => {
      const result = verify(headers.authorization);
      return result.ok
        ? json(200, { results: [{ status: "stored" }], time: new Date(right).toISOString() })
        : problem(401, result.refusal, { time: new Date(right).toISOString() });
    });
    const uplink = await uplinkTo([above.url]);
    expect((await uplink.sendReports([report])).kind).toBe("ok");
    expect((await uplink.sendReports([report])).kind).toBe("ok");
    // Refused once, learnt, never refused again.
    expect(above.received).toHaveLength(3);
    expect(uplink.clockOffset).toBe(365 * 86_400_000);
  });

  it("that are refused for good are a refusal, not a loop", async () => {
    const above = await node(() => problem(401, "clock-skew", { time: new Date(start).toISOString() }));
    const uplink = await uplinkTo([above.url]);
    expect(await uplink.sendReports([report])).toMatchObject({ kind: "refused", problem: { code: "clock-skew" } });
    expect(above.received).toHaveLength(2);
  });

  it("need an enrollment", async () => {
    const identity = await openIdentity({ dir: tempDir() });
    const make = (): unknown =>
      createUplink({ upstreams: ["http://x"], identity, clock: manualClock(), log: silentLog });
    expect(make).toThrow(expect.objectContaining({ code: "not-enrolled" }));
  });
});

describe("fail-over", () => {
  it("passes over an upstream that is not there, fails, redirects or answers nonsense, and stays with the next", async () => {
    const bad: (string | Route)[] = [
      await deadAddress(),
      () => problem(500, "oops"),
      () => problem(502, "bad-gateway"),
      () => ({ status: 503 }),
      () => ({ status: 302, headers: { location: "http://elsewhere.example/" } }),
      () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<html>Please log in</html>" }),
      () => json(200, { results: [], time: "2026-11-01T00:00:00Z" }),
    ];
    for (const one of bad) {
      const first = typeof one === "string" ? one : (await node(one)).url;
      const second = await node(fine);
      const uplink = await uplinkTo([first, second.url]);
      expect((await uplink.sendReports([report])).kind).toBe("ok");
      expect((await uplink.sendReports([report])).kind).toBe("ok");
      expect(uplink.upstream).toBe(second.url);
      expect(second.received).toHaveLength(2);
    }
  });

  it("comes back to the first when that works again", async () => {
    const clock = manualClock(start);
    const first = await node(() => problem(500, "oops"));
    const second = await node(fine);
    const uplink = await uplinkTo([first.url, second.url], clock);
    await uplink.sendReports([report]);
    first.route = fine;
    clock.advance(60_000);
    await uplink.sendReports([report]);
    expect(uplink.upstream).toBe(first.url);
    expect(first.received).toHaveLength(2);
  });

  it("does not take a refusal for a failure", async () => {
    const first = await node(() => problem(403, "device-unknown"));
    const second = await node(fine);
    const uplink = await uplinkTo([first.url, second.url]);
    expect(await uplink.sendReports([report])).toMatchObject({ kind: "refused", problem: { code: "device-unknown" } });
    expect(second.received).toHaveLength(0);
  });

  it("a connection that was closed while idle costs no failure", async () => {
    const above = await node(fine);
    const uplink = await uplinkTo([above.url]);
    expect((await uplink.sendReports([report])).kind).toBe("ok");
    above.cut();
    expect((await uplink.sendReports([report])).kind).toBe("ok");
    expect(uplink.lastError).toBeUndefined();
  });
});

describe("waiting", () => {
  it("is logged with its cause once, however long it lasts, and anew when it begins anew", async () => {
    const clock = manualClock(start);
    const above = await node(() => problem(500, "oops"));
    const told: unknown[] = [];
    const log = { ...silentLog, warn: (event: string, fields?: object) => void told.push({ event, ...fields }) };
    const uplink = await uplinkTo([above.url], clock, log);
    const tries = async (): Promise<void> => {
      await uplink.sendReports([report]);
      await pass(clock, uplink);
    };
    for (let i = 0; i < 3; i++) await tries();
    expect(told).toEqual([{ event: "upstream-unreachable", code: "oops" }]);
    above.route = fine;
    await tries();
    above.route = () => problem(500, "oops");
    for (let i = 0; i < 3; i++) await tries();
    expect(told).toHaveLength(2);
  });

  it("obeys Retry-After, in seconds or as a date: nothing is sent before", async () => {
    const date = new Date(start + 120_000).toUTCString();
    for (const [status, retryAfter] of [
      [429, "120"],
      [503, "120"],
      [503, date],
    ] as const) {
      const clock = manualClock(start);
      const above = await node(() => problem(status, "busy", {}, { "retry-after": retryAfter }));
      const uplink = await uplinkTo([above.url], clock);
      const told = await uplink.sendReports([report]);
      expect(told).toMatchObject({ kind: "retry", code: "busy" });
      expect(told.kind === "retry" && told.after).toBeGreaterThanOrEqual(120_000);
      clock.advance(119_999);
      expect(await uplink.sendReports([report])).toMatchObject({ kind: "retry", code: "busy" });
      expect(above.received).toHaveLength(1);
      await pass(clock, uplink);
      await uplink.sendReports([report]);
      expect(above.received).toHaveLength(2);
    }
  });

  it("backs off while nobody answers and starts again at once when somebody does", async () => {
    const clock = manualClock(start);
    const above = await node(() => problem(500, "oops"));
    const uplink = await uplinkTo([above.url], clock);
    for (let i = 0; i < 5; i++) {
      await uplink.sendReports([report]);
      expect(uplink.nextAttemptAt).toBe(clock.now() + 1_000 * 2 ** i);
      await pass(clock, uplink);
    }
    above.route = fine;
    expect((await uplink.sendReports([report])).kind).toBe("ok");
    expect((await uplink.sendReports([report])).kind).toBe("ok");
  });

  it("a node that never answers is given up", async () => {
    const above = await node(() => new Promise<never>(() => undefined));
    const uplink = createUplink({
      upstreams: [above.url],
      identity: await enrolledIdentity(acme),
      clock: manualClock(start),
      log: silentLog,
      answerTimeoutMs: 100,
    });
    closing.push(uplink);
    expect(await uplink.sendReports([report])).toMatchObject({ kind: "retry", code: "ETIMEDOUT" });
  });

  it("an aborted request is no failure of the upstream", async () => {
    const abort = new AbortController();
    const above = await node(async () => {
      abort.abort();
      return new Promise<never>(() => undefined);
    });
    const uplink = await uplinkTo([above.url]);
    expect(await uplink.sendReports([report], abort.signal)).toMatchObject({ kind: "retry", code: "aborted" });
    above.route = fine;
    expect((await uplink.sendReports([report])).kind).toBe("ok");
  });
});

async function pass(clock: ManualClock, uplink: Uplink): Promise<void> {
  clock.advance(Math.max(0, uplink.nextAttemptAt - clock.now()));
}

describe("bodies", () => {
  it("a batch arrives as it was, small ones plain and large ones gzipped", async () => {
    const sent = [Buffer.alloc(10, 1), Buffer.alloc(5_000, 2)];
    for (const envelopes of [sent.slice(0, 1), sent]) {
      const above = await node(({ headers, body }) => {
        const plain = headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
        expect(unpackBatch(plain)).toEqual(envelopes);
        return json(200, { results: envelopes.map(() => ({ status: "stored" })), time: "2026-11-01T00:00:00Z" });
      });
      const uplink = await uplinkTo([above.url]);
      expect((await uplink.sendReports(envelopes)).kind).toBe("ok");
    }
  });

  it("an answer larger than its bound is not read, packed or not", async () => {
    const huge = Buffer.alloc(300 * 1024, "x");
    for (const route of [
      () => ({ status: 200, body: huge }),
      () => ({ status: 200, headers: { "content-encoding": "gzip" }, body: gzipSync(huge) }),
    ] satisfies Route[]) {
      const uplink = await uplinkTo([(await node(route)).url]);
      expect(await uplink.unknownTitles(Buffer.alloc(0))).toMatchObject({ kind: "retry", code: "answer-too-large" });
    }
  });

  it("titles are asked for by their hashes, and an answer that is no set of hashes is none", async () => {
    const hashes = packHashes(
      ["a", "b", "c"].map((name) => hashTitle(titleText({ name, version: "1", source: "dpkg" }))),
    );
    const above = await node(({ url, body }) =>
      url === "/ingest/v1/titles"
        ? { status: 200, headers: { "content-type": "application/octet-stream" }, body: body.subarray(8, 16) }
        : { status: 404 },
    );
    const uplink = await uplinkTo([above.url]);
    expect(await uplink.unknownTitles(hashes)).toEqual({ kind: "ok", value: hashes.subarray(8, 16) });
    above.route = () => ({ status: 200, body: "12345" });
    expect((await uplink.unknownTitles(hashes)).kind).toBe("retry");
  });

  it("status travels as JSON", async () => {
    const above = await node(({ body }) => {
      expect(JSON.parse(gunzipSync(body).toString("utf8"))).toMatchObject({ nodes: [{ id: "x" }] });
      return { status: 204 };
    });
    const uplink = await uplinkTo([above.url]);
    const status = { id: "x", kind: "agent", name: "pc01", company: "acme", dictionary: 1, state: "failed" } as const;
    expect((await uplink.postStatus([{ ...status, at: "2026-11-01T00:00:00Z" }])).kind).toBe("ok");
  });
});

describe("documents (design.md: signed, pinned to a root, never older)", () => {
  const dictionary = (version: number): Dictionary => ({
    daicho: "dictionary/v1",
    company: "acme",
    version,
    generatedAt: "2026-11-01T00:00:00Z",
    software: [],
  });
  const signed = (version: number, by = acme) =>
    signDocument("dictionary/v1", canonicalJson(dictionary(version)), by.signer);

  async function fetched(route: Route, held?: { etag?: string; version?: number }) {
    const uplink = await uplinkTo([(await node(route)).url]);
    const result = await uplink.fetchDocument("/ingest/v1/dictionary", held);
    return result.kind === "ok" ? result.value : result;
  }

  it("arrive verified, with their ETag", async () => {
    const got = await fetched(() => json(200, signed(7), { etag: '"v7"' }));
    expect(got).toMatchObject({ kind: "document", etag: '"v7"', payload: { version: 7 } });
  });

  it("are not sent again when they are held already", async () => {
    const route: Route = ({ headers }) => ({ status: headers["if-none-match"] === '"v7"' ? 304 : 200 });
    expect(await fetched(route, { etag: '"v7"', version: 7 })).toEqual({ kind: "not-modified" });
  });

  it("may not exist yet", async () => {
    expect(await fetched(() => problem(404, "dictionary-none"))).toEqual({ kind: "none" });
  });

  it("that are altered, older, of another root or type, or no documents are named and not handed out", async () => {
    const altered = { ...signed(8), payload: canonicalJson(dictionary(9)) };
    const policy = signDocument("enterprise-policy/v1", canonicalJson(dictionary(8)), acme.signer);
    const invalid = signDocument("dictionary/v1", '{"daicho":"dictionary/v1"}', acme.signer);
    const cases: [unknown, string][] = [
      [altered, "document-altered"],
      [signed(6), "document-older"],
      [signed(8, company("evil")), "document-unknown-key"],
      [policy, "document-wrong-type"],
      [invalid, "document-malformed"],
      [{ hello: 1 }, "document-malformed"],
    ];
    for (const [document, refusal] of cases)
      expect(await fetched(() => json(200, document), { version: 7 })).toEqual({ kind: "untrusted", refusal });
  });
});
