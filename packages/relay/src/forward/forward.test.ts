import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { send, until } from "../fixtures/client.ts";
import { away, deviceSeqs, openSite, type Site } from "../fixtures/site.ts";
import { startUpstream } from "../fixtures/upstream.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("a report is answered stored and reaches the node above exactly as it was signed", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  expect(await send(url, agent, agent.report("full"), agent.report("delta"))).toEqual([
    { status: "stored" },
    { status: "stored" },
  ]);
  await until(() => deviceSeqs(site.above, agent.id).length === 2);
  expect(deviceSeqs(site.above, agent.id)).toEqual([1, 2]);
});

test("an enrolled relay stores while the node above is away, over a restart, and delivers all of it in order", async () => {
  const first = await site.start();
  site.above.mood = away;
  const agents = Array.from({ length: 5 }, (_, i) => site.company.node("agent", `pc-${i}`));
  for (let round = 0; round < 4; round++)
    await Promise.all(agents.map((agent) => send(first.url, agent, agent.report("delta"))));
  await first.relay.stop();
  const second = await site.start();
  for (const agent of agents) await send(second.url, agent, agent.report("delta"));
  expect(site.above.taken).toEqual([]);
  site.above.mood = undefined;
  await until(() => agents.every((agent) => new Set(deviceSeqs(site.above, agent.id)).size === 5));
  for (const agent of agents) expect(deviceSeqs(site.above, agent.id)).toEqual([1, 2, 3, 4, 5]);
  // Oldest first, many at a time.
  expect(Math.max(...site.above.batches)).toBeGreaterThan(1);
});

test("a relay that waits long for a node above forwards as soon as its channel shows that the node is back", async () => {
  // The channel tries again at once; requests back off for minutes.
  const { url } = await site.start({ backoff: { baseMs: 600_000, capMs: 600_000 }, random: () => 0 });
  await until(() => site.above.sockets.size === 1);
  site.above.mood = away;
  const agent = site.company.node("agent", "pc-1");
  await send(url, agent, agent.report("full"));
  await until(async () => /_upstream_wait_seconds [1-9]/.test(await (await fetch(`${url}/metrics`)).text()));
  site.above.mood = undefined;
  for (const socket of site.above.sockets) socket.close();
  await until(() => deviceSeqs(site.above, agent.id).length === 1);
});

test("what the node above has not answered for is sent again, and nothing else", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  let calls = 0;
  site.above.mood = (_method, path) => (path.endsWith("/reports") && calls++ < 2 ? { status: 500 } : undefined);
  await send(url, agent, agent.report());
  await until(() => deviceSeqs(site.above, agent.id).length === 1);
  await send(url, agent, agent.report());
  await until(() => deviceSeqs(site.above, agent.id).length === 2);
  expect(deviceSeqs(site.above, agent.id)).toEqual([1, 2]);
});

test("with one node above gone, the next in the list gets the reports", async () => {
  const other = await startUpstream(site.company);
  try {
    const { url } = await site.start({ upstream: [site.above.url, other.url] });
    site.above.mood = away;
    const agent = site.company.node("agent", "pc-1");
    await send(url, agent, agent.report());
    await until(() => deviceSeqs(other, agent.id).length === 1);
  } finally {
    await other.stop();
  }
});

test("a bandwidth limit holds on the way up, and everything still arrives", async () => {
  const { url } = await site.start({ limits: { bytesPerSecond: 40_000 } });
  const agent = site.company.node("agent", "pc-1");
  const began = Date.now();
  for (let i = 0; i < 10; i++)
    await send(url, agent, agent.report("full", { text: randomBytes(9_000).toString("hex") }));
  await until(() => deviceSeqs(site.above, agent.id).length === 10);
  // 180 kB at 40 kB/s: the first second's worth at once, the last batch on credit. A busy machine only makes it longer.
  expect(Date.now() - began).toBeGreaterThan(1_000);
});
