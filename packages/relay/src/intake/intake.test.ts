import * as zlib from "node:zlib";
import { gzipSync } from "node:zlib";
import { packBatch } from "@daicho/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { post, problem, send, until } from "../fixtures/client.ts";
import { createCompany } from "../fixtures/company.ts";
import { away, deviceSeqs, openSite, type Site } from "../fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("a bad envelope is rejected with its code, alone", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const stranger = site.company.node("agent", "pc-2");
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
  const { url } = await site.start();
  const below = site.company.node("relay", "floor-2");
  const [a, b] = [site.company.node("agent", "a"), site.company.node("agent", "b")];
  expect(await send(url, below, a.report(), b.report())).toEqual([{ status: "stored" }, { status: "stored" }]);
  await until(() => site.above.taken.length === 2);
});

test("strangers, servers, wrong clocks and unknown versions are refused by name before their body is read", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
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
  expect(await attempt(site.company.node("server", "s").authorization())).toEqual([403, "kind-not-allowed"]);
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
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
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

test("gzip and, where the runtime has it, zstd are unpacked; otherwise zstd is refused by name", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const compress = (zlib as { zstdCompressSync?: (data: Buffer) => Buffer }).zstdCompressSync;
  const body = packBatch([agent.report()]);
  const headers = { "content-encoding": "zstd" };
  const response = await post(url, agent, "/ingest/v1/reports", compress?.(body) ?? body, headers);
  expect(response.status).toBe(compress === undefined ? 415 : 200);
  expect((await post(url, agent, "/ingest/v1/reports", gzipSync(body), { "content-encoding": "gzip" })).status).toBe(
    200,
  );
});

test("requests to unknown routes, with and without a length, leave the admission as they found it", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  for (let i = 0; i < 5; i++) {
    expect((await post(url, agent, "/ingest/v1/nothing", Buffer.alloc(1000))).status).toBe(404);
    const streamed = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(1000));
        controller.close();
      },
    });
    const init = { method: "POST", body: streamed, duplex: "half" };
    expect((await fetch(`${url}/ingest/v1/nothing`, init as RequestInit)).status).toBe(404);
  }
  await until(async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return /^daicho_relay_requests_in_flight 0$/m.test(metrics) && /^daicho_relay_in_flight_bytes 0$/m.test(metrics);
  });
});

test("a full spool refuses with 503 and Retry-After, keeps what it acknowledged, and takes more when there is room", async () => {
  const { url } = await site.start({ limits: { spoolBytes: 1_000_000 } });
  site.above.mood = away;
  const agent = site.company.node("agent", "pc-1");
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
  site.above.mood = undefined;
  await until(() => deviceSeqs(site.above, agent.id).length === stored);
  await until(async () => (await post(url, agent, "/ingest/v1/reports", packBatch([agent.report()]))).status === 200);
});

test("more requests than it works on at once are told to come back", async () => {
  const { url } = await site.start({ limits: { requests: 1 } });
  const agent = site.company.node("agent", "pc-1");
  site.above.mood = away;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(url, agent, "/ingest/v1/reports", packBatch([agent.report()]))),
  );
  const refused = answers.filter((answer) => answer.status === 503);
  expect(refused.length).toBeGreaterThan(0);
  expect(answers.filter((answer) => answer.status === 200).length).toBeGreaterThan(0);
  for (const answer of refused) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await send(url, agent, agent.report())).toEqual([{ status: "stored" }]);
});

test("agents enroll through a chain of relays, and a refusal comes back as it is", async () => {
  const upper = await site.start({ name: "upper" });
  const lower = await site.start({ name: "lower", upstream: [upper.url] });
  expect(lower.url).not.toBe(upper.url);
  const wrong = {
    token: "dct1.wrong-wrong-wrong-wrong.00000000000000000000000000000000",
    publicKey: site.company.signer.publicKey,
  };
  const refused = await fetch(`${lower.url}/ingest/v1/enroll`, {
    method: "POST",
    body: JSON.stringify({ ...wrong, kind: "agent", name: "x", proof: "AAAA" }),
  });
  expect([refused.status, (await problem(refused)).code]).toEqual([403, "enrollment-token-invalid"]);
  const malformed = await fetch(`${lower.url}/ingest/v1/enroll`, { method: "POST", body: "{}" });
  expect([malformed.status, (await problem(malformed)).code]).toEqual([400, "input-invalid"]);
});
