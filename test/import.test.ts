/**
 * Purpose: an import is all or nothing, also when the server is killed without warning in its middle: after each restart the file is in as a whole or
 * not at all, importing it again finishes it, and every total is what a recount says. DAICHO_KILLS kills more often.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { expectReconciled } from "./harness/checks.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode } from "./harness/site.ts";
import { pause } from "./harness/until.ts";

const kills = Number(process.env["DAICHO_KILLS"] ?? 2);
const rows = 8000;

forEachStore((store) => {
  describe(`imports that are killed, on ${store.name}`, { timeout: 120_000 + kills * 30_000 }, () => {
    const site = createSite();
    const chance = createChance(1603);
    let server: ServerNode;

    const file = (kind: string, header: string, row: (i: number) => string): string =>
      site.write(`${kind}.csv`, `${header}\n${Array.from({ length: rows }, (_, i) => row(i)).join("\n")}\n`);
    const imported = (kind: string, path: string) => server.run("import", kind, path);
    const used = async (department: string): Promise<number> => {
      const { items } = await server.api.get<{ items: { used: number }[] }>(
        `/api/v1/departments/${department}/positions`,
      );
      return items.reduce((sum, item) => sum + item.used, 0);
    };
    const held = async (): Promise<number> => {
      const { items } = await server.api.get<{ items: { license: string; held: number }[] }>("/api/v1/positions");
      return items.find((item) => item.license === "@BOUGHT")?.held ?? 0;
    };

    beforeAll(async () => {
      server = await site.server({ name: "acme", database: await store.url() });
      const policy = `{ daicho: policy/v1, id: p, edition: local, version: 1, software: [ { code: "@X", name: X, detect: 'app(name = "X")' } ] }`;
      await server.api.send("PUT", "/api/v1/policies/local", policy, "application/yaml");
      expect(await imported("departments", site.write("d.csv", "code,name\nA,A\nB,B\n"))).toMatchObject({ code: 0 });
      expect(await imported("employees", file("employees", "id,name,department", (i) => `E${i},E${i},A`))).toMatchObject({ code: 0 }); // prettier-ignore
      const devices = Array.from({ length: 200 }, (_, i) => `PC${i}`);
      const lines = devices.map((id, i) => `${id},E${i * 7}`);
      expect(await imported("devices", site.write("v.csv", `id,employee\n${lines.join("\n")}\n`))).toMatchObject({ code: 0 }); // prettier-ignore
      const inventories = devices.map((id) => ({
        daicho: "inventory/v1",
        device: { id, hostname: id },
        hardware: {},
        codes: [],
        software: [{ name: "X", version: "1", source: "registry" }],
        scan: { startedAt: "2026-11-20T00:00:00Z", durationMs: 1, errors: [] },
      }));
      await server.api.send("POST", "/api/v1/imports/inventories", inventories);
      expect(await used("A")).toBe(200);
    }, 180_000);
    afterAll(() => site.close());

    it("people who move by a file move all or none, and what they use with them", async () => {
      let [from, to] = ["A", "B"];
      let whole = 1000;
      for (let round = 0; round < kills; round++) {
        const path = file("employees", "id,name,department", (i) => `E${i},E${i},${to}`);
        const began = Date.now();
        const running = imported("employees", path);
        await pause(200 + chance.whole(whole));
        await server.process.kill();
        await running;
        await server.process.start();
        const there = await used(to);
        expect([there, await used(from)]).toEqual(there === 0 ? [0, 200] : [200, 0]);
        await expectReconciled(server);
        expect(await imported("employees", path)).toMatchObject({ code: 0 });
        expect([await used(to), await used(from)]).toEqual([200, 0]);
        whole = Math.max(500, Math.min(4000, Date.now() - began));
        [from, to] = [to, from];
      }
    });

    it("what was bought is in as a whole or not at all, and never twice", async () => {
      for (let round = 1; round <= kills; round++) {
        const path = file("entitlements", "license,metric,quantity,order", (i) => `@BOUGHT,device,1,R${round}-${i}`);
        const running = imported("entitlements", path);
        await pause(300 + chance.whole(1500));
        await server.process.kill();
        await running;
        await server.process.start();
        expect([(round - 1) * rows, round * rows]).toContain(await held());
        expect(await imported("entitlements", path)).toMatchObject({ code: 0 });
        expect(await held()).toBe(round * rows);
      }
      await expectReconciled(server);
    });
  });
});
