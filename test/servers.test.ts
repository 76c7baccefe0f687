/**
 * Purpose: several servers on one PostgreSQL, with real processes: what is written through one is read through the other at once, for every kind of
 * resource; pushes reach nodes on any of them; one that is killed under load takes nothing with it.
 */
import { randomUUID } from "node:crypto";
import { silentLog, systemClock } from "@daicho/kernel";
import type { DownMessage } from "@daicho/protocol";
import { createChannel, type Channel } from "@daicho/uplink";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { onPostgres } from "../packages/server/src/testing/stores.ts";
import { expectReconciled, licensesAt, softwareAt, usedAt } from "./harness/checks.ts";
import { createFleetDevice, linesOf, type FleetDevice } from "./harness/fleet.ts";
import { countOf, policy, productCount, someTitles, title } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode } from "./harness/site.ts";
import { until, untilEqual } from "./harness/until.ts";

/** Every list, and a question of each kind that is answered from memory. */
const questions = [
  ...[
    "departments",
    "employees",
    "devices",
    "entitlements",
    "licenses",
    "allocations",
    "version-paths",
    "metric-rules",
  ],
  ...["classification-rules", "license-categories", "classification-corrections", "org-changes", "hand-overs"],
  ...["device-merges", "applications", "budgets", "purchase-runs", "orders", "tokens", "enrollment-tokens"],
  ...["positions", "positions/departments", "departments/B/positions?rollup=true", "positions/@P05/explain"],
  ...["software", "software?name=p05", "devices?software=p05", "devices?license=@P05", "devices/PC1", "nodes"],
].map((path) => `/api/v1/${path}`);
/** What follows a policy, which every server compiles for itself: a moment later. */
const policyQuestions = ["policies", "policies/selection", "policies/distribution", "dictionary"].map(
  (p) => `/api/v1/${p}`,
);

