import { afterEach, describe, expect, it } from "vitest";
import { createSigner, generateKeyPair, rootOf, signDocument, type CompanyOrder } from "@daicho/protocol";
import type { ServerConfig } from "../../config.ts";
import { startServer, until, type ApiAnswer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import { touchPositions } from "../licenses/index.ts";
import { fetchOrders } from "./fetch.ts";
import type { GroupOrder } from "./answer.ts";
import type { GroupOrders } from "./order.ts";

const price = { unitPrice: 12, currency: "JPY" };
const tiers = [
  { from: 1, unitPrice: 1000 },
  { from: 10, unitPrice: 900 },
  { from: 100, unitPrice: 751 },
];

forEachStore((store) => {
  const open: TestServer[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
  });
  const start = async (config: Partial<ServerConfig> & Pick<ServerConfig, "role" | "name">): Promise<TestServer> => {
    const server = await startServer(store, config);
    open.push(server);
    return server;
  };
  const ok = async (answer: Promise<ApiAnswer>): Promise<ApiAnswer> => {
    const got = await answer;
    expect([got.status, got.status < 300 ? "" : got.text]).toEqual([got.status, ""]);
    return got;
  };
  const pooledBuying = {
    enabled: false,
    schedule: "0 6 1 * *",
    timezone: "UTC",
    pooled: true,
    pooledLicenses: [] as string[],
  };

  /** A company under the group that uses so many of the licence in its one department, and holds none. */
  async function company(
    group: TestServer,
    name: string,
    used: Readonly<Record<string, number>>,
    buying: Partial<typeof pooledBuying> = {},
  ): Promise<TestServer> {
    const upstream = { url: group.url, enrollmentToken: await group.enrollmentToken(1) };
    const made = await start({ role: "corporate", name, upstream, purchase: { ...pooledBuying, ...buying } });
    await ok(made.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
    for (const [license, count] of Object.entries(used)) {
      await ok(made.api("POST", "/api/v1/entitlements", { json: { license, quantity: 0 } }));
      await use(made, license, count);
    }
    return made;
  }

  async function use(made: TestServer, license: string, used: number): Promise<void> {
    const { db } = made.server;
    await db.transaction(async (trx) => {
      const { ordinal: department } = await trx
        .selectFrom("org_departments")
        .select("ordinal")
        .where("code", "=", "D")
        .executeTakeFirstOrThrow();
      const of = await trx
        .selectFrom("lic_licenses")
        .select("ordinal")
        .where("code", "=", license)
        .executeTakeFirstOrThrow();
      await trx
        .insertInto("lic_usage")
        .values({ department, license: of.ordinal, used })
        .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ used }))
        .execute();
      await touchPositions(db, trx, Date.now(), { departments: [department] });
    });
    // Any write through the API tells the company to report.
    await ok(made.api("PUT", `/api/v1/departments/D/licenses/${license}`, { json: { required: used } }));
  }

  const order = async (group: TestServer, json: object): Promise<GroupOrders> =>
    (await ok(group.api("POST", "/api/v1/group-orders", { json }))).json<GroupOrders>();
  const position = async (server: TestServer, path = "/api/v1/positions") =>
    (await server.api("GET", path))
      .json<{ items: { license: string; held: number; used: number; rights: number }[] }>()
      .items?.find((item) => item.license === "@A");
  const known = (group: TestServer, name: string, field: "used" | "held", count: number): Promise<unknown> =>
    until(
      `${name} with ${field} ${count} at the group`,
      async () => (await position(group, `/api/v1/companies/${name}/positions`))?.[field] === count,
    );
  const setTiers = (group: TestServer, list: object[] = tiers): Promise<ApiAnswer> =>
    group.api("PUT", "/api/v1/price-tiers/@A", { json: { currency: "JPY", tiers: list } });

  describe("one order for the companies of a group", () => {
    it("pools three companies' demand, shares cost and saving to the last yen, and each books its part once", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      const companies = {
        acme: await company(group, "acme", { "@A": 90 }),
        beta: await company(group, "beta", { "@A": 7 }),
        gamma: await company(group, "gamma", { "@A": 4 }),
      };
      const wanted = { acme: 90, beta: 7, gamma: 4 };
      for (const [name, used] of Object.entries(wanted)) await known(group, name, "used", used);
      // Alone: 90 × 900 + 7 × 1000 + 4 × 1000 = 92,000; together 101 × 751 = 75,851; the saving of 16,149 by 90 : 7 : 4.
      const shares = [
        { company: "acme", quantity: 90, amount: 67_590, alone: 81_000, saving: 14_390, booked: false },
        { company: "beta", quantity: 7, amount: 5257, alone: 7000, saving: 1119, booked: false },
        { company: "gamma", quantity: 4, amount: 3004, alone: 4000, saving: 640, booked: false },
      ];
      const sums = { quantity: 101, unitPrice: 751, amount: 75_851, alone: 92_000, saving: 16_149, currency: "JPY" };
      const plan = await order(group, { dryRun: true, period: "2026-11" });
      expect(plan.orders).toMatchObject([{ license: "@A", ...sums, shares }]);
      expect((await group.api("GET", "/api/v1/group-orders")).json()).toEqual({ items: [] });

      // Until it comes, a company that is bought for does not buy itself.
      const before = (await companies.beta.api("POST", "/api/v1/purchase-runs", { json: { period: "before" } })).json();
      expect(before).toMatchObject({
        orders: [],
        skipped: [{ license: "@A", quantity: 7, reason: "bought-by-group" }],
      });

      const done = await order(group, { period: "2026-11" });
      expect(done.orders).toMatchObject([{ order: "2026-11/@A", license: "@A", ...sums, shares }]);
      for (const [name, made] of Object.entries(companies)) {
        await until(`the order at ${name}`, async () => ((await position(made))?.held ?? 0) > 0);
        const { items } = (await made.api("GET", "/api/v1/entitlements?order=2026-11%2F@A")).json<{
          items: object[];
        }>();
        const quantity = wanted[name as keyof typeof wanted];
        expect(items).toMatchObject([{ license: "@A", quantity, unitPrice: 751, currency: "JPY", metric: "device" }]);
        await known(group, name, "held", quantity);
      }
      await until("the group to know that it is booked", async () => {
        const { items } = (await group.api("GET", "/api/v1/group-orders")).json<{ items: GroupOrders["orders"] }>();
        return items[0]?.shares.every((share) => share.booked);
      });
      expect((await order(group, { period: "2026-11" })).orders).toMatchObject([{ order: "2026-11/@A", ...sums }]);
      expect(await order(group, { period: "2026-12" })).toMatchObject({ orders: [], skipped: [] });

      const run = (await companies.beta.api("POST", "/api/v1/purchase-runs", { json: { period: "after" } })).json();
      expect(run).toMatchObject({ orders: [], skipped: [], savedByIdle: [{ license: "@A", quantity: 7 }] });
      expect(await position(companies.beta)).toMatchObject({ held: 7, used: 7, rights: 7 });
    });

    it("does not order twice what was granted and does not show yet; a new lack is ordered", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      const acme = await company(group, "acme", { "@A": 5 });
      await known(group, "acme", "used", 5);
      // As it is while the company has not fetched: its inventory still says 5 used, none held.
      const { db } = group.server;
      const stored = await db.kysely.selectFrom("grp_companies").selectAll().executeTakeFirstOrThrow();
      await acme.server.stop();
      open.splice(open.indexOf(acme), 1);
      expect((await order(group, { period: "p1" })).orders).toMatchObject([{ quantity: 5 }]);
      expect((await order(group, { period: "p2" })).orders).toEqual([]);
      const positions = JSON.stringify(
        (JSON.parse(stored.positions) as object[]).map((p) => ({ ...p, used: 8, overUnder: -8 })),
      );
      await db.kysely
        .updateTable("grp_companies")
        .set({ positions, version: stored.version + 1 })
        .execute();
      expect((await order(group, { period: "p3" })).orders).toMatchObject([{ quantity: 3, shares: [{ quantity: 3 }] }]);
      expect((await order(group, { period: "p4" })).orders).toEqual([]);
    });

    it("buys for those who leave it to the group, and names who buys for itself and what has no price", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      await company(group, "acme", { "@A": 5, "@B": 2 });
      await company(group, "beta", { "@A": 7, "@B": 1 }, { pooled: false, pooledLicenses: ["@B"] });
      const gamma = await company(group, "gamma", { "@A": 4 }, { pooled: false });
      for (const [name, used] of Object.entries({ acme: 5, beta: 7, gamma: 4 })) await known(group, name, "used", used);
      const { items } = (await group.api("GET", "/api/v1/companies")).json<{ items: object[] }>();
      expect(items).toMatchObject([{ pooled: true }, { pooled: ["@B"] }, { pooled: false }]);
      const done = await order(group, { period: "p1" });
      expect(done.orders).toMatchObject([{ license: "@A", quantity: 5, shares: [{ company: "acme", quantity: 5 }] }]);
      expect(done.skipped).toEqual([
        { license: "@B", quantity: 3, reason: "price-unknown" },
        { license: "@A", quantity: 7, reason: "buys-itself", company: "beta" },
        { license: "@A", quantity: 4, reason: "buys-itself", company: "gamma" },
      ]);
      await ok(gamma.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 0, ...price } }));
      expect((await ok(gamma.api("POST", "/api/v1/purchase-runs"))).json()).toMatchObject({
        orders: [{ license: "@A", quantity: 4, amount: 48 }],
      });
    });

    it("is placed under the supplier's number and stays; until then it can be taken back, and its period used again", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      const acme = await company(group, "acme", { "@A": 5 });
      const beta = await company(group, "beta", { "@A": 6 });
      for (const [name, used] of Object.entries({ acme: 5, beta: 6 })) await known(group, name, "used", used);
      // beta is away while the order is made and taken back; acme has booked it.
      const { db } = group.server;
      await beta.server.stop();
      open.splice(open.indexOf(beta), 1);
      const headers = { "idempotency-key": "once" };
      const body = { json: { period: "p1" }, headers };
      const first = (await ok(group.api("POST", "/api/v1/group-orders", body))).json<GroupOrders>().orders[0];
      const named = `/api/v1/group-orders/${encodeURIComponent(first?.order ?? "")}`;
      await until("acme's part", async () => (await position(acme))?.held === 5);
      // A run of acme's hands out what came.
      await ok(acme.api("POST", "/api/v1/purchase-runs", { json: { period: "r1" } }));
      await known(group, "acme", "held", 5);
      await until("acme to say so", async () => {
        const { shares } = (await group.api("GET", named)).json<GroupOrder>();
        return shares[0]?.booked === true && shares[1]?.booked === false;
      });

      const reversed = (await ok(group.api("POST", `${named}/reverse`))).json<GroupOrder>();
      expect(reversed).toMatchObject({ id: first?.id, state: "reversed", quantity: 11 });
      expect((await ok(group.api("POST", `/api/v1/group-orders/${first?.id}/reverse`))).json()).toMatchObject({
        state: "reversed",
      });
      await until("acme without it", async () => (await position(acme))?.held === 0);
      await known(group, "acme", "held", 0);
      await until("the group to know", async () =>
        (await db.kysely.selectFrom("pool_grants").select("reversal_version").execute()).some(
          (part) => part.reversal_version !== null,
        ),
      );
      expect((await ok(acme.api("POST", "/api/v1/purchase-runs", { json: { period: "r2" } }))).json()).toMatchObject({
        orders: [],
        rights: [{ before: 5, after: 0 }],
      });
      // The answer to that key is still the first order; without it the period is free.
      expect((await ok(group.api("POST", "/api/v1/group-orders", body))).json()).toMatchObject({
        orders: [{ order: "p1/@A", state: "reversed" }],
      });
      const again = (await order(group, { period: "p1" })).orders[0];
      expect(again).toMatchObject({ order: "p1/2.@A", state: "done", quantity: 11 });
      const second = `/api/v1/group-orders/${encodeURIComponent("p1/2.@A")}`;
      const placed = (await ok(group.api("POST", `${second}/place`, { json: { order: "S-9" } }))).json();
      expect(placed).toMatchObject({ state: "placed", supplierOrder: "S-9" });
      expect((await ok(group.api("POST", `${second}/place`, { json: { order: "S-9" } }))).json()).toEqual(placed);
      for (const [path, json] of [
        [`${second}/reverse`, {}],
        [`${second}/place`, { order: "S-10" }],
        [`${named}/place`, {}],
      ] as const)
        expect((await group.api("POST", path, { json })).json()).toMatchObject({ code: "conflict" });
      expect((await group.api("POST", "/api/v1/group-orders/none/reverse")).status).toBe(404);
      const csv = (await group.api("GET", "/api/v1/group-orders?state=placed", { headers: { accept: "text/csv" } }))
        .text;
      expect(csv.split("\n").map((line) => line.split(",").slice(0, 9).join())).toEqual([
        "order,period,license,state,company,quantity,unitPrice,amount,currency",
        "p1/2.@A,p1,@A,placed,acme,5,900,4500,JPY",
        "p1/2.@A,p1,@A,placed,beta,6,900,5400,JPY",
        "",
      ]);
    });

    it("a company that comes back gets what holds now exactly once, never what was taken back meanwhile", async () => {
      const both = await start({ role: "both", name: "both", purchase: pooledBuying });
      await ok(both.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
      await ok(both.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 0 } }));
      await ok(setTiers(both));
      await use(both, "@A", 3);
      const one = (await order(both, { period: "p1" })).orders[0];
      expect(await position(both)).toMatchObject({ held: 3 });
      await ok(both.api("POST", `/api/v1/group-orders/${one?.id}/reverse`));
      expect(await position(both)).toMatchObject({ held: 0 });
      expect((await order(both, { period: "p2" })).orders).toMatchObject([{ quantity: 3, shares: [{ booked: true }] }]);
      expect(await position(both)).toMatchObject({ held: 3 });
      expect((await order(both, { period: "p3" })).orders).toEqual([]);
    });

    it("a server that is group and company books its own part in the same transaction", async () => {
      const both = await start({ role: "both", name: "both", purchase: pooledBuying });
      await ok(both.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
      await ok(both.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 1 } }));
      await ok(setTiers(both));
      await use(both, "@A", 12);
      const done = await order(both, { period: "p1" });
      expect(done.orders).toMatchObject([
        { quantity: 11, unitPrice: 900, shares: [{ company: "both", booked: true }] },
      ]);
      expect(await position(both)).toMatchObject({ held: 12 });
      expect((await order(both, { period: "p2" })).orders).toEqual([]);
    });

    it("a company that changes who buys while a part is on its way buys nothing twice, nor does its group", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      const enrollmentToken = await group.enrollmentToken(1);
      const database = await store.url();
      const acme = (pooled: boolean, url = group.url): Promise<TestServer> =>
        start({
          role: "corporate",
          name: "acme",
          database,
          upstream: { url, enrollmentToken },
          purchase: { ...pooledBuying, pooled },
        });
      const close = async (one: TestServer): Promise<void> => {
        open.splice(open.indexOf(one), 1);
        await one.stop();
      };
      const run = async (one: TestServer, period: string) =>
        (await ok(one.api("POST", "/api/v1/purchase-runs", { json: { period } }))).json<object>();
      const byGroup = { reason: "bought-by-group" };

      const before = await acme(true);
      await ok(before.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
      await ok(before.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 0, ...price } }));
      await use(before, "@A", 5);
      await known(group, "acme", "used", 5);
      await close(before);
      expect((await order(group, { period: "p1" })).orders).toMatchObject([{ quantity: 5 }]);

      // It would buy itself from now on, and cannot ask what its group has done.
      const alone = await acme(false, "http://127.0.0.1:9");
      expect(await run(alone, "r1")).toMatchObject({
        orders: [],
        skipped: [{ license: "@A", quantity: 5, ...byGroup }],
      });
      await close(alone);
      const after = await acme(false);
      await until("its part", async () => (await position(after))?.held === 5);
      await use(after, "@A", 7);
      await until("the group's word that it buys nothing more", async () => {
        const json = { dryRun: true };
        const plan = (await after.api("POST", "/api/v1/purchase-runs", { json })).json<{ orders: object[] }>();
        return plan.orders.length === 1;
      });
      expect((await order(group, { period: "p2" })).orders).toEqual([]);
      expect(await run(after, "r2")).toMatchObject({ orders: [{ license: "@A", quantity: 2 }], skipped: [] });
      await close(after);

      // And back: what it bought itself meanwhile is not ordered again, what it lacks from now on is not bought here.
      const back = await acme(true);
      await use(back, "@A", 8);
      await known(group, "acme", "used", 8);
      expect(await run(back, "r3")).toMatchObject({
        orders: [],
        skipped: [{ license: "@A", quantity: 1, ...byGroup }],
      });
      expect((await order(group, { period: "p3" })).orders).toMatchObject([{ quantity: 1 }]);
      await until("the last one", async () => (await position(back))?.held === 8);
    });

    it("a company whose server was removed is not ordered for", async () => {
      const group = await start({ role: "group", name: "group" });
      await ok(setTiers(group));
      const acme = await company(group, "acme", { "@A": 5 });
      await known(group, "acme", "used", 5);
      const { items } = (await group.api("GET", "/api/v1/companies")).json<{
        items: { name: string; node: string }[];
      }>();
      await ok(group.api("DELETE", `/api/v1/nodes/${items[0]?.node}`));
      expect((await order(group, { period: "p1" })).orders).toEqual([]);
      expect(await position(acme)).toMatchObject({ held: 0 });
    });

    it("a server that is group and company, below a group that buys for it, does not order for itself as well", async () => {
      const top = await start({ role: "group", name: "top" });
      const upstream = { url: top.url, enrollmentToken: await top.enrollmentToken(1) };
      const middle = await start({ role: "both", name: "middle", upstream, purchase: pooledBuying });
      await ok(middle.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
      await ok(middle.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 0 } }));
      await use(middle, "@A", 3);
      await known(top, "middle", "used", 3);
      for (const one of [top, middle]) await ok(setTiers(one));
      expect((await order(middle, { period: "p1" })).orders).toEqual([]);
      expect((await order(top, { period: "p1" })).orders).toMatchObject([{ quantity: 3 }]);
      await until("its part", async () => (await position(middle))?.held === 3);
    });

    it("two orders at once make one", async () => {
      const both = await start({ role: "both", name: "both", purchase: pooledBuying });
      await ok(both.api("POST", "/api/v1/departments", { json: { code: "D", name: "D" } }));
      await ok(both.api("POST", "/api/v1/entitlements", { json: { license: "@A", quantity: 0 } }));
      await ok(setTiers(both));
      await use(both, "@A", 3);
      const made = await Promise.all([
        order(both, { period: "p" }),
        order(both, { period: "p" }),
        order(both, { period: "q" }),
      ]);
      expect((await both.api("GET", "/api/v1/group-orders")).json<{ items: object[] }>().items).toHaveLength(1);
      expect(made[0].orders.length + made[1].orders.length + made[2].orders.length).toBeGreaterThan(0);
      expect(await position(both)).toMatchObject({ held: 3 });
    });

    it("what is no tier list is refused with its place; a licence without prices is named", async () => {
      const group = await start({ role: "group", name: "group" });
      for (const [list, path] of [
        [[{ from: 2, unitPrice: 5 }], "/tiers/0"],
        [
          [
            { from: 1, unitPrice: 5 },
            { from: 1, unitPrice: 4 },
          ],
          "/tiers/1",
        ],
        [
          [
            { from: 1, unitPrice: 5 },
            { from: 9, unitPrice: 6 },
          ],
          "/tiers/1",
        ],
      ] as const) {
        const answer = await setTiers(group, [...list]);
        expect([answer.status, answer.json()]).toMatchObject([400, { code: "input-invalid", faults: [{ path }] }]);
      }
      for (const list of [[], [{ from: 1, unitPrice: -1 }], [{ from: 1.5, unitPrice: 1 }], [{ from: 1 }]])
        expect((await setTiers(group, list)).status).toBe(400);
      const unknown = await group.api("PUT", "/api/v1/price-tiers/@A", { json: { currency: "XQX", tiers } });
      expect(unknown.json()).toMatchObject({ code: "input-invalid" });
      expect(await order(group, { licenses: ["@B"] })).toMatchObject({
        orders: [],
        skipped: [{ license: "@B", quantity: 0, reason: "price-unknown" }],
      });
      await ok(setTiers(group));
      expect((await group.api("GET", "/api/v1/price-tiers")).json()).toEqual({
        items: [{ license: "@A", currency: "JPY", tiers }],
      });
      expect((await group.api("DELETE", "/api/v1/price-tiers/@A")).status).toBe(204);
      expect((await group.api("GET", "/api/v1/price-tiers/@A")).status).toBe(404);
      const single = await start({ role: "corporate", name: "single" });
      const wrong = await single.api("POST", "/api/v1/group-orders", { json: {} });
      expect([wrong.status, wrong.json()]).toMatchObject([409, { code: "wrong-role" }]);
      expect((await group.api("GET", "/ingest/v1/company-orders")).status).toBe(401);
    });
  });
});

