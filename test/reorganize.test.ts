/**
 * Purpose: a server that is killed without warning while it reorganises a company (domain §6): after each restart the reorganisation has happened as
 * a whole, with the record of it, or not at all; asking again with the same Idempotency-Key finishes it once; and every total is what a recount says.
 *
 *     DAICHO_KILLS=50 npx vitest run test/reorganize.test.ts
 */
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inventory } from "@daicho/protocol";
import { expectReconciled, usedAt } from "./harness/checks.ts";
import { policy, someTitles } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode } from "./harness/site.ts";

const kills = Number(process.env["DAICHO_KILLS"] ?? 5);
const peopleCount = 4000;
const deviceCount = 400;
const chance = createChance(2607);
const site = createSite();

interface Done {
  readonly id: string;
  readonly state: string;
}

describe("a reorganisation that is killed", { timeout: 120_000 + kills * 30_000 }, () => {
  let server: ServerNode;
  const people = Array.from({ length: peopleCount }, (_, i) => `E${String(i).padStart(5, "0")}`);

  beforeAll(async () => {
    server = await site.server({ name: "acme" });
    const local = policy(1).replace("enterprise", "local");
    await server.api.send("PUT", "/api/v1/policies/local", local, "application/yaml");
    const imported = async (kind: string, rows: readonly (readonly string[])[]): Promise<void> => {
      const file = site.write(`${kind}.csv`, rows.map((row) => row.join(",")).join("\n"));
      const { code, stderr } = await server.run("import", kind, file);
      expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    };
    await imported("departments", [
      ["code", "name"],
      ["A", "A"],
      ["B", "B"],
    ]);
    await imported("employees", [["id", "name", "department"], ...people.map((id) => [id, id, "A"])]);
    const devices = Array.from({ length: deviceCount }, (_, i) => `PC-${i}`);
    await imported("devices", [["id", "employee"], ...devices.map((id, i) => [id, people[i * 7] as string])]);
    const scans = `${site.dir}/scans`;
    mkdirSync(scans);
    for (const id of devices) {
      const inventory: Inventory = {
        daicho: "inventory/v1",
        device: { id, hostname: id },
        hardware: {},
        software: [...someTitles(chance)],
        scan: { startedAt: "2026-11-20T00:00:00Z", durationMs: 100, errors: [] },
      };
      site.write(`scans/${id}.json`, JSON.stringify(inventory));
    }
    expect(await server.run("import", "inventory", scans)).toMatchObject({ code: 0 });
    for (const { license } of await server.api.list<{ license: string }>("/api/v1/positions"))
      await server.api.send("PUT", `/api/v1/departments/A/licenses/${encodeURIComponent(license)}`, { rights: 3 });
  }, 180_000);
  afterAll(() => site.close());

  const inDepartment = async (code: string): Promise<number> =>
    (await server.api.get<{ items: unknown[] }>(`/api/v1/employees?limit=10000&department=${code}`)).items.length;
  const rightsOf = async (code: string): Promise<number> => {
    const { items } = await server.api.get<{ items: readonly { rights: number }[] }>(
      `/api/v1/departments/${code}/positions`,
    );
    return items.reduce((sum, item) => sum + item.rights, 0);
  };

  it("has happened as a whole or not at all, and asking again finishes it once", async () => {
    const used = await usedAt(server);
    const rights = await rightsOf("A");
    expect(rights).toBeGreaterThan(0);
    let [from, to] = ["A", "B"];
    let happened = 0;
    for (let round = 0; round < kills; round++) {
      // The department goes as a whole, half of its people by name before that; a new one takes its place for the next round.
      const changes = [
        { type: "move", employees: people.filter((_, i) => i % 2 === round % 2), to },
        { type: "merge", department: from, to },
        { type: "rename", department: to, name: `round ${round}` },
      ];
      const begun = performance.now();
      await server.api.send("POST", "/api/v1/org-changes", { dryRun: true, changes });
      const duration = performance.now() - begun;
      expect(await inDepartment(from)).toBe(peopleCount);

      const key = { "idempotency-key": `round-${round}` };
      const ask = (): Promise<Response> =>
        fetch(`${server.url}/api/v1/org-changes`, {
          method: "POST",
          headers: { authorization: `Bearer ${server.api.token}`, "content-type": "application/json", ...key },
          body: JSON.stringify({ changes }),
        });
      const asked = ask().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, (chance.whole(1000) / 1000) * duration));
      await server.process.kill();
      await asked;
      await server.process.start();

      const records = await server.api.list<Done>("/api/v1/org-changes");
      const done = records.length === round + 1;
      expect(records.map(({ state }) => state)).toEqual(records.map(() => "applied"));
      expect(await inDepartment(to)).toBe(done ? peopleCount : 0);
      expect(await inDepartment(from)).toBe(done ? 0 : peopleCount);
      expect(await rightsOf(done ? to : from)).toBe(rights);
      expect(await usedAt(server)).toEqual(used);
      await expectReconciled(server);
      if (done) happened++;

      const again = await ask();
      expect(again.status).toBe(201);
      expect(await server.api.list<Done>("/api/v1/org-changes")).toHaveLength(round + 1);
      expect(await inDepartment(to)).toBe(peopleCount);
      expect(await rightsOf(to)).toBe(rights);
      await server.api.send("POST", "/api/v1/departments", { code: from, name: "anew" });
      [from, to] = [to, from];
    }
    expect(await usedAt(server)).toEqual(used);
    await expectReconciled(server);
    console.log(`killed ${kills} reorganisations: ${happened} had happened, ${kills - happened} had not`);
  });
});
