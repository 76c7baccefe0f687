import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { manualClock, type Clock } from "@daicho/kernel";
import { startServer, type ApiAnswer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import { touchPositions } from "../licenses/index.ts";
import type { PurchaseRun } from "./answer.ts";

interface Given {
  readonly price?: number;
  readonly currency?: string;
  readonly held: number;
  readonly metric?: string;
  /** Department → [rights, used, requested]. */
  readonly departments: Readonly<Record<string, readonly [rights: number, used: number, requested?: number]>>;
}

/** Worked example B of domain.md §7, and A. */
const exampleA: Given = { price: 1000, held: 2, departments: { D001: [1, 2], D002: [2, 1], D003: [0, 1] } };
const exampleB: Given = {
  price: 500,
  held: 3,
  departments: { D001: [0, 1], D002: [1, 1], D003: [2, 0], D004: [0, 1], D005: [0, 1] },
};

forEachStore((store) => {
  let server: TestServer | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  /** A company that holds, uses and has granted this; `used` as the repository would count it. */
  async function company(licenses: Readonly<Record<string, Given>>, clock?: Clock): Promise<TestServer> {
    const made = (server = await startServer(store, { role: "corporate" }, clock));
    const codes = new Set(Object.values(licenses).flatMap((given) => Object.keys(given.departments)));
    codes.delete("unassigned");
    for (const code of [...codes].sort())
      await ok(
        made.api("POST", "/api/v1/departments", { json: { code, name: code, costCentre: `CC-${code.at(-1)}` } }),
      );
    for (const [license, { price, currency = "JPY", held, metric, departments }] of Object.entries(licenses)) {
      const money = price === undefined ? {} : { unitPrice: price, currency };
      await ok(
        made.api("POST", "/api/v1/entitlements", {
          json: { license, quantity: held, purchasedAt: "2026-01-01", ...money, ...(metric && { metric }) },
        }),
      );
      for (const [code, [rights, used, requested = 0]] of Object.entries(departments))
        await set(made, code, license, { rights, used, requested });
    }
    return made;
  }

  async function set(
    { server: { db } }: TestServer,
    department: string,
    license: string,
    numbers: { readonly rights: number; readonly used: number; readonly requested: number },
  ): Promise<void> {
    const { rights, used, requested } = numbers;
    await db.transaction(async (trx) => {
      const found = await trx.selectFrom("org_departments").select("ordinal").where("code", "=", department).execute();
      const of = await trx.selectFrom("lic_licenses").select("ordinal").where("code", "=", license).execute();
      const key = { department: found[0]?.ordinal ?? 0, license: of[0]?.ordinal ?? -1 };
      await trx
        .insertInto("lic_usage")
        .values({ ...key, used })
        .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ used }))
        .execute();
      await trx
        .insertInto("lic_rights")
        .values({ ...key, rights, requested, required: 0 })
        .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ rights, requested }))
        .execute();
      await touchPositions(db, trx, Date.now(), { departments: [key.department] });
    });
  }

  const ok = async (answer: Promise<ApiAnswer>): Promise<ApiAnswer> => {
    const got = await answer;
    expect([got.status, got.status < 300 ? "" : got.text]).toEqual([got.status, ""]);
    return got;
  };
  const post = async (made: TestServer, path: string, json?: object): Promise<PurchaseRun> =>
    (await ok(made.api("POST", path, json === undefined ? {} : { json }))).json<PurchaseRun>();
  const run = (made: TestServer, json: object = {}): Promise<PurchaseRun> => post(made, "/api/v1/purchase-runs", json);

  /** An application, approved. */
  async function apply(made: TestServer, department: string, license: string, quantity: number): Promise<void> {
    const json = { department, license, quantity, reason: "for the new hands" };
    const { id } = (await ok(made.api("POST", "/api/v1/applications", { json }))).json<{ id: string }>();
    await ok(made.api("POST", `/api/v1/applications/${id}/approve`));
  }

  /** Per department and licence: rights, used, requested; and held per licence. Read through the positions. */
  async function state(made: TestServer): Promise<Record<string, unknown>> {
    const { items } = (await made.api("GET", "/api/v1/positions/departments")).json<{
      items: { department: string; license: string; rights: number; used: number; requested: number }[];
    }>();
    const company = (await made.api("GET", "/api/v1/positions")).json<{ items: { license: string; held: number }[] }>();
    return {
      ...Object.fromEntries(items.map((i) => [`${i.department} ${i.license}`, [i.rights, i.used, i.requested]])),
      ...Object.fromEntries(company.items.map((i) => [i.license, i.held])),
    };
  }

  describe("a purchase run (domain.md §7)", () => {
    it("does the worked examples to the last yen, and a dry run before says the same and writes nothing", async () => {
      const made = await company({ "@A": exampleA, "@B": exampleB });
      const before = await state(made);
      const plan = await run(made, { dryRun: true, period: "2026-11" });
      expect(await state(made)).toEqual(before);
      expect((await made.api("GET", "/api/v1/purchase-runs")).json()).toEqual({ items: [] });
      const done = await run(made, { period: "2026-11" });
      const numbered = done.orders.map(({ order: _, ...order }) => order);
      expect({ ...done, orders: numbered, id: "", at: "", state: "", dryRun: true }).toEqual({
        ...plan,
        id: "",
        at: "",
        state: "",
      });
      expect(done).toMatchObject({ period: "2026-11", state: "done", dryRun: false, skipped: [] });
      expect(done.orders).toEqual([
        { order: "2026-11/0001", license: "@A", quantity: 2, unitPrice: 1000, amount: 2000, currency: "JPY" },
        { order: "2026-11/0002", license: "@B", quantity: 1, unitPrice: 500, amount: 500, currency: "JPY" },
      ]);
      expect(done.chargebacks.map((c) => [c.license, c.department, c.costCentre, c.quantity, c.amount])).toEqual([
        ["@A", "D001", "CC-1", 1, 1000],
        ["@A", "D003", "CC-3", 1, 1000],
        ["@B", "D001", "CC-1", 1, 167],
        ["@B", "D004", "CC-4", 1, 167],
        ["@B", "D005", "CC-5", 1, 166],
      ]);
      expect(done.rights.map((r) => [r.license, r.department, r.before, r.after])).toEqual([
        ["@A", "D001", 1, 2],
        ["@A", "D002", 2, 1],
        ["@A", "D003", 0, 1],
        ["@B", "D001", 0, 1],
        ["@B", "D003", 2, 0],
        ["@B", "D004", 0, 1],
        ["@B", "D005", 0, 1],
      ]);
      expect(done.savedByIdle).toEqual([{ license: "@B", quantity: 2 }]);
      expect(await state(made)).toEqual({
        "@A": 4,
        "@B": 4,
        "D001 @A": [2, 2, 0],
        "D002 @A": [1, 1, 0],
        "D003 @A": [1, 1, 0],
        "D001 @B": [1, 1, 0],
        "D002 @B": [1, 1, 0],
        "D004 @B": [1, 1, 0],
        "D005 @B": [1, 1, 0],
      });
      const read = (await made.api("GET", `/api/v1/purchase-runs/${done.id}`)).json<PurchaseRun>();
      expect(read).toEqual(done);
      const bought = (await made.api("GET", "/api/v1/entitlements?order=2026-11%2F0001")).json<{ items: object[] }>();
      expect(bought.items).toMatchObject([
        { license: "@A", quantity: 2, unitPrice: 1000, currency: "JPY", purchasedAt: done.at, metric: "device" },
      ]);
    });

    it("is done once per period and once per Idempotency-Key; the next period then buys nothing", async () => {
      const made = await company({ "@A": exampleA });
      const both = await Promise.all([
        made.api("POST", "/api/v1/purchase-runs", { json: { period: "2026-11" } }),
        made.api("POST", "/api/v1/purchase-runs", { json: { period: "2026-11" } }),
      ]);
      expect(both.map((answer) => answer.status).sort()).toEqual([200, 201]);
      expect(both[0].json()).toEqual(both[1].json());
      const headers = { "idempotency-key": "december" };
      const december = await made.api("POST", "/api/v1/purchase-runs", { json: { period: "2026-12" }, headers });
      expect(december.json()).toMatchObject({ orders: [], chargebacks: [], rights: [], savedByIdle: [] });
      const again = await made.api("POST", "/api/v1/purchase-runs", { headers });
      expect([again.status, again.json()]).toEqual([200, december.json()]);
      const other = await made.api("POST", "/api/v1/purchase-runs", { json: { period: "2027-01" }, headers });
      expect([other.status, other.json()]).toMatchObject([409, { code: "conflict" }]);
      const { items } = (await made.api("GET", "/api/v1/purchase-runs?sort=-period")).json<{ items: object[] }>();
      expect(items).toMatchObject([
        { period: "2026-12", orderCount: 0, amounts: [] },
        { period: "2026-11", orderCount: 1, amounts: [{ currency: "JPY", amount: 2000 }] },
      ]);
      expect((await made.api("GET", "/api/v1/orders")).json<{ items: object[] }>().items).toHaveLength(1);
    });

    it("without a price nothing is bought and it says so; unassigned takes part; site licences are left alone", async () => {
      const made = await company({
        "@NONE": { held: 1, departments: { D1: [3, 0], D2: [0, 2, 2] } },
        "@SITE": { held: 1, price: 100, metric: "site", departments: { D1: [0, 9], D2: [4, 1] } },
        "@U": { held: 0, price: 7, currency: "EUR", departments: { unassigned: [0, 3] } },
      });
      const done = await run(made, { period: "p" });
      expect(done.skipped).toEqual([{ license: "@NONE", quantity: 1, reason: "price-unknown" }]);
      expect(done.orders.map((o) => [o.license, o.quantity, o.amount, o.currency])).toEqual([["@U", 3, 21, "EUR"]]);
      expect(done.chargebacks).toEqual([
        { department: "unassigned", license: "@U", quantity: 3, amount: 21, currency: "EUR" },
      ]);
      expect(await state(made)).toMatchObject({
        "D2 @NONE": [1, 2, 1],
        "D1 @SITE": [0, 9, 0],
        "D2 @SITE": [1, 1, 0],
        "unassigned @U": [3, 3, 0],
        "@NONE": 1,
        "@SITE": 1,
        "@U": 3,
      });
      expect(await state(made)).not.toHaveProperty("D1 @NONE");
    });

    it("where a downgrade covers, everyone may use what they use once the order is there - whoever it covers then", async () => {
      const made = (server = await startServer(store, { role: "both" }));
      const policy = ["daicho: policy/v1", "id: p", "edition: enterprise", "version: 1", "software:"];
      for (const code of ["@OLD", "@NEW"])
        policy.push(`  - { code: "${code}", name: x, detect: 'app(name = "${code}")' }`);
      await ok(made.api("PUT", "/api/v1/policies/enterprise", { body: policy.join("\n"), type: "application/yaml" }));
      for (const code of ["D1", "D2", "D3"]) {
        await ok(made.api("POST", "/api/v1/departments", { json: { code, name: code } }));
        const inventory = {
          daicho: "inventory/v1",
          device: { id: code, hostname: code },
          software: [{ name: "@OLD", version: "1", source: "msi" }],
          scan: { startedAt: "2026-05-01T00:00:00Z", durationMs: 1, errors: [] },
        };
        await ok(made.api("POST", "/api/v1/imports/inventories", { json: inventory }));
        await ok(made.api("PATCH", `/api/v1/devices/${code}`, { json: { department: code } }));
      }
      for (const json of [
        { license: "@NEW", quantity: 1, rights: "downgrade(@OLD)" },
        { license: "@OLD", quantity: 0, unitPrice: 10, currency: "EUR" },
      ])
        await ok(made.api("POST", "/api/v1/entitlements", { json }));
      const done = await run(made, { period: "p" });
      expect(done.orders).toMatchObject([{ license: "@OLD", quantity: 2, amount: 20 }]);
      const after = Object.entries(await state(made)).filter(([key]) => key.includes(" ")) as [string, number[]][];
      for (const [key, [rights, used]] of after) expect([key, rights]).toEqual([key, used]);
      expect(after.reduce((sum, [, numbers]) => sum + (numbers[1] ?? 0), 0)).toBe(3);
      expect(await run(made, { period: "q" })).toMatchObject({ orders: [], rights: [] });
    });

    it("just after a policy was published, plan and run wait until all are counted by it", async () => {
      const made = (server = await startServer(store, { role: "both" }));
      const publish = (version: number, detect: string): Promise<unknown> => {
        const lines = ["daicho: policy/v1", "id: p", "edition: enterprise", `version: ${version}`, "software:"];
        lines.push(`  - { code: "@A", name: a, detect: '${detect}' }`);
        return ok(made.api("PUT", "/api/v1/policies/enterprise", { body: lines.join("\n"), type: "application/yaml" }));
      };
      const device = (place: number): object => ({
        daicho: "inventory/v1",
        device: { id: `pc-${place}`, hostname: `pc-${place}` },
        software: ["a", ...(place % 3 === 0 ? ["b"] : [])].map((name) => ({ name, version: "1", source: "msi" })),
        scan: { startedAt: "2026-05-01T00:00:00Z", durationMs: 1, errors: [] },
      });
      await publish(1, 'app(name = "a")');
      const json = Array.from({ length: 600 }, (_, place) => device(place));
      await ok(made.api("POST", "/api/v1/imports/inventories", { json }));
      const priced = { license: "@A", quantity: 0, unitPrice: 1, currency: "EUR" };
      await ok(made.api("POST", "/api/v1/entitlements", { json: priced }));
      await publish(2, 'app(name = "b")');
      const planned = (await ok(made.api("POST", "/api/v1/purchase-runs", { json: { dryRun: true } }))).json();
      expect(planned).toMatchObject({ orders: [{ license: "@A", quantity: 200 }] });
      await publish(3, 'app(name = "a") AND NOT app(name = "b")');
      expect((await run(made, { period: "p" })).orders).toMatchObject([{ license: "@A", quantity: 400 }]);
    });

    it("what is sold in packs is bought in whole packs, at the price of a pack", async () => {
      const made = await company({ "@P": { held: 0, departments: { D1: [0, 5] } } });
      const pack = { license: "@P", quantity: 0, packSize: 4, unitPrice: 999, currency: "JPY" };
      await ok(made.api("POST", "/api/v1/entitlements", { json: pack }));
      const done = await run(made, { period: "p" });
      expect(done.orders).toMatchObject([{ quantity: 2, packSize: 4, unitPrice: 999, amount: 1998 }]);
      expect((await made.api("GET", `/api/v1/purchase-runs/${done.id}`)).json()).toEqual(done);
      expect(await state(made)).toMatchObject({ "@P": 8, "D1 @P": [5, 5, 0] });
      expect(await run(made, { period: "q" })).toMatchObject({ orders: [], rights: [] });
    });

    it("what the company does not manage is not bought", async () => {
      const made = await company({ "@A": exampleA });
      await made.server.db.kysely.updateTable("lic_licenses").set({ managed: 0 }).execute();
      await made.server.db.transaction((trx) => touchPositions(made.server.db, trx, Date.now(), { everything: true }));
      expect(await run(made)).toMatchObject({ orders: [], rights: [], skipped: [] });
    });
  });

  describe("taking back and placing", () => {
    it("a reversal gives back rights, requested and entitlements exactly, and its period may be run again", async () => {
      const made = await company({ "@A": exampleA, "@B": exampleB });
      await apply(made, "D001", "@A", 5);
      const before = await state(made);
      expect(before["D001 @A"]).toEqual([1, 2, 5]);
      const { id } = await run(made, { period: "2026-11" });
      expect((await state(made))["D001 @A"]).toEqual([2, 2, 4]);
      const reversed = await post(made, `/api/v1/purchase-runs/${id}/reverse`);
      expect(reversed.state).toBe("reversed");
      expect(await state(made)).toEqual(before);
      expect(await post(made, `/api/v1/purchase-runs/${id}/reverse`)).toEqual(reversed);
      expect((await made.api("GET", "/api/v1/chargebacks")).json()).toEqual({ items: [] });
      expect((await made.api("GET", `/api/v1/chargebacks?run=${id}`)).json<{ items: [] }>().items).toHaveLength(5);
      const again = await run(made, { period: "2026-11" });
      expect(again.id).not.toBe(id);
      expect(again.orders.map((order) => order.order)).toEqual(["2026-11/2.0001", "2026-11/2.0002"]);
      const placing = await made.api("POST", `/api/v1/purchase-runs/${id}/place`);
      expect(placing.json()).toMatchObject({ code: "conflict" });
    });

    it("is refused, naming the place, where rights it gave are gone or its entitlement was edited; nothing changes", async () => {
      const made = await company({ "@A": exampleA });
      const { id } = await run(made, { period: "2026-11" });
      await ok(made.api("PUT", "/api/v1/departments/D003/licenses/@A", { json: { rights: 0 } }));
      const before = await state(made);
      const refused = await made.api("POST", `/api/v1/purchase-runs/${id}/reverse`);
      expect([refused.status, refused.json()]).toMatchObject([409, { code: "conflict" }]);
      expect(refused.text).toContain("department D003, licence @A: has 0 rights, the run gave 1");
      expect(await state(made)).toEqual(before);
      await ok(made.api("PUT", "/api/v1/departments/D003/licenses/@A", { json: { rights: 1 } }));
      const { items } = (await made.api("GET", "/api/v1/orders")).json<{ items: { entitlement: string }[] }>();
      const path = `/api/v1/entitlements/${items[0]?.entitlement}`;
      await ok(made.api("PATCH", path, { json: { contract: "C-1" } }));
      const edited = await made.api("POST", `/api/v1/purchase-runs/${id}/reverse`);
      expect([edited.status, edited.text.includes("order 2026-11/0001")]).toEqual([409, true]);
      expect((await ok(made.api("GET", path))).json()).toMatchObject({ quantity: 2 });
    });

    it("follows the rights it gave to who took over a department that was merged or dissolved since", async () => {
      const made = await company({ "@A": exampleA, "@B": exampleB });
      await ok(made.api("POST", "/api/v1/departments", { json: { code: "TOP", name: "Top" } }));
      await ok(made.api("PATCH", "/api/v1/departments/D005", { json: { parent: "TOP" } }));
      await apply(made, "D003", "@A", 4);
      const { id } = await run(made, { period: "2026-11" });
      const changes = [
        { type: "merge", department: "D003", to: "D002" },
        { type: "merge", department: "D002", to: "D001" },
        { type: "dissolve", department: "D005" },
      ];
      await ok(made.api("POST", "/api/v1/org-changes", { json: { changes } }));
      // The code again, and nothing of what went on to D001 and TOP.
      for (const code of ["D003", "D005"])
        await ok(made.api("POST", "/api/v1/departments", { json: { code, name: "anew" } }));
      const merged = await state(made);
      expect([merged["D001 @A"], merged["TOP @B"], merged["@A"]]).toEqual([[4, 2, 3], [1, 0, 0], 4]);
      const reversed = await post(made, `/api/v1/purchase-runs/${id}/reverse`);
      expect(reversed.rights.map((r) => r.department)).toContain("D003");
      const after = await state(made);
      // D001 1 + D002 2 + D003 0, and of B 0 + 1 + 2, as before the run.
      expect(after).toMatchObject({ "D001 @A": [3, 2, 4], "@A": 2, "D001 @B": [3, 1, 0], "@B": 3 });
      expect(after).not.toHaveProperty("TOP @B");
      expect((await made.api("GET", "/api/v1/applications/verification")).json()).toMatchObject({ faults: [] });
    });

    it("takes back from a department what it has of what the run gave, the rest from those its rights went to; others may be split off, merged and joined", async () => {
      const made = await company({ "@A": { held: 1, price: 7, departments: { D1: [0, 6], D2: [3, 1], D3: [0, 0] } } });
      const { id } = await run(made, { period: "2026-11" });
      expect(await state(made)).toMatchObject({ "D1 @A": [6, 6, 0], "D2 @A": [1, 1, 0], "@A": 7 });
      const rights = (n: number) => [{ license: "@A", rights: n }];
      const changes = [
        { type: "split", department: "D1", to: "NEW", name: "New", rights: rights(4) },
        { type: "split", department: "NEW", to: "D3", rights: rights(1) },
        { type: "split", department: "D2", to: "D3", rights: rights(1) },
        { type: "rename", department: "NEW", code: "N2" },
        { type: "merge", department: "N2", to: "HEIR", name: "Heir" },
        { type: "split", department: "HEIR", to: "D1", rights: rights(1) },
      ];
      await ok(made.api("POST", "/api/v1/org-changes", { json: { changes } }));
      expect(await state(made)).toMatchObject({ "D1 @A": [3, 6, 0], "HEIR @A": [2, 0, 0], "D3 @A": [2, 0, 0] });
      // What goes by hand is gone, and named where it went.
      await ok(made.api("PUT", "/api/v1/departments/HEIR/licenses/@A", { json: { rights: 1 } }));
      const refused = await made.api("POST", `/api/v1/purchase-runs/${id}/reverse`);
      expect([refused.status, refused.text]).toMatchObject([409, expect.stringContaining("department HEIR, licence @A: has 1 rights, the run gave 2")]); // prettier-ignore
      await ok(made.api("PUT", "/api/v1/departments/HEIR/licenses/@A", { json: { rights: 2 } }));
      await post(made, `/api/v1/purchase-runs/${id}/reverse`);
      // D2 gave up two and has them again; the one it split off is D3's still.
      const after = await state(made);
      expect(after).toMatchObject({ "D1 @A": [0, 6, 0], "D2 @A": [2, 1, 0], "D3 @A": [1, 0, 0], "@A": 1 });
      expect(after).not.toHaveProperty("HEIR @A");
    });

    it("takes back from the applicant what an application took idle of what the run gave", async () => {
      const made = await company({ "@A": { held: 0, price: 7, departments: { D1: [0, 2], D2: [0, 0] } } });
      const { id } = await run(made, { period: "2026-11" });
      await set(made, "D1", "@A", { rights: 2, used: 1, requested: 0 });
      const json = { department: "D2", license: "@A", quantity: 1, reason: "there is one", acceptIdle: true };
      const wish = (await ok(made.api("POST", "/api/v1/applications", { json }))).json<{ id: string }>();
      await ok(made.api("POST", `/api/v1/applications/${wish.id}/approve`));
      expect(await state(made)).toMatchObject({ "D1 @A": [1, 1, 0], "D2 @A": [1, 0, 0], "@A": 2 });
      await post(made, `/api/v1/purchase-runs/${id}/reverse`);
      expect(await state(made)).toEqual({ "D1 @A": [0, 1, 0], "@A": 0 });
    });

    it("an application that a run granted is open again at who took over its department", async () => {
      const made = await company({ "@A": { held: 0, price: 7, departments: { D1: [0, 2], D2: [0, 0], D3: [0, 0] } } });
      await apply(made, "D1", "@A", 2);
      const { id } = await run(made, { period: "2026-11" });
      const changes = [
        { type: "merge", department: "D1", to: "D2" },
        { type: "merge", department: "D2", to: "D3" },
      ];
      await ok(made.api("POST", "/api/v1/org-changes", { json: { changes } }));
      await ok(made.api("POST", "/api/v1/departments", { json: { code: "D1", name: "anew" } }));
      await post(made, `/api/v1/purchase-runs/${id}/reverse`);
      const requested = (await made.api("GET", "/api/v1/positions/departments")).json<{ items: { department: string; requested: number }[] }>(); // prettier-ignore
      expect(requested.items.filter((i) => i.requested > 0)).toMatchObject([{ department: "D3", requested: 2 }]);
      expect((await made.api("GET", "/api/v1/applications/verification")).json()).toMatchObject({ faults: [] });
    });

    it("what a dissolved department without an heir had given up stays with the company", async () => {
      const made = await company({ "@A": { held: 3, price: 5, departments: { D1: [2, 0], D2: [0, 1] } } });
      const { id } = await run(made, { period: "2026-11" });
      await ok(
        made.api("POST", "/api/v1/org-changes", { json: { changes: [{ type: "dissolve", department: "D1" }] } }),
      );
      expect((await post(made, `/api/v1/purchase-runs/${id}/reverse`)).state).toBe("reversed");
      const after = await state(made);
      expect(after).toMatchObject({ "D2 @A": [0, 1, 0], "@A": 3 });
      expect(after).not.toHaveProperty("D1 @A");
    });

    it("an edit of its entitlement is seen also where the clock was set back", async () => {
      const clock = manualClock(Date.parse("2026-11-02T00:00:00Z"));
      const made = await company({ "@A": exampleA }, clock);
      const { id } = await run(made, { period: "2026-11" });
      clock.advance(-86_400_000);
      const { items } = (await made.api("GET", "/api/v1/orders")).json<{ items: { entitlement: string }[] }>();
      const path = `/api/v1/entitlements/${items[0]?.entitlement}`;
      await ok(made.api("PATCH", path, { json: { contract: "C-1" } }));
      const refused = await made.api("POST", `/api/v1/purchase-runs/${id}/reverse`);
      expect([refused.status, refused.json()]).toMatchObject([409, { code: "conflict" }]);
      expect((await ok(made.api("GET", path))).json()).toMatchObject({ quantity: 2, contract: "C-1" });
    });

    it("once its order is placed a run stays; the supplier's number is kept", async () => {
      const made = await company({ "@A": exampleA });
      const { id } = await run(made, { period: "2026-11" });
      const placed = await post(made, `/api/v1/purchase-runs/${id}/place`, { order: "S-77" });
      expect([placed.state, placed.orders[0]?.supplierOrder]).toEqual(["placed", "S-77"]);
      expect(await post(made, `/api/v1/purchase-runs/${id}/place`, { order: "S-77" })).toEqual(placed);
      for (const [path, json] of [
        ["place", { order: "S-78" }],
        ["reverse", undefined],
      ] as const) {
        const answer = await made.api("POST", `/api/v1/purchase-runs/${id}/${path}`, json ? { json } : {});
        expect([path, answer.status, answer.json()]).toMatchObject([path, 409, { code: "conflict" }]);
      }
      expect((await run(made, { period: "2026-11" })).id).toBe(id);
    });
  });

  describe("what is charged", () => {
    it("is listed, filtered, summed and exported", async () => {
      const made = await company({ "@A": exampleA, "@B": exampleB });
      const { id } = await run(made, { period: "2026-11" });
      type Items = { items: Record<string, unknown>[]; nextCursor?: string };
      const list = async (query: string): Promise<Items> =>
        (await ok(made.api("GET", `/api/v1/chargebacks?${query}`))).json<Items>();
      expect((await list("license=@B&department=D005")).items).toMatchObject([
        { run: id, period: "2026-11", amount: 166, costCentre: "CC-5", currency: "JPY" },
      ]);
      const first = await list("limit=2&sort=department");
      const rest = await list(`limit=10&sort=department&cursor=${first.nextCursor}`);
      expect([...first.items, ...rest.items].map((item) => item["department"])).toEqual([
        ...["D001", "D001", "D003", "D004", "D005"],
      ]);
      expect((await list("by=costCentre")).items).toEqual([
        { costCentre: "CC-1", currency: "JPY", amount: 1167, quantity: 2 },
        { costCentre: "CC-3", currency: "JPY", amount: 1000, quantity: 1 },
        { costCentre: "CC-4", currency: "JPY", amount: 167, quantity: 1 },
        { costCentre: "CC-5", currency: "JPY", amount: 166, quantity: 1 },
      ]);
      const csv = await ok(made.api("GET", `/api/v1/purchase-runs/${id}.csv`));
      expect(csv.headers.get("content-type")).toContain("text/csv");
      const lines = csv.text.trim().split(/\r?\n/);
      expect(lines).toHaveLength(16);
      expect(lines[0]).toBe(
        "kind,period,run,license,department,costCentre,quantity,unitPrice,amount,currency,order,supplierOrder,packSize,reason,before,after,requestedBefore,requestedAfter",
      );
      expect(lines[1]).toBe(`order,2026-11,${id},@A,,,2,1000,2000,JPY,2026-11/0001,,,,,,,`);
      expect(lines[7]).toBe(`chargeback,2026-11,${id},@B,D005,CC-5,1,,166,JPY,,,,,,,,`);
      // All of the report: what idle rights saved, what is lacking and not bought, every right that changed.
      expect(lines[8]).toBe(`saved-by-idle,2026-11,${id},@B,,,2,,,,,,,,,,,`);
      expect(lines[9]).toBe(`rights,2026-11,${id},@A,D001,,,,,,,,,,1,2,0,0`);
    });

    it("refuses what it does not know: who may not, no such run, no such period, a group", async () => {
      const made = await company({});
      const status = async (method: string, path: string, options: object = {}): Promise<unknown[]> => {
        const answer = await made.api(method, path, options);
        return [answer.status, answer.json()["code"]];
      };
      expect(await status("POST", "/api/v1/purchase-runs", { as: "auditor" })).toEqual([403, "not-allowed"]);
      for (const json of [{ period: "2026/11" }, { period: "" }, { dryRun: "perhaps" }, { when: "now" }])
        expect(await status("POST", "/api/v1/purchase-runs", { json })).toEqual([400, "input-invalid"]);
      expect(await status("GET", "/api/v1/purchase-runs/nothing")).toEqual([404, "not-found"]);
      expect(await status("POST", "/api/v1/purchase-runs/nothing/reverse")).toEqual([404, "not-found"]);
      const group = await startServer(store, { role: "group" });
      try {
        const answer = await group.api("POST", "/api/v1/purchase-runs");
        expect([answer.status, answer.json()]).toMatchObject([409, { code: "wrong-role" }]);
      } finally {
        await group.stop();
      }
    });
  });

  it("the laws of domain.md §3 hold after runs and reversals of any organisation", async () => {
    const made = await company({
      "@A": { held: 0, price: 1, departments: { D1: [0, 0], D2: [0, 0], D3: [0, 0] } },
      "@B": { held: 5, price: 333, currency: "EUR", departments: { D1: [0, 0] } },
    });
    const numbers = fc.record({ rights: fc.nat(6), used: fc.nat(6), requested: fc.constant(0) });
    const cell = fc.record({
      department: fc.constantFrom("D1", "D2", "D3", "unassigned"),
      license: fc.constantFrom("@A", "@B"),
      numbers,
    });
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { maxLength: 5 }), fc.boolean(), async (cells, reverse) => {
        for (const { department, license, numbers: to } of cells) await set(made, department, license, to);
        const before = await state(made);
        const done = await run(made, { period: `p${++count}` });
        const after = await state(made);
        for (const code of ["@A", "@B"]) {
          const rows = Object.entries(after).filter(([key]) => key.endsWith(` ${code}`)) as [string, number[]][];
          for (const [, [rights, used]] of rows) expect(rights).toBe(used);
          const rights = rows.reduce((sum, [, row]) => sum + (row[0] ?? 0), 0);
          expect(rights).toBeLessThanOrEqual(after[code] as number);
          const order = done.orders.find((o) => o.license === code);
          expect((before[code] as number) + (order?.quantity ?? 0)).toBe(after[code]);
          const paid = done.chargebacks.filter((c) => c.license === code).reduce((sum, c) => sum + c.amount, 0);
          expect(paid).toBe(order?.amount ?? 0);
        }
        if (!reverse) return;
        await post(made, `/api/v1/purchase-runs/${done.id}/reverse`);
        expect(await state(made)).toEqual(before);
      }),
      { numRuns: 15 },
    );
  });
});
