/**
 * Purpose: one order for three companies (domain.md §7 over companies) with real processes: the saving is shared to the last yen, group and companies
 * are killed without warning while orders are made and taken back, one company is away meanwhile - and each books its part exactly once, or has none.
 * DAICHO_FAULTS=100 kills more often, DAICHO_SEED changes the moments.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { expectReconciled } from "./harness/checks.ts";
import { licenseOf, policy, title } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode, type Site } from "./harness/site.ts";
import { pause, until, untilEqual } from "./harness/until.ts";

interface Order {
  readonly id: string;
  readonly order: string;
  readonly state: string;
  readonly shares: readonly { readonly company: string; readonly quantity: number; readonly booked: boolean }[];
}

const rounds = Math.max(1, Math.floor(Number(process.env["DAICHO_FAULTS"] ?? 8) / 5));
const wanted = { acme: 7, beta: 4, gamma: 2 };
const license = licenseOf(3);

forEachStore((store) => {
  describe(`a group's orders, on ${store.name}`, { sequential: true, timeout: 900_000 }, () => {
    let site: Site;
    let group: ServerNode;
    const companies = new Map<string, ServerNode>();
    beforeAll(async () => {
      site = createSite();
      group = await site.server({ name: "group", role: "group", database: await store.url() });
      await group.api.send("PUT", "/api/v1/policies/enterprise", policy(1), "application/yaml");
      for (const [name, devices] of Object.entries(wanted)) {
        const made = await site.server({ name, upstream: group, more: { purchase: { enabled: false, pooled: true } } });
        companies.set(name, made);
        const files = Array.from({ length: devices }, (_, i) =>
          site.write(`${name}-${i}.json`, inventory(`${name}-${i}`)),
        );
        await must(made.run("import", "inventory", ...files));
      }
      // The company that buys for itself lacks some, too, and is nobody's concern.
      const other = await site.server({ name: "other", upstream: group });
      await must(other.run("import", "inventory", site.write("other.json", inventory("other"))));
      await must(group.run("purchase", "group", "price", license, "--currency", "JPY", "1=1000", "5=900", "10=751"));
      const expected = Object.entries({ ...wanted, other: 1 });
      for (const [name, used] of expected)
        await untilEqual(
          `what ${name} uses, at the group`,
          used,
          async () =>
            (await group.api.list<{ license: string; used: number }>(`/api/v1/companies/${name}/positions`)).find(
              (item) => item.license === license,
            )?.used,
        );
    }, 900_000);
    afterAll(() => site?.close());

    const company = (name: string): ServerNode => companies.get(name) as ServerNode;
    const order = (period: string): Promise<{ orders: readonly Order[] }> =>
      group.api.send("POST", "/api/v1/group-orders", { period, licenses: [license] });
    const orders = (period: string): Promise<readonly Order[]> =>
      group.api.list<Order>(`/api/v1/group-orders?period=${period}`);
    /** Order number and quantity of what each has in its books. */
    const books = async (name: string): Promise<readonly string[]> =>
      (await company(name).api.list<{ order?: string; quantity: number }>("/api/v1/entitlements")).map(
        (one) => `${one.order} ${one.quantity}`,
      );

    it("are made and taken back whole, however often they and the companies are killed; each part is booked once", async () => {
      const chance = createChance(61);
      const away = company("gamma");
      for (let round = 1; round <= rounds; round++) {
        const period = `p${round}`;
        await away.process.kill();
        await killedDuring(chance.next() * 150, ["group", "acme"], () => order(period));
        const made = (await again(() => order(period))).orders[0] as Order;
        expect((await orders(period)).filter(({ state }) => state !== "reversed")).toHaveLength(1);
        await untilEqual(`acme's part of ${made.order}`, [`${made.order} 7`], () => books("acme"));
        await killedDuring(chance.next() * 150, ["group", "beta"], () =>
          group.api.send("POST", `/api/v1/group-orders/${made.id}/reverse`),
        );
        await again(() => group.api.send("POST", `/api/v1/group-orders/${made.id}/reverse`));
        await away.process.start();
        for (const name of Object.keys(wanted))
          await untilEqual(`${name} without ${made.order}`, [], () => books(name));
        await until("the group to know that all took it back", async () => {
          const { orders: plan } = await group.api.send<{ orders: readonly { quantity: number }[] }>(
            ...(["POST", "/api/v1/group-orders", { dryRun: true, period: "look" }] as const),
          );
          return plan[0]?.quantity === 13;
        });
      }
    });

    it("one company that was away when an order was placed gets its part later, once; the saving is shared to the last yen", async () => {
      await company("gamma").process.kill();
      await must(group.run("purchase", "group", "run", "--period", "2026-11", "--license", license));
      const number = `2026-11/${license}`;
      await must(group.run("purchase", "group", "place", number, "--order", "S-1"));
      const placed = await group.api.get(`/api/v1/group-orders/${encodeURIComponent(number)}`);
      // Alone 7 × 900 + 4 × 1000 + 2 × 1000; together 13 × 751; the saving of 2537 by 7 : 4 : 2.
      expect(placed).toMatchObject({
        state: "placed",
        quantity: 13,
        unitPrice: 751,
        amount: 9763,
        alone: 12_300,
        saving: 2537,
        shares: [
          { company: "acme", quantity: 7, amount: 5257, alone: 6300, saving: 1366 },
          { company: "beta", quantity: 4, amount: 3004, alone: 4000, saving: 781 },
          { company: "gamma", quantity: 2, amount: 1502, alone: 2000, saving: 390 },
        ],
      });
      expect((await group.run("purchase", "group", "reverse", number)).stderr).toContain("[conflict]");
      await company("gamma").process.start();
      for (const [name, quantity] of Object.entries(wanted)) {
        await untilEqual(`the part of ${name}`, [`${number} ${quantity}`], () => books(name));
        await must(company(name).run("purchase", "run", "--period", "2026-11"));
        await expectReconciled(company(name));
      }
      await until("the group to know that all have it", async () =>
        (await orders("2026-11"))[0]?.shares.every(({ booked }) => booked),
      );
      expect((await again(() => order("2026-12"))).orders).toEqual([]);
    });

    async function killedDuring(after: number, names: readonly string[], ask: () => Promise<unknown>): Promise<void> {
      const nodes = names.map((name) => (name === "group" ? group : company(name)));
      const asked = Promise.allSettled([ask()]);
      await pause(after);
      await Promise.all(nodes.map((node) => node.process.kill()));
      await asked;
      await Promise.all(nodes.map((node) => node.process.start()));
    }
  });
});

/** A connection that the killed server left behind may fail once. */
function again<T>(ask: () => Promise<T>): Promise<T> {
  return ask().catch(ask);
}

function inventory(id: string): string {
  return JSON.stringify({
    daicho: "inventory/v1",
    device: { id, hostname: id },
    software: [title(3)],
    scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
  });
}

async function must(running: Promise<{ code: number | null; stderr: string }>): Promise<void> {
  const { code, stderr } = await running;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
}
