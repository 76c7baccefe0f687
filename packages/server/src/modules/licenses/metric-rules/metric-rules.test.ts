import { afterEach, expect, it } from "vitest";
import { manualClock, type ManualClock } from "@daicho/kernel";
import { startServer, until, type TestServer } from "../../../testing/server.ts";
import { forEachStore } from "../../../testing/stores.ts";

const policy = (version: number, metrics: string): string => `
daicho: policy/v1
id: test
edition: enterprise
version: ${version}
metrics:
${metrics}
software:
  - { code: "@OS", name: OS, detect: 'app(name = "OS")' }
  - { code: "@DB", name: DB, detect: 'app(name = "DB")' }
licenses:
  - { rule: "@OS = @OS-CORES", count: per-core }
  - { rule: "@DB = @DB-CPU", count: by-factor }
`;
const rules = `
  - { id: per-core, count: cores, minimum: { perProcessor: 8, perServer: 16 }, packSize: 2 }
  - { id: per-core, validFrom: 2026-12-01, count: cores, minimum: { perServer: 24 }, packSize: 2 }
  - { id: by-factor, count: cores, unit: processor, factors: [ { cpu: "*Xeon*", factor: 0.5 } ] }
  - { id: later, validFrom: 2030-01-01, count: processors }
`;
const host = (id: string, cpu: object) => ({
  daicho: "inventory/v1",
  device: { id, hostname: id },
  hardware: { cpu },
  software: ["OS", "DB"].map((name) => ({ name, version: "1", source: "msi" })),
});
const day = 86_400_000;

forEachStore((store) => {
  let s: TestServer;
  let clock: ManualClock;
  let database: string;
  const open = async (): Promise<void> => {
    clock = manualClock(Date.parse("2026-11-30T00:00:00Z"));
    database = await store.url();
    s = await startServer(store, { role: "both", database }, clock);
    const published = await s.api("PUT", "/api/v1/policies/enterprise", {
      body: policy(1, rules),
      type: "application/yaml",
    });
    expect(published.status).toBe(200);
    await until("derived", () => !s.server.derivation.underWay);
  };
  afterEach(() => s.stop());
  const used = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await s.server.positions.company()).items.map((i) => [`${i.license} ${i.metric}`, i.used]));

  it("counts each device by the rule its licence names, and by the rule of the day (§5)", async () => {
    await open();
    const cpu = { model: "Intel Xeon Gold", sockets: 2, cores: 22, threads: 44 };
    await s.server.inventories.store([
      host("a", cpu),
      host("b", { model: "Xeon", sockets: 1, cores: 3 }),
      host("c", {}),
    ]);
    expect(await used()).toEqual({ "@OS-CORES core": 22 + 16 + 16, "@DB-CPU processor": 11 + 2 + 1 });
    clock.advance(2 * day);
    await until("counted by the new rule", async () => (await used())["@OS-CORES core"] === 24 * 3);
    expect((await used())["@DB-CPU processor"]).toBe(14);
    expect((await s.server.reconcile()).differences).toEqual([]);
  });

  it("a server that was away on the day counts anew when it starts", async () => {
    await open();
    await s.server.inventories.store([host("a", { sockets: 1, cores: 4 })]);
    expect((await used())["@OS-CORES core"]).toBe(16);
    await s.stop();
    clock = manualClock(Date.parse("2026-12-02T00:00:00Z"));
    s = await startServer(store, { role: "both", database }, clock);
    await until("counted by the new rule", async () => (await used())["@OS-CORES core"] === 24);
  });

  it("lists the rules and counts on trial, by hardware and by device", async () => {
    await open();
    await s.server.inventories.store([host("a", { model: "Xeon", sockets: 2, cores: 32 })]);
    const { items } = (await s.api("GET", "/api/v1/metric-rules")).json<{ items: Record<string, unknown>[] }>();
    expect(items.map(({ id, validFrom, inForce, licenses }) => [id, validFrom, inForce, licenses])).toEqual([
      ["per-core", undefined, true, ["@OS-CORES"]],
      ["per-core", "2026-12-01", false, ["@OS-CORES"]],
      ["by-factor", undefined, true, ["@DB-CPU"]],
      ["later", "2030-01-01", false, []],
    ]);
    const count = (id: string, json: unknown) => s.api("POST", `/api/v1/metric-rules/${id}/count`, { json });
    expect((await count("by-factor", { device: "a" })).json()).toMatchObject({
      units: 16,
      raw: "16",
      unit: "processor",
    });
    const trial = (await count("per-core", { hardware: { cpu: { sockets: 1, cores: 4 } } })).json<{
      steps: object[];
    }>();
    expect(trial).toMatchObject({ rule: "per-core", units: 16, packs: 8, packSize: 2 });
    expect(trial.steps.map((step) => (step as { step: string }).step)).toEqual([
      "processors",
      "minimum-per-processor",
      "minimum-per-server",
      "packs",
    ]);
    expect((await count("per-core", { hardware: {}, at: "2027-01-01T00:00:00Z" })).json()).toMatchObject({ units: 24 });
    for (const [id, body, status, code] of [
      ["nothing", { hardware: {} }, 404, "not-found"],
      ["later", { hardware: {} }, 422, "metric-rule-not-in-force"],
      ["per-core", { device: "nowhere" }, 404, "not-found"],
      ["per-core", {}, 400, "input-invalid"],
      ["per-core", { device: "a", hardware: {} }, 400, "input-invalid"],
      ["per-core", { hardware: { cpu: { cores: -1 } } }, 400, "input-invalid"],
      ["per-core", { hardware: { cores: 4 } }, 400, "input-invalid"],
    ] as const) {
      const answer = await count(id, body);
      expect([answer.status, answer.json()["code"]], JSON.stringify(body)).toEqual([status, code]);
    }
  });

  it("a device without hardware says so; a policy without metrics has none", async () => {
    await open();
    const { hardware: _, ...bare } = host("bare", {});
    await s.server.inventories.store([bare]);
    const answer = await s.api("POST", "/api/v1/metric-rules/per-core/count", { json: { device: "bare" } });
    expect([answer.status, answer.json()["code"]]).toEqual([422, "device-without-hardware"]);
    expect((await used())["@OS-CORES core"]).toBe(16);
  });
});
