import { afterEach, describe, expect, it } from "vitest";
import { assembleLedger } from "../../../testing/ledger.ts";
import { startServer, until, type TestServer } from "../../../testing/server.ts";
import { forEachStore } from "../../../testing/stores.ts";

forEachStore((store) => {
  describe("why a number is what it is (issue 3)", () => {
    it("a position is told as its installations, what covers each and what each entitlement is used for", async () => {
      const s = await assembleLedger(await store.open());
      for (const [id, employee] of [["PC1", "E1"], ["PC2", "E2"], ["PC3", "E3"]] as const) await s.add(id, { employee }); // prettier-ignore
      await s.uses("PC1", ["@A", "@B"]);
      await s.uses("PC2", ["@A"]);
      await s.uses("PC3", ["@A"]);
      const own = await s.bought("@A", 1);
      const suite = await s.bought("@S", 1, "suite(@A @B)", { packSize: 1 });
      const old = await s.bought("@A", 9, "", { expiresAt: s.clock.now() - 1000 });
      const why = await s.explain.position("@A", {});
      expect(why.totals).toMatchObject({
        used: 2,
        installed: 3,
        held: 1,
        overUnder: -1,
        idle: 0,
        items: 3,
        because: { overUnder: "held 1 − used 2" },
      });
      expect(why.items).toMatchObject([
        { device: "PC1", employee: "E1", department: "D1", license: "@A", used: 0, installed: 1, countsAs: "@S", right: "suite", entitlements: [suite.id], because: "@S holds @A" },
        { device: "PC2", department: "D2", used: 1, installed: 1, covered: true, right: "direct", entitlements: [own.id] },
        { device: "PC3", used: 1, covered: false, reason: "used-up" },
      ]); // prettier-ignore
      expect(why.entitlements).toMatchObject([
        { id: own.id, held: 1, used: 1, covers: 1, validity: "valid" },
        { id: old.id, units: 9, held: 0, used: 0, validity: "expired" },
        { id: suite.id, license: "@S", held: 0, used: 1, covers: 2, rights: "suite(@A @B)" },
      ]);
      const covering = await s.explain.position("@S", { department: "D1" });
      expect(covering.totals).toMatchObject({
        used: 1,
        installed: 0,
        held: 1,
        rights: 0,
        overUnder: -1,
        items: 2,
        because: { overUnder: "rights 0 − used 1" },
      });
      expect(covering.items.map((i) => [i.device, i.license, i.used, i.countedWith])).toEqual([
        ["PC1", "@A", 1, undefined],
        ["PC1", "@B", 0, "PC1"],
      ]);
      const page = await s.explain.position("@A", { limit: 2 });
      expect(page.totals).toEqual(why.totals);
      expect(await s.explain.position("@A", { limit: 2, cursor: page.nextCursor ?? "" })).toMatchObject({
        items: [{ device: "PC3" }],
      });
      await expect(s.explain.position("@A", { cursor: "x" })).rejects.toMatchObject({ code: "input-invalid" });
      await expect(s.explain.position("@NO", {})).rejects.toMatchObject({ code: "not-found" });
      await expect(s.explain.position("@A", { department: "NO" })).rejects.toMatchObject({ code: "not-found" });
    });

    it("any past number is explained as it was", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.uses("PC1", ["@V16"]);
      await s.bought("@V19", 1, "downgrade(@V16)");
      const then = s.clock.now();
      s.tick();
      await s.uses("PC1", []);
      expect((await s.explain.position("@V19", {})).totals).toMatchObject({ used: 0 });
      expect(await s.explain.position("@V19", {}, then)).toMatchObject({
        totals: { used: 1, installed: 0, held: 1 },
        items: [{ device: "PC1", license: "@V16", right: "downgrade" }],
      });
    });

    it("a past entitlement is told as it was recorded then, not as it was edited since", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1");
      await s.uses("PC1", ["@A"]);
      const { id } = await s.bought("@A", 2, "downgrade", { contract: "C-1" });
      const then = s.clock.now();
      s.tick();
      await s.entitlements.change(id, { license: "@A", quantity: 5, contract: "C-2" });
      expect((await s.explain.position("@A", {})).entitlements).toMatchObject([{ id, quantity: 5, contract: "C-2" }]);
      const past = await s.explain.position("@A", {}, then);
      expect(past.entitlements).toMatchObject([
        { id, quantity: 2, units: 2, held: 2, contract: "C-1", rights: "downgrade" },
      ]);
    });

    it("rights are told by department, allocated in use by allocation", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.add("PC2", { employee: "E2" });
      for (const id of ["PC1", "PC2"]) await s.uses(id, ["@A"]);
      await s.bought("@A", 5);
      await s.rights.set({ department: "D1", license: "@A", rights: 3 });
      await s.rights.set({ department: "D2", license: "@A", rights: 1 });
      await s.allocations.create({ license: "@A", employee: "E1", quantity: 3 });
      const why = await s.explain.position("@A", {});
      expect(why.totals).toMatchObject({
        used: 2,
        held: 5,
        rights: 4,
        overUnder: 3,
        idle: 3,
        allocatedInUse: 1,
        allocatedNotInUse: 2,
        notAllocatedInUse: 1,
        because: { notAllocatedInUse: "used 2 − allocated in use 1" },
      });
      expect(why.departments).toMatchObject([
        { department: "D1", rights: 3, used: 1 },
        { department: "D2", rights: 1, used: 1 },
      ]);
      expect(why.allocations).toMatchObject([{ employee: "E1", quantity: 3, inUse: 1, notInUse: 2 }]);
      expect(why.items.map((i) => i.allocatedInUse)).toEqual([1, 0]);
    });

    it("a device's licence: since when, for whom and why, and what covers it - or why it has none", async () => {
      const s = await assembleLedger(await store.open());
      await s.add("PC1", { employee: "E1" });
      await s.add("PC2", { department: "D2" });
      await s.add("PC3");
      await s.uses("PC1", ["@A"]);
      const since = new Date(s.clock.now()).toISOString();
      await s.uses("PC1", ["@A", "@B"]);
      await s.uses("PC2", ["@A"]);
      await s.uses("PC3", ["@A"]);
      const { id } = await s.bought("@A", 1);
      await s.allocations.create({ license: "@A", device: "PC1" });
      expect(await s.explain.device("PC1", "@A")).toMatchObject({
        installed: true,
        since,
        countsFor: { department: "D1", employee: "E1", because: "the department of its user" },
        coverage: {
          covered: true,
          right: "direct",
          entitlements: [id],
          because: "its own licence, allocated to it",
          used: 1,
        },
        entitlements: [{ id, coversThis: true }],
      });
      expect(await s.explain.device("PC2", "@A")).toMatchObject({
        countsFor: { department: "D2", because: "it has no user: its managing department" },
        coverage: { covered: false, reason: "used-up", used: 1 },
      });
      expect(await s.explain.device("PC3", "@A")).toMatchObject({ countsFor: { department: "unassigned" } });
      expect(await s.explain.device("PC3", "@B")).toMatchObject({
        installed: false,
        because: "the device has not reported",
      });
      await expect(s.explain.device("NO", "@A")).rejects.toMatchObject({ code: "not-found" });
      await expect(s.explain.device("PC1", "@NO")).rejects.toMatchObject({ code: "not-found" });
    });
  });

  describe("through the API, from a real policy and a real inventory", () => {
    let server: TestServer;
    afterEach(() => server.stop());
    it("evidence, rule with its place, units with steps, entitlement - and the first term that failed", async () => {
      server = await startServer(store, { role: "both" });
      const policy = `daicho: policy/v1
id: p
edition: enterprise
version: 1
software:
  - { code: "@DB19", name: Database, detect: 'app(name = "Database 2019")' }
  - { code: "@ADDON", name: Add-on, detect: 'app(name = "Add-on")' }
licenses:
  - { rule: "@DB19 AND @ADDON = @DBX", name: Database with add-on }
  - { rule: "@DB19 = @DB", name: Database, metric: core, count: four-per-socket }
metrics:
  - { id: four-per-socket, count: cores, minimum: { perProcessor: 4 } }
`;
      const put = await server.api("PUT", "/api/v1/policies/enterprise", { body: policy, type: "application/yaml" });
      expect(put.text).not.toContain("faults");
      const inventory = {
        daicho: "inventory/v1",
        device: { id: "SRV1", hostname: "srv1" },
        hardware: { cpu: { sockets: 2, cores: 4 } },
        software: [{ name: "Database 2019", version: "15.0", source: "msi" }],
        scan: { startedAt: "2026-05-01T00:00:00Z", durationMs: 1, errors: [] },
      };
      expect((await server.api("POST", "/api/v1/imports/inventories", { json: inventory })).status).toBe(200);
      const made = await server.api("POST", "/api/v1/entitlements", { json: { license: "@DB", quantity: 4, packSize: 2, certificate: "C-1", supplier: "S" } }); // prettier-ignore
      const { id } = made.json<{ id: string }>();
      expect(made.json()).toMatchObject({ units: 8, packSize: 2, certificate: "C-1", supplier: "S" });
      // The policy comes into force behind its answer.
      const why = await until("the licence is counted", async () => {
        const told = (await server.api("GET", "/api/v1/devices/SRV1/licenses/%40DB/explain")).json();
        return told["installed"] === true && told;
      });
      expect(why).toMatchObject({
        installed: true,
        rule: { text: "@DB19 = @DB", place: expect.stringContaining(":10:") as string, codes: ["@DB19"], evidence: [expect.objectContaining({ probe: 'app(name = "Database 2019")' }) as object] },
        units: { metric: "core", units: 8, rule: "four-per-socket", steps: expect.arrayContaining([expect.objectContaining({ step: "minimum-per-processor" })]) as object[] },
        countsFor: { department: "unassigned" },
        coverage: { covered: true, right: "direct", entitlements: [id], used: 8, installed: 8 },
      }); // prettier-ignore
      expect((await server.api("GET", "/api/v1/devices/SRV1/licenses/%40DBX/explain")).json()).toMatchObject({
        installed: false,
        because: "@ADDON is not on the device",
        notMatched: [{ rule: "@DB19 AND @ADDON = @DBX", term: "@ADDON", reason: "absent" }],
      });
      const position = await server.api("GET", "/api/v1/positions/%40DB/explain");
      expect(position.json()).toMatchObject({ totals: { used: 8, installed: 8, held: 8, items: 1 } });
      const csv = await server.api("GET", "/api/v1/positions/%40DB/explain", { headers: { accept: "text/csv" } });
      expect(csv.text.split("\n")[0]).toContain(
        "device,hostname,employee,department,license,units,used,installed,class,",
      );
      expect((await server.api("GET", "/api/v1/positions/%40NO/explain")).status).toBe(404);
      expect((await server.api("GET", "/api/v1/positions/%40DB/explain?asOf=2999-01-01")).status).toBe(400);

      expect((await server.api("GET", "/api/v1/licenses/%40DB")).json()).toMatchObject({
        metric: "core",
        managed: true,
      });
      expect((await server.api("GET", "/api/v1/licenses?metric=core")).json<{ items: unknown[] }>().items).toHaveLength(
        1,
      );
      const path = "/api/v1/version-paths/db";
      expect((await server.api("PUT", path, { json: { licenses: ["@DB", "@DBX"] } })).status).toBe(201);
      expect((await server.api("PUT", path, { json: { licenses: ["@DBX", "@DB"] } })).status).toBe(200);
      expect((await server.api("GET", `${path}/history`)).json<{ items: unknown[] }>().items).toHaveLength(2);
      expect((await server.api("PUT", path, { json: { licenses: ["@DB", "@NO"] } })).text).toContain("/licenses/1");
      expect((await server.api("DELETE", path)).status).toBe(204);
      expect((await server.api("DELETE", path)).status).toBe(404);
      const key = { "idempotency-key": "one" };
      const body = { license: "@DB", device: "SRV1", quantity: 8 };
      const allocation = await server.api("POST", "/api/v1/allocations", { json: body, headers: key });
      expect(allocation.status).toBe(201);
      expect((await server.api("POST", "/api/v1/allocations", { json: body, headers: key })).json()).toEqual(
        allocation.json(),
      );
      expect((await server.api("POST", "/api/v1/allocations", { json: body, as: "auditor" })).status).toBe(403);
      expect((await server.api("GET", "/api/v1/positions")).json()).toMatchObject({
        items: [{ license: "@DB", used: 8, allocatedInUse: 8, allocatedNotInUse: 0, notAllocatedInUse: 0 }],
      });
      const one = `/api/v1/allocations/${allocation.json<{ id: string }>().id}`;
      expect((await server.api("PATCH", one, { json: { quantity: 9 } })).json()).toMatchObject({ quantity: 9 });
      expect((await server.api("DELETE", one)).status).toBe(204);
      expect((await server.api("GET", one)).status).toBe(404);
      expect((await server.api("GET", "/api/v1/reconcile")).json()).toMatchObject({ differences: [] });
    });
  });
});
