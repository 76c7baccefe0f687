import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { problem, send, until } from "./fixtures/client.ts";
import { away, openSite, type Site } from "./fixtures/site.ts";

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

test("a relay enrolls itself once, with the token of its configuration", async () => {
  const first = await site.start();
  await first.relay.stop();
  const enrollments = (): number => site.above.requests.filter((r) => r.endsWith("/enroll")).length;
  expect(enrollments()).toBe(1);
  await site.start({ token: "dct1.not-used-any-more-000000.00000000000000000000000000000000" });
  expect(enrollments()).toBe(1);
});

test("a relay whose token is refused says so at start", async () => {
  const wrong = `dct1.${randomBytes(24).toString("base64url")}.${site.company.signer.keyId}`;
  await expect(site.start({ token: wrong })).rejects.toMatchObject({ code: "enrollment-refused" });
});

test("a relay that cannot enroll yet is alive, tells everyone to come back, and enrolls when the node above is there", async () => {
  site.above.mood = away;
  const { url } = await site.start();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const refused = await fetch(`${url}/ingest/v1/dictionary`);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await problem(refused)).code).toBe("starting");
  site.above.mood = undefined;
  const agent = site.company.node("agent", "pc-1");
  await until(async () => (await fetch(`${url}/readyz`)).status === 200);
  expect(await send(url, agent, agent.report())).toEqual([{ status: "stored" }]);
});

test("health, readiness and metrics are served, and unknown routes are named", async () => {
  const { url } = await site.start();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^daicho_relay_spool_records 0$/m);
  expect(metrics).toMatch(/^# TYPE daicho_relay_reports_total counter$/m);
  const unknown = await fetch(`${url}/api/v1/devices`);
  expect([unknown.status, (await problem(unknown)).code]).toEqual([404, "route-not-found"]);
});
