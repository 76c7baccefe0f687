import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Check } from "./check.ts";
import { checkServer } from "./server.ts";

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const well = { kind: "relay", name: "tokyo", lastSeenAt: ago(0), online: true };
let nodes: readonly object[] = [];
/** Answers what a server that is well answers, but for its nodes. */
const server = createServer(({ url = "" }, answer) => {
  const path = url.split("?")[0];
  const body =
    path === "/api/v1/nodes"
      ? { items: nodes }
      : path === "/api/v1/reconcile"
        ? { differences: [] }
        : path === "/api/v1/policies/distribution"
          ? { items: [] }
          : {};
  answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
});
let url = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

async function look(at = url): Promise<ReadonlyMap<string, Check>> {
  const checks = new Map<string, Check>();
  for await (const check of checkServer({ server: at, token: "t" })) checks.set(check.check, check);
  return checks;
}

describe("doctor of a running server", () => {
  it("names who is away, and by whom reports were lost", async () => {
    nodes = [well, { ...well, name: "osaka", online: false, lastSeenAt: ago(2) }];
    expect((await look()).get("nodes")).toMatchObject({ ok: true });
    nodes = [well, { ...well, name: "osaka", online: false, lastSeenAt: ago(30) }];
    expect((await look()).get("nodes")).toMatchObject({ ok: false, says: expect.stringMatching(/^osaka is away/) });
    nodes = [{ ...well, missing: { reports: 3, devices: 2, lastAt: ago(5) } }];
    expect((await look()).get("nodes")).toMatchObject({
      ok: false,
      says: expect.stringMatching(/^3 reports of 2 devices were lost or altered on the way by tokyo/),
    });
    nodes = [{ ...well, missing: { reports: 3, devices: 2, lastAt: ago(3 * 24 * 60) } }];
    expect((await look()).get("nodes")).toMatchObject({ ok: true });
  });

  it("says of one that does not answer only that", async () => {
    expect([...(await look("http://127.0.0.1:1")).keys()]).toEqual(["server"]);
  });
});
