/**
 * Purpose: a purchase run is all or nothing (domain.md §7): a real server is killed without warning at random moments of runs and reversals. After the
 * restart either all of it is there or none, a period never has two orders, and every total is what a recount gives.
 * DAICHO_FAULTS=100 kills more often, DAICHO_SEED changes the moments.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Title } from "@daicho/protocol";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { expectReconciled } from "./harness/checks.ts";
import { licenseOf, policy, title } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode, type Site } from "./harness/site.ts";
import { pause } from "./harness/until.ts";

interface Run {
  readonly id: string;
  readonly period: string;
  readonly state: string;
}
interface Order {
  readonly order: string;
  readonly run: string;
  readonly license: string;
  readonly quantity: number;
  readonly amount: number;
  readonly state: string;
}
/** All that a run changes. */
interface Books {
  readonly positions: readonly object[];
  readonly departments: readonly { readonly rights: number; readonly used: number }[];
  readonly entitlements: readonly object[];
}

const rounds = Math.max(2, Math.floor(Number(process.env["DAICHO_FAULTS"] ?? 8) / 4));
const departments = Array.from({ length: 60 }, (_, i) => `D${String(i).padStart(2, "0")}`);
const products = Array.from({ length: 20 }, (_, i) => i + 3);
const titles = products.map((product) => title(product));
const codes = products.map(licenseOf);

forEachStore((store) => {
  describe(`purchase runs that are killed, on ${store.name}`, { sequential: true, timeout: 300_000 }, () => {
    let site: Site;
    let acme: ServerNode;
    beforeAll(async () => {
      site = createSite();
      acme = await site.server({ name: "acme", database: await store.url() });
      const local = policy(1).replace("edition: enterprise", "edition: local");
      await acme.api.send("PUT", "/api/v1/policies/local", local, "application/yaml");
      const files = departments.map((code) => site.write(`${code}.json`, JSON.stringify(inventory(code, titles))));
      await must(acme.run("import", "inventory", ...files));
      for (const [kind, text] of [
        ["departments", `code,name\n${departments.map((code) => `${code},${code}\n`).join("")}`],
        ["devices", `id,department\n${departments.map((code) => `pc-${code},${code}\n`).join("")}`],
        // Bought are fewer than there are departments; the price does not divide evenly.
        [
          "entitlements",
          `license,quantity,unitPrice,currency\n${codes.map((code, i) => `${code},${i * 2},${1000 + i * 37},JPY\n`).join("")}`,
        ],
        // Some have idle rights to others' licences.
        [
          "rights",
          `department,license,rights\n${codes.map((code, i) => `${departments[i]},${code},${i % 3}\n`).join("")}`,
        ],
      ] as const)
        await must(acme.run("import", kind, site.write(`${kind}.csv`, text)));
    }, 180_000);
    afterAll(() => site?.close());

    it("leaves all of a run or none of it, and one order per licence and period", async () => {
      const chance = createChance(59);
      const before = await books();
      expect(before.departments).toHaveLength(departments.length * titles.length);
      let killedEarly = 0;
      let survived = 0;
      // How long an undisturbed one takes says where the kills should fall.
      const start = performance.now();
      const first = await acme.api.send<Run>("POST", "/api/v1/purchase-runs", { period: "first" });
      const took = performance.now() - start;
      const done = await books();
      await acme.api.send("POST", `/api/v1/purchase-runs/${first.id}/reverse`);
      expect(await books()).toEqual(before);

      for (let round = 1; round <= rounds; round++) {
        const period = `p${round}`;
        // Over all rounds the kills are spread over the whole of a run.
        const moment = (): number => ((round - 1 + chance.next()) / rounds) * took * 2.5;
        // Two at once, from two hands; the server dies under both.
        await killedDuring(moment(), () => [
          acme.api.send("POST", "/api/v1/purchase-runs", { period }),
          acme.api.send("POST", "/api/v1/purchase-runs", { period }),
        ]);
        const there = (await acme.api.list<Run>(`/api/v1/purchase-runs?period=${period}`))[0];
        if (there === undefined) killedEarly++;
        else survived++;
        expect(same(await books())).toEqual(same(there === undefined ? before : done));
        const run = await acme.api.send<Run>("POST", "/api/v1/purchase-runs", { period });
        if (there !== undefined) expect(run.id).toBe(there.id);
        await expectOneOrderEach(period);
        expect(same(await books())).toEqual(same(done));

        await killedDuring(moment(), () => [acme.api.send("POST", `/api/v1/purchase-runs/${run.id}/reverse`)]);
        const { state } = await acme.api.get<Run>(`/api/v1/purchase-runs/${run.id}`);
        expect(same(await books())).toEqual(same(state === "reversed" ? before : done));
        await acme.api.send("POST", `/api/v1/purchase-runs/${run.id}/reverse`);
        expect(await books()).toEqual(before);
        await expectReconciled(acme);
      }
      console.info(`${store.name}: ${killedEarly} of ${rounds} runs had to be done again, ${survived} were there`);
    });

    async function killedDuring(after: number, ask: () => readonly Promise<unknown>[]): Promise<void> {
      const asked = Promise.allSettled(ask());
      await pause(after);
      await acme.process.kill();
      await asked;
      await acme.process.start();
    }

    async function books(): Promise<Books> {
      const items = async <T>(path: string): Promise<readonly T[]> =>
        (await acme.api.get<{ items: readonly T[] }>(path)).items;
      return {
        positions: await items("/api/v1/positions"),
        departments: await items("/api/v1/positions/departments"),
        entitlements: await acme.api.list("/api/v1/entitlements?limit=1000"),
      };
    }

    async function expectOneOrderEach(period: string): Promise<void> {
      const orders = (await acme.api.list<Order>(`/api/v1/orders?period=${period}&limit=1000`)).filter(
        (order) => order.state !== "reversed",
      );
      expect(orders).toHaveLength(titles.length);
      expect(new Set(orders.map((order) => order.license)).size).toBe(orders.length);
      expect(new Set(orders.map((order) => order.run)).size).toBe(1);
      const charged = await acme.api.list<Order>(`/api/v1/chargebacks?period=${period}&limit=10000`);
      for (const order of orders) {
        const paid = charged.filter((one) => one.license === order.license).reduce((sum, one) => sum + one.amount, 0);
        expect([order.license, paid]).toEqual([order.license, order.amount]);
      }
    }
  });
});

/** Without what differs from run to run: ids, order numbers and times of what was bought. */
function same({ positions, departments: rows, entitlements }: Books): object {
  const bought = (entitlements as readonly Record<string, unknown>[])
    .map(({ license, quantity, unitPrice }) => JSON.stringify([license, quantity, unitPrice]))
    .sort();
  return { positions, departments: rows, bought };
}

function inventory(department: string, software: readonly Title[]): object {
  return {
    daicho: "inventory/v1",
    device: { id: `pc-${department}`, hostname: `pc-${department}` },
    software,
    scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
  };
}

async function must(running: Promise<{ code: number | null; stderr: string }>): Promise<void> {
  const { code, stderr } = await running;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
}