onPostgres((store) => {
  describe("several servers on one PostgreSQL", { sequential: true, timeout: 240_000 }, () => {
    const site = createSite();
    const chance = createChance(7400);
    const devices: FleetDevice[] = [];
    let a: ServerNode;
    let b: ServerNode;

    const call = async (
      server: ServerNode,
      method: string,
      path: string,
      body?: unknown,
      type = "application/json",
    ) => {
      const answer = await fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${a.api.token}`, ...(body !== undefined && { "content-type": type }) },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      return { status: answer.status, text: await answer.text() };
    };
    /** Without the time of the answer. */
    const read = async (server: ServerNode, path: string): Promise<unknown> => {
      const { status, text } = await call(server, "GET", path);
      return [path, status, JSON.parse(text, (key, value: unknown) => (/^(at|lastSeenAt)$/.test(key) ? 0 : value))];
    };
    const expectAlike = async (what: string): Promise<void> => {
      for (const path of questions)
        for (;;) {
          const before = await read(a, path);
          const other = await read(b, path);
          // What the servers do by themselves - devices derived anew - may come in between.
          if (JSON.stringify(await read(a, path)) !== JSON.stringify(before)) continue;
          expect([what, other]).toEqual([what, before]);
          break;
        }
      for (const path of policyQuestions)
        await untilEqual(`${path} to be alike`, await read(a, path), () => read(b, path), { everyMs: 20 });
    };
    const join = async (server: ServerNode, name: string): Promise<FleetDevice> => {
      const device = await createFleetDevice({ upstream: server.url, token: await server.enrollmentToken(), name });
      devices.push(device);
      return device;
    };
    const settled = (): Promise<unknown> =>
      until("every report to be answered", () => devices.every(({ waiting }) => waiting === 0), { seconds: 120 });

    beforeAll(async () => {
      const database = await store.url();
      a = await site.server({ name: "acme", database });
      b = await site.server({ name: "acme-b", database, more: { name: "acme" } });
      await a.api.send(
        "PUT",
        "/api/v1/policies/local",
        policy(1, 5).replace("enterprise", "local"),
        "application/yaml",
      );
    }, 180_000);
    afterAll(async () => {
      await Promise.all(devices.map((device) => device.stop()));
      await site.close();
    });

    it("what is written through one server is read through the other at once", async () => {
      const csv = (kind: string, text: string) => ["POST", `/api/v1/imports/${kind}`, text, "text/csv"] as const;
      const inventory = (id: string, products: readonly number[]) => ({
        daicho: "inventory/v1",
        device: { id, hostname: id },
        hardware: { serial: `SN-${id}` },
        software: products.map((product) => title(product)),
        scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
      });
      const inventories = (...items: readonly unknown[]) => ["POST", "/api/v1/imports/inventories", items] as const;
      const yaml = "application/yaml";
      const local = (version: number, products: number) => policy(version, products).replace("enterprise", "local");
      const writes: readonly (readonly [method: string, path: string, body?: unknown, type?: string])[] = [
        csv("departments", "code,name,parent\nA,Alpha,\nB,Beta,\nB1,Beta one,B\n"),
        csv("employees", "id,name,department\nE1,Aiko,A\nE2,Ben,B1\n"),
        csv("devices", "id,employee\nPC1,E1\nPC2,E2\nPC3,E1\n"),
        inventories(inventory("PC1", [3, 5, 6]), inventory("PC2", [3, 5])),
        ["PUT", "/api/v1/policies/local", local(2, productCount), yaml],
        inventories(inventory("PC3", [5, 7]), inventory("PC1", [5, 8])),
        ["POST", "/api/v1/departments", { code: "C", name: "Gamma" }],
        ["PATCH", "/api/v1/departments/C", { parent: "A" }],
        ["PATCH", "/api/v1/employees/E2", { department: "C" }],
        ["PATCH", "/api/v1/devices/PC2", { state: "disposed" }],
        ["PATCH", "/api/v1/devices/PC2", { state: "in-use" }],
        csv("entitlements", "license,metric,quantity,order\n@P05,device,2,O1\n@P03,device,1,O2\n"),
        ["POST", "/api/v1/entitlements", { license: "@P06", quantity: 4, metric: "device", department: "A" }],
        ["PUT", "/api/v1/departments/A/licenses/@P05", { rights: 1, required: 2 }],
        ["POST", "/api/v1/allocations", { license: "@P05", employee: "E1" }],
        ["PUT", "/api/v1/classification-rules", { items: [{ license: "@P07", class: "preinstalled" }] }],
        ["PATCH", "/api/v1/employees/E1", { department: "B1" }],
        ["POST", "/api/v1/org-changes", { changes: [{ type: "leave", employee: "E2" }] }],
        ["POST", "/api/v1/applications", { department: "B1", license: "@P05", quantity: 1, reason: "needed" }],
        ["POST", "/api/v1/purchase-runs", { period: "2026-11" }],
        ["PUT", "/api/v1/policies/selection", { licenses: ["@P03", "@P05"] }],
        ["POST", "/api/v1/tokens", { name: "another", role: "auditor" }],
        ["POST", "/api/v1/enrollment-tokens", { uses: 3 }],
      ];
      await expectAlike("nothing yet");
      const unanswered: string[] = [];
      const refused: unknown[] = [];
      for (const [i, [method, path, body, type]] of writes.entries()) {
        // In turns, so that each is once the one that must hear of it.
        const { status, text } = await call(i % 3 === 2 ? b : a, method, path, body, type);
        if (status >= 300) refused.push([method, path, status, text.slice(0, 300)]);
        await expectAlike(`${method} ${path}`);
      }
      expect(refused).toEqual([]);
      for (const path of [...questions, ...policyQuestions])
        if ((await call(b, "GET", path)).status !== 200) unanswered.push(path);
      expect(unanswered).toEqual([]);
      await expectReconciled(a);
      await expectReconciled(b);
    });

    it("what one server has learnt of titles, the other shows and counts by at once", async () => {
      // Each with a date of its own, so that what belongs to which title shows.
      const software = [9, 10, 11, 12].map((product) => ({
        ...title(product, "new"),
        installedAt: `2026-01-${10 + product}T00:00:00Z`,
      }));
      await a.api.send("POST", "/api/v1/imports/inventories", {
        daicho: "inventory/v1",
        device: { id: "LEARNT", hostname: "learnt" },
        hardware: { serial: "SN-LEARNT" },
        software,
        scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
      });
      expect(await softwareAt(b, "LEARNT")).toEqual(linesOf(software));
      await a.api.send("POST", "/api/v1/imports/inventories", {
        daicho: "inventory/v1",
        device: { id: "LEARNT", hostname: "learnt" },
        hardware: { serial: "SN-LEARNT" },
        software: [title(3, "newer"), title(5, "newer")],
        scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
      });
      // A class decided by hand: the device is derived again, here by a server that never saw these titles.
      await b.api.send("PUT", "/api/v1/devices/LEARNT/licenses/@P03/classification", {
        class: "individual",
        reason: "own",
      });
      expect(await licensesAt(a, "LEARNT")).toEqual(["@P03", "@P05"]);
      await expectReconciled(a);
    });

    it("a token that one server revokes is refused by the other", async () => {
      const { token, id } = await a.api.send<{ token: string; id: string }>("POST", "/api/v1/tokens", {
        name: "short",
        role: "auditor",
      });
      const status = async (): Promise<number> =>
        (await fetch(`${b.url}/api/v1/departments`, { headers: { authorization: `Bearer ${token}` } })).status;
      expect(await status()).toBe(200);
      expect((await call(a, "DELETE", `/api/v1/tokens/${id}`)).status).toBe(204);
      expect(await status()).toBe(401);
    });

    it("what one server tells reaches agents and relays that are connected to the other", async () => {
      const here = await join(a, "here");
      const there = await join(b, "there");
      const heard: Record<string, string[]> = { here: [], there: [] };
      const channels = [here, there].map((device, i): Channel =>
        createChannel({
          uplink: device.uplink,
          clock: systemClock,
          log: silentLog,
          onMessage: ({ type }: DownMessage) => void heard[i === 0 ? "here" : "there"]?.push(type),
        }),
      );
      try {
        await until("both to be connected", () => heard["here"]?.[0] === "hello" && heard["there"]?.[0] === "hello");
        for (const server of [a, b])
          expect(await server.api.get("/api/v1/policies/distribution")).toMatchObject({ items: [{ connected: 2 }] });
        expect(await a.api.send("POST", "/api/v1/nodes/scan-now", {})).toEqual({ connections: 2 });
        expect(await b.api.send("POST", "/api/v1/nodes/scan-now", { devices: [here.id] })).toEqual({ connections: 1 });
        for (const licenses of [["@P03"], null]) await b.api.send("PUT", "/api/v1/policies/selection", { licenses });
        const counted = (of: string, type: string): number => heard[of]?.filter((one) => one === type).length ?? 0;
        await until("a new dictionary to be heard of by both", () => counted("here", "policy-changed") > 0 && counted("there", "policy-changed") > 0); // prettier-ignore
        expect([counted("here", "scan-now"), counted("there", "scan-now")]).toEqual([2, 1]);
      } finally {
        for (const channel of channels) void channel.close();
      }
    });

    it("devices report to both under load, one server is killed, the other goes on: nothing lost, nothing counted twice", async () => {
      const before = devices.length;
      for (let i = 0; i < 6; i++) await join(i % 2 === 0 ? a : b, `load-${i}`);
      const fleet = devices.slice(before);
      const change = (): void => {
        for (const device of fleet) device.change([...someTitles(chance), { ...title(1), name: randomUUID() }]);
      };
      for (let round = 0; round < 8; round++) change();
      await until("some to be stored at each", () => fleet.every(({ stored }) => stored > 0), { seconds: 120 });
      const duty = a.process.logged("server-on-duty") > a.process.logged("server-off-duty") ? a : b;
      const [killed, left] = duty === a ? [a, b] : [b, a];
      for (let round = 0; round < 8; round++) change();
      await killed.process.kill();
      for (const device of fleet) device.change(someTitles(chance));
      const own = fleet.filter((_, i) => (i % 2 === 0 ? a : b) === left);
      await until("the one that is left to take all of its own", () => own.every(({ waiting }) => waiting === 0));
      for (const device of own) expect(await softwareAt(left, device.id)).toEqual(linesOf(device.titles));
      await expectReconciled(left);
      await until("duty to pass on", () => left.process.logged("server-on-duty") > 0);
      await killed.process.start();
      await settled();
      for (const server of [a, b]) {
        for (const device of fleet) expect(await softwareAt(server, device.id)).toEqual(linesOf(device.titles));
        for (let product = 1; product <= productCount; product++) {
          const { name } = title(product);
          const has = fleet.filter(({ titles }) => titles.some((t) => t.name === name)).map(({ id }) => id);
          const found = await server.api.list<{ id: string }>(`/api/v1/devices?software=${name}`);
          const ids = new Set(fleet.map(({ id }) => id));
          expect(found.map(({ id }) => id).filter((id) => ids.has(id)).sort()).toEqual(has.sort()); // prettier-ignore
        }
        await expectReconciled(server);
      }
      expect(await usedAt(a)).toEqual(await usedAt(b));
    });

    it("a policy published through one server is what both count by, whichever takes the reports in", async () => {
      const fleet = devices.filter(({ titles }) => titles.length > 0);
      for (const [version, products] of [
        [3, 9],
        [4, productCount],
      ] as const) {
        const text = policy(version, products).replace("enterprise", "local");
        for (const device of fleet) device.change(someTitles(chance));
        await call(version % 2 === 0 ? a : b, "PUT", "/api/v1/policies/local", text, "application/yaml");
        for (const device of fleet) device.change(someTitles(chance));
        await settled();
        const own = new Set(["PC1", "PC2", "PC3"]);
        const expected = countOf(fleet.map((device) => device.titles), products); // prettier-ignore
        await until("both to have derived all", async () => {
          await expectReconciled(a);
          await expectReconciled(b);
          const counts: Record<string, number> = {};
          for (const { id } of fleet) {
            const { licenses = [] } = await b.api.get<{ licenses?: { license: string }[] }>(`/api/v1/devices/${id}`);
            if (!own.has(id)) for (const { license } of licenses) counts[license] = (counts[license] ?? 0) + 1;
          }
          expect(counts).toEqual(expected);
          return true;
        });
      }
    });
  });
});
