import { hashTitle, packHashes, type ReportHeader } from "@daicho/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, post, problem, send, until } from "../fixtures/client.ts";
import { away, deviceSeqs, openSite, type Site } from "../fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("need-full from above is pushed to the device and answered to its next report, until a full one comes", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const channel = await connect(url, agent);
  site.above.judge = (header: ReportHeader) => (header.kind === "delta" ? { status: "need-full" } : undefined);
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
  const upper = await site.start({ name: "upper" });
  let lower = await site.start({ name: "lower", upstream: [upper.url] });
  const agent = site.company.node("agent", "pc-1");
  const channel = await connect(lower.url, agent);
  await until(() => site.above.heard.some((message) => JSON.stringify(message).includes('"relays":1')));
  site.above.judge = (header) =>
    header.kind === "heartbeat" ? { status: "need-full", code: "titles-unknown" } : undefined;
  await send(lower.url, agent, agent.report("heartbeat"));
  await until(() => channel.messages.find((message) => message.type === "need-full"));
  // The lower relay learns by answer what the upper one remembers.
  await until(async () => (await send(lower.url, agent, agent.report("heartbeat")))[0]?.status === "need-full");
  await lower.relay.stop();
  lower = await site.start({ name: "lower", upstream: [upper.url] });
  expect(await send(lower.url, agent, agent.report("heartbeat"))).toEqual([
    { status: "need-full", code: "titles-unknown" },
  ]);
});

test("a verdict on an older report asks for nothing when a newer full report is stored here already", async () => {
  const { url } = await site.start();
  site.above.mood = away;
  const agent = site.company.node("agent", "pc-1");
  await send(url, agent, agent.report("delta"));
  await send(url, agent, agent.report("full"));
  site.above.judge = (header) => (header.kind === "delta" ? { status: "need-full" } : undefined);
  site.above.mood = undefined;
  await until(() => deviceSeqs(site.above, agent.id).length === 2);
  await until(async () => /spool_records 0/.test(await (await fetch(`${url}/metrics`)).text()));
  expect(await send(url, agent, agent.report("heartbeat"))).toEqual([{ status: "stored" }]);
});

test("a refusal the device must act on is answered to its next report, once; a clone's only to the clone", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  site.above.judge = (header) =>
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

test("titles the server is known to have are not asked for again, until it turns out not to know one", async () => {
  const { url } = await site.start();
  const agent = site.company.node("agent", "pc-1");
  const hash = (name: string): Buffer => hashTitle(["dpkg", name, "1", null, null, null]);
  const ask = async (...names: string[]): Promise<Buffer> => {
    const response = await post(url, agent, "/ingest/v1/titles", packHashes(names.map(hash)));
    return Buffer.from(await response.arrayBuffer());
  };
  const asked = (): number => site.above.requests.filter((request) => request.endsWith("/titles")).length;
  site.above.unknownTitles = packHashes([hash("c")]);
  expect(await ask("a", "b", "c")).toEqual(hash("c"));
  site.above.unknownTitles = Buffer.alloc(0);
  expect(await ask("a", "b")).toHaveLength(0);
  expect(asked()).toBe(1);
  site.above.judge = () => ({ status: "need-full", code: "titles-unknown" });
  await send(url, agent, agent.report("full"));
  await until(async () => /verdicts_waiting 1/.test(await (await fetch(`${url}/metrics`)).text()));
  await ask("a", "b");
  expect(asked()).toBe(2);
  site.above.mood = away;
  const refused = await post(url, agent, "/ingest/v1/titles", packHashes([hash("z")]));
  expect([refused.status, (await problem(refused)).code]).toEqual([503, "upstream-unavailable"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
});
