import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, until } from "../fixtures/client.ts";
import { away, openSite, type Site } from "../fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("the dictionary is fetched, verified, served with ETag, announced below, and served on when the node above is away", async () => {
  site.above.dictionary = site.company.dictionary(1);
  site.above.dictionaryVersion = 1;
  const { url, relay } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const get = (at: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${at}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization(), ...headers } });
  await until(async () => (await get(url)).status === 200);
  const first = await get(url);
  expect(await first.json()).toEqual(site.above.dictionary);
  const etag = first.headers.get("etag") ?? "";
  expect((await get(url, { "if-none-match": etag })).status).toBe(304);

  const channel = await connect(url, agent);
  site.above.dictionary = site.company.dictionary(2);
  site.above.dictionaryVersion = 2;
  await until(() => site.above.sockets.size === 1);
  site.above.push({ type: "policy-changed", dictionary: 2 });
  await until(() => channel.messages.find((message) => message.type === "policy-changed" && message.dictionary === 2));
  // Announced when it is here already.
  expect(((await (await get(url)).json()) as { payload: string }).payload).toContain('"version":2');

  await relay.stop();
  site.above.mood = away;
  const again = await site.start();
  expect((await get(again.url, { "if-none-match": etag })).status).toBe(200);
});

test("an altered or older dictionary is refused, named in the status upward, and the one held is served on", async () => {
  site.above.dictionary = site.company.dictionary(3);
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const version = async (): Promise<string> => {
    const response = await fetch(`${url}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization() } });
    return response.status === 200 ? ((await response.json()) as { payload: string }).payload : "";
  };
  await until(async () => (await version()).includes('"version":3'));
  const failed = (code: string) => () =>
    site.above.statuses.flat().find((status) => status.state === "failed" && status.reason?.code === code);

  await until(() => site.above.sockets.size === 1);
  const altered = site.company.dictionary(4);
  site.above.dictionary = { ...altered, payload: altered.payload.replace("acme", "evil") };
  site.above.push({ type: "policy-changed", dictionary: 4 });
  expect(await until(failed("document-altered"))).toMatchObject({ kind: "relay", name: "tokyo-3f", dictionary: 3 });
  expect(await version()).toContain('"version":3');

  site.above.dictionary = site.company.dictionary(2);
  site.above.push({ type: "policy-changed", dictionary: 5 });
  await until(failed("document-older"));
  expect(await version()).toContain('"version":3');

  site.above.dictionary = site.company.dictionary(6);
  site.above.push({ type: "policy-changed", dictionary: 6 });
  await until(() =>
    site.above.statuses.flat().find((status) => status.state === "complete" && status.dictionary === 6),
  );
});

test("a dictionary that was altered on the relay's own disk is not served", async () => {
  site.above.dictionary = site.company.dictionary(1);
  const { relay, url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const get = (at: string): Promise<Response> =>
    fetch(`${at}/ingest/v1/dictionary`, { headers: { authorization: agent.authorization() } });
  await until(async () => (await get(url)).status === 200);
  await until(() => existsSync(join(site.dir, "tokyo-3f", "dictionary.json")));
  await relay.stop();
  const file = join(site.dir, "tokyo-3f", "dictionary.json");
  writeFileSync(file, readFileSync(file, "utf8").replace("acme", "evil"));
  site.above.mood = away;
  const again = await site.start();
  expect((await get(again.url)).status).toBe(404);
});

test("content is fetched once, checked against its digest, and served with ranges", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const content = randomBytes(9_000_000);
  const digest = createHash("sha256").update(content).digest("hex");
  site.above.blobs.set(digest, content);
  const lie = createHash("sha256").update("something else").digest("hex");
  site.above.blobs.set(lie, content);
  const get = (name: string, range?: string): Promise<Response> =>
    fetch(`${url}/ingest/v1/blobs/${name}`, {
      headers: { authorization: agent.authorization(), ...(range !== undefined && { range }) },
    });
  const [one, two] = await Promise.all([get(digest), get(digest)]);
  expect(Buffer.from(await one.arrayBuffer()).equals(content)).toBe(true);
  expect(Buffer.from(await two.arrayBuffer()).equals(content)).toBe(true);
  expect(site.above.requests.filter((request) => request.includes(digest))).toHaveLength(3);
  const part = await get(digest, "bytes=100-199");
  expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 100-199/${content.length}`]);
  expect(Buffer.from(await part.arrayBuffer()).equals(content.subarray(100, 200))).toBe(true);
  expect((await get(digest, `bytes=${content.length}-`)).status).toBe(416);
  expect((await get("0".repeat(64))).status).toBe(404);
  expect((await get(lie)).status).toBe(503);
});