describe("what a company books", () => {
  const pair = generateKeyPair();
  const root = rootOf("group", pair);
  const one: CompanyOrder = {
    id: "01aaaa",
    order: "2026-11/@A",
    period: "2026-11",
    license: "@A",
    metric: "device",
    quantity: 2,
    unitPrice: 5,
    amount: 10,
    currency: "EUR",
    at: "2026-11-01T00:00:00Z",
  };
  const document = (orders: readonly object[], name = "acme", key = pair, pooled?: boolean) =>
    signDocument("company-orders/v1", JSON.stringify({ company: name, pooled, orders }), createSigner(key));

  /** Fetches from a group that answers with this. */
  async function fetched(
    answer: object,
  ): Promise<{ value: unknown; booked: CompanyOrder[]; asked: string[]; settled: unknown[] }> {
    const settled: unknown[] = [];
    const booked: CompanyOrder[] = [];
    const asked: string[] = [];
    const result = await fetchOrders({
      root,
      company: "acme",
      signal: new AbortController().signal,
      uplink: {
        request: (_method, path) => {
          asked.push(path);
          const body = Buffer.from(JSON.stringify(answer));
          return Promise.resolve({ kind: "ok", value: { status: 200, headers: {}, body, upstream: "" } });
        },
      },
      word: {
        count: () => Promise.resolve(7),
        settle: (...known) => {
          settled.push(known);
          return Promise.resolve();
        },
      },
      books: {
        held: () => Promise.resolve({ after: booked.at(-1)?.id ?? "", reversed: "", version: booked.length }),
        book: ({ orders }) => {
          const fresh = orders.filter((o) => !booked.some((b) => b.id === o.id));
          booked.push(...fresh);
          return Promise.resolve(fresh.length);
        },
      },
    });
    return { value: result.kind === "ok" ? result.value : result, booked, asked, settled };
  }

  it("is what its group signed, for this company; and it asks again to say that it has it", async () => {
    const good = await fetched(document([one]));
    expect(good.value).toEqual({ kind: "booked", count: 1 });
    expect(good.asked).toEqual([
      "/ingest/v1/company-orders?after=&reversed=&version=0",
      "/ingest/v1/company-orders?after=01aaaa&reversed=&version=1",
    ]);
    for (const [answer, refusal] of [
      [document([one], "acme", generateKeyPair()), "document-unknown-key"],
      [{ ...document([one]), payload: document([{ ...one, quantity: 900 }]).payload }, "document-altered"],
      [document([one], "beta"), "document-malformed"],
      [document([{ ...one, quantity: 0 }]), "document-malformed"],
      [{ nonsense: true }, "document-malformed"],
    ] as const)
      expect(await fetched(answer)).toMatchObject({ value: { kind: "untrusted", refusal }, booked: [] });
  });

  it("who buys is settled by what the group says once nothing is left; by a group that does not say, nothing is", async () => {
    expect((await fetched(document([one], "acme", pair, false))).settled).toEqual([[false, 7]]);
    expect((await fetched(document([one]))).settled).toEqual([]);
  });
});
