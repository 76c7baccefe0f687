import { sql } from "kysely";
import { afterEach, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { Caller } from "../access/index.ts";

const manager: Caller = { tokenId: "tm", role: "manager" };

forEachStore((store) => {
  let test: TestServer;
  let now = Date.UTC(2026, 10, 1);
  afterEach(() => test.stop());

  /** Three approved applications for 2, 3 and 4 of @L, one minute apart; the department uses `used` and has no rights. */
  async function applied(used: number): Promise<string[]> {
    test = await startServer(store, { role: "corporate" }, { ...systemClock, now: () => now });
    const { applications, db } = test.server;
    for (const code of ["D", "HEIR"]) await test.api("PUT", `/api/v1/departments/${code}`, { json: { name: code } });
    await test.api("POST", "/api/v1/entitlements", {
      json: { license: "@L", quantity: 1, unitPrice: 5, currency: "EUR" },
    });
    const ids: string[] = [];
    for (const quantity of [2, 3, 4]) {
      now += 60_000;
      const { id } = await applications.file({ department: "D", license: "@L", quantity, reason: "r" }, manager);
      await applications.decide(id, { decision: "approved" }, manager);
      ids.push(id);
    }
    await sql`insert into lic_usage (department, license, used)
      select department, license, ${sql.raw(String(used))} from app_applications where id = ${ids[0]}`.execute(
      db.kysely,
    );
    await sql`update lic_version set version = version + 1`.execute(db.kysely);
    return ids;
  }
  const states = async (ids: readonly string[]): Promise<unknown[]> =>
    Promise.all(
      ids.map(async (id) => {
        const { state, granted, signaturesValid } = await test.server.applications.get(id, manager);
        return [state, granted, signaturesValid];
      }),
    );
  const requested = async (department = "D"): Promise<unknown> =>
    (await test.api("GET", `/api/v1/departments/${department}/licenses/%40L`)).json()["requested"];
  const sound = async (): Promise<void> =>
    expect(await test.server.applications.verifyAll()).toMatchObject({ faults: [], requested: [] });

  it("a run grants the first approved first; its reversal takes back exactly that", async () => {
    const ids = await applied(4);
    const { run } = await test.server.purchases.run({ period: "p1" });
    expect(await states(ids)).toEqual([["granted", 2, true], ["approved", 2, true], ["approved", 0, true]]); // prettier-ignore
    expect(await requested()).toBe(5);
    await sound();
    await test.server.purchases.reverse(run.id);
    expect(await states(ids)).toEqual([["approved", 0, true], ["approved", 0, true], ["approved", 0, true]]); // prettier-ignore
    expect(await requested()).toBe(9);
    await sound();
  });

  it("what was withdrawn after a grant does not come back with a reversal", async () => {
    const ids = await applied(4);
    const { run } = await test.server.purchases.run({ period: "p1" });
    await test.server.applications.withdraw(ids[1] as string, "enough", manager);
    expect(await requested()).toBe(4);
    await test.server.purchases.reverse(run.id);
    expect(await states(ids)).toEqual([["approved", 0, true], ["withdrawn", 0, true], ["approved", 0, true]]); // prettier-ignore
    expect(await requested()).toBe(6);
    await sound();
  });

  it("a granted application is neither withdrawn nor decided again", async () => {
    const ids = await applied(20);
    await test.server.purchases.run({ period: "p1" });
    expect(await states(ids)).toEqual([["granted", 2, true], ["granted", 3, true], ["granted", 4, true]]); // prettier-ignore
    await expect(test.server.applications.withdraw(ids[0] as string, undefined, manager)).rejects.toMatchObject({
      code: "application-state",
    });
    await sound();
  });

  it("who takes over a department takes over its open applications", async () => {
    const ids = await applied(0);
    const changes = [{ type: "merge", department: "D", to: "HEIR" }];
    expect((await test.api("POST", "/api/v1/org-changes", { json: { changes } })).status).toBeLessThan(300);
    expect(await requested("HEIR")).toBe(9);
    expect(await test.server.applications.get(ids[0] as string, manager)).toMatchObject({
      department: "HEIR",
      signaturesValid: true,
    });
    await sound();
  });

  it("what was charged is spent of the budget, and no longer committed", async () => {
    await applied(4);
    await test.api("PATCH", "/api/v1/departments/D", { json: { costCentre: "CC" } });
    const budget = { period: "2026", amount: 1000, currency: "EUR" };
    expect((await test.api("PUT", "/api/v1/budgets/CC", { json: budget })).json()).toMatchObject({
      spent: 0,
      committed: 45,
      left: 955,
    });
    const { run } = await test.server.purchases.run({ period: "2026-11" });
    const listed = async (): Promise<unknown> =>
      (await test.api("GET", "/api/v1/budgets")).json<{ items: unknown[] }>().items[0];
    // Held 1, used 4: three are bought for 15, four are granted; five of the nine are outstanding.
    expect(await listed()).toMatchObject({ spent: 15, committed: 25, left: 960 });
    await test.server.purchases.reverse(run.id);
    expect(await listed()).toMatchObject({ spent: 0, committed: 45, left: 955 });
  });
});
