import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, post, until } from "../fixtures/client.ts";
import { createCompany } from "../fixtures/company.ts";
import { openSite, type Site } from "../fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("the channel hands down scan-now and messages - to all, or to the devices named - and counts presence upward", async () => {
  const upper = await site.start({ name: "upper" });
  const lower = await site.start({ name: "lower", upstream: [upper.url] });
  const [a, b, c] = [site.company.node("agent", "a"), site.company.node("agent", "b"), site.company.node("agent", "c")];
  const [onA, onB, onC] = await Promise.all([connect(lower.url, a), connect(lower.url, b), connect(upper.url, c)]);
  await until(() =>
    site.above.heard.find((m) => JSON.stringify(m) === JSON.stringify({ type: "presence", agents: 3, relays: 1 })),
  );

  site.above.push({ type: "message", text: "hello all" });
  for (const channel of [onA, onB, onC]) await until(() => channel.messages.find((m) => m.type === "message"));
  site.above.push({ type: "scan-now", devices: [a.id] });
  await until(() => onA.messages.find((m) => m.type === "scan-now"));
  site.above.push({ type: "scan-now" });
  for (const channel of [onA, onB, onC])
    await until(() => channel.messages.find((m) => m.type === "scan-now" && m.devices === undefined));
  expect(onB.messages.filter((m) => m.type === "scan-now")).toHaveLength(1);
  expect(onC.messages.filter((m) => m.type === "scan-now")).toHaveLength(1);

  onA.close();
  await until(() =>
    site.above.heard.find((m) => JSON.stringify(m) === JSON.stringify({ type: "presence", agents: 2, relays: 1 })),
  );
});

test("the channel refuses strangers, replaces an earlier connection of the same node, and says no when it is full", async () => {
  const { url } = await site.start({ limits: { connections: 1 } });
  const agent = site.company.node("agent", "pc-1");
  await expect(connect(url, createCompany().node("agent", "x"))).rejects.toMatchObject({ status: 401 });
  const first = await connect(url, agent);
  await connect(url, agent);
  expect(await first.closed).toBe(4001);
  await expect(connect(url, site.company.node("agent", "pc-2"))).rejects.toMatchObject({
    status: 503,
    headers: { "retry-after": expect.stringMatching(/^\d+$/) as string },
  });
});

test("status from below is merged with the relay's own and passed up within about a second", async () => {
  const upper = await site.start({ name: "upper" });
  await site.start({ name: "lower", upstream: [upper.url] });
  const agent = site.company.node("agent", "pc-1");
  await until(() => site.above.statuses.flat().find((status) => status.name === "lower"));
  const upperId = site.above.statuses.flat().find((status) => status.name === "upper")?.id;
  expect(site.above.statuses.flat().find((status) => status.name === "lower")?.parent).toBe(upperId);
  for (const report of site.above.statuses) expect(report[0]?.name).toBe("upper");

  const failing = { id: agent.id, kind: "agent", name: "pc-1", company: "acme", dictionary: 0, state: "failed" };
  const body = {
    nodes: [{ ...failing, reason: { code: "document-altered", message: "x" }, at: new Date().toISOString() }],
  };
  expect((await post(upper.url, agent, "/ingest/v1/status", Buffer.from(JSON.stringify(body)))).status).toBe(200);
  const seen = await until(() => site.above.statuses.flat().find((status) => status.id === agent.id));
  expect(seen).toMatchObject({ state: "failed", parent: upperId });
});

test("an agent's status speaks for itself only, and nobody speaks for the relay", async () => {
  const { url } = await site.start();
  await until(() => site.above.statuses.length > 0);
  const own = site.above.statuses[0]?.[0]?.id ?? "";
  const agent = site.company.node("agent", "pc-1");
  const claim = (id: string): object => ({
    id,
    kind: "relay",
    name: "evil",
    company: "acme",
    dictionary: 9,
    state: "complete",
    at: "2026-01-01T00:00:00Z",
  });
  const body = { nodes: [claim(own), claim("f".repeat(32)), claim(agent.id)] };
  await post(url, agent, "/ingest/v1/status", Buffer.from(JSON.stringify(body)));
  const seen = await until(() => site.above.statuses.flat().find((status) => status.id === agent.id));
  expect(seen).toMatchObject({ kind: "agent", name: "pc-1" });
  expect(site.above.statuses.flat().some((status) => status.name === "evil")).toBe(false);
});
