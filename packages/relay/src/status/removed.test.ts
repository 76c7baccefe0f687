import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, post, send, until } from "../fixtures/client.ts";
import { openSite, type Site } from "../fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("whom the company removed is refused by relays of any depth, its channel is cut, also after a restart while the server is away", async () => {
  const upper = await site.start({ name: "upper" });
  const lower = await site.start({ name: "lower", upstream: [upper.url] });
  const [lost, talker] = [site.company.node("agent", "lost"), site.company.node("agent", "talker")];
  const channel = await connect(lower.url, lost);
  expect(await send(lower.url, lost, lost.report())).toEqual([{ status: "stored" }]);
  site.above.removed = [lost.id];
  let told = 0;
  /** Something new to say: it goes up at once, and the list comes down. */
  const news = async (): Promise<void> => {
    const status = {
      id: talker.id,
      kind: "agent",
      name: "talker",
      company: "acme",
      dictionary: ++told,
      state: "failed",
    };
    const nodes = [{ ...status, at: new Date().toISOString() }];
    await post(lower.url, talker, "/ingest/v1/status", Buffer.from(JSON.stringify({ nodes })));
  };
  const refused = { status: 403, code: "node-removed" };
  await until(async () => {
    await news();
    return send(lower.url, lost, lost.report()).then(
      () => false,
      (error: unknown) => (error as { code?: string }).code === "node-removed",
    );
  });
  await channel.closed;
  await expect(connect(upper.url, lost)).rejects.toMatchObject({ status: 403 });
  expect(await send(lower.url, talker, talker.report())).toEqual([{ status: "stored" }]);

  await lower.relay.stop();
  await upper.relay.stop();
  const again = await site.start({ name: "lower", upstream: [upper.url] });
  await expect(send(again.url, lost, lost.report())).rejects.toMatchObject(refused);
});

test("a caller that has many requests under way is told to come back; others are served", async () => {
  const { url } = await site.start();
  const [evil, other] = [site.company.node("agent", "evil"), site.company.node("agent", "other")];
  const endless = (): Promise<Response> => {
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
    const headers = { authorization: evil.authorization(), "content-type": "application/octet-stream" };
    return fetch(`${url}/ingest/v1/reports`, { method: "POST", body, headers, duplex: "half" });
  };
  const refused = await until(async () => {
    const answer = await Promise.race([endless(), new Promise<undefined>((r) => setTimeout(() => r(undefined), 50))]);
    return answer?.status === 503 ? answer : undefined;
  });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await send(url, other, other.report())).toEqual([{ status: "stored" }]);
});
