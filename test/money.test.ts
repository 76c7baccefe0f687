/**
 * Purpose: random companies taken through a random life by the API - installations, hires, moves, leavers, reorganisations, entitlements,
 * applications, purchase runs - beside a model of domain.md §3, §5–§7 so plain that it can be read in a minute. After every step the server's
 * positions are the model's, the laws hold, and reconcile is clean. `DAICHO_COMPANIES` says how many companies (default 4 a store).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../packages/server/src/testing/server.ts";
import { forEachStore } from "../packages/server/src/testing/stores.ts";
import { createChance } from "./harness/random.ts";

const companies = Number(process.env["DAICHO_COMPANIES"] ?? 4);
const stepsEach = 30;
const licenses = ["@D", "@U", "@A"] as const;
type License = (typeof licenses)[number];
const price: Record<License, number> = { "@D": 1000, "@U": 333, "@A": 1 };
const policy = `
daicho: policy/v1
id: money
edition: enterprise
version: 1
software:
  - { code: "@DEV", name: Per device, detect: app(name = "@D") }
  - { code: "@USR", name: Per user, detect: app(name = "@U") }
  - { code: "@ALL", name: Site, detect: app(name = "@A") }
licenses:
  - { rule: "@DEV = @D", name: Per device }
  - { rule: "@USR = @U", name: Per user }
  - { rule: "@ALL = @A", name: Site, metric: site }
`;

interface Device {
  readonly id: string;
  employee: string | undefined;
  department: string | undefined;
  handedOver: boolean;
  software: ReadonlySet<License>;
}

/** What the numbers must be, worked out from nothing but the facts. */
function createModel() {
  const parents = new Map<string, string | undefined>();
  const employees = new Map<string, string | undefined>();
  const devices = new Map<string, Device>();
  const held = new Map<License, number>();
  const rights = new Map<string, number>();
  const requested = new Map<string, number>();
  const departmentOf = ({ employee, department }: Device): string =>
    (employee === undefined ? undefined : employees.get(employee)) ?? department ?? "unassigned";
  const at = (map: ReadonlyMap<string, number>, department: string, license: License): number =>
    map.get(`${department} ${license}`) ?? 0;
  const add = (map: Map<string, number>, department: string, license: License, by: number): void =>
    void map.set(`${department} ${license}`, at(map, department, license) + by);

  return {
    ...{ parents, employees, devices, held, rights, requested, at, add },
    get codes(): string[] {
      return [...parents.keys(), "unassigned"];
    },
    used(department: string, license: License): number {
      const users = new Set<string>();
      for (const device of devices.values()) {
        if (!device.software.has(license) || departmentOf(device) !== department) continue;
        if (license === "@U" && device.handedOver) continue;
        users.add(license === "@U" && device.employee !== undefined ? device.employee : `device ${device.id}`);
      }
      return users.size;
    },
    /** Everything of `from` becomes `to`'s. */
    moveAll(from: string, to: string): void {
      for (const [code, parent] of parents) if (parent === from) parents.set(code, to);
      for (const [id, department] of employees) if (department === from) employees.set(id, to);
      for (const device of devices.values()) if (device.department === from) device.department = to;
      for (const map of [rights, requested])
        for (const license of licenses) {
          add(map, to, license, at(map, from, license));
          map.delete(`${from} ${license}`);
        }
      parents.delete(from);
    },
    below(code: string): Set<string> {
      const found = new Set([code]);
      for (let size = 0; size !== found.size;) {
        size = found.size;
        for (const [child, parent] of parents) if (parent !== undefined && found.has(parent)) found.add(child);
      }
      return found;
    },
  };
}

/** Largest remainder, ties in the order given; amounts are small here. */
function shares(amount: number, weights: readonly (readonly [string, number])[]): Map<string, number> {
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  const parts = weights.map(([code, weight]) => ({ code, whole: Math.floor((amount * weight) / sum), rest: (amount * weight) % sum })); // prettier-ignore
  let left = amount - parts.reduce((total, { whole }) => total + whole, 0);
  for (const part of [...parts].sort((a, b) => b.rest - a.rest || (a.code < b.code ? -1 : 1)))
    if (left-- > 0) part.whole++;
  return new Map(parts.map(({ code, whole }) => [code, whole]));
}

forEachStore((store) => {
  describe(`${companies} companies on ${store.name}`, { timeout: 600_000 }, () => {
    let server: TestServer;
    const nameOf = (company: number) => `C${company}`;
    beforeAll(async () => {
      server = await startServer(store, { role: "both" });
      await server.server.policies.publish("enterprise", policy);
      await server.server.derivation.refresh();
    }, 60_000);
    afterAll(() => server?.stop());

    // One database, many companies one after the other: each begins by taking the one before apart, which is a step like any other.
    for (let company = 0; company < companies; company++)
      it(`${nameOf(company)}: after every step of its life the numbers are what they must be`, async () => {
        const fresh = company === 0 ? server : await startServer(store, { role: "both" });
        try {
          if (company > 0) {
            await fresh.server.policies.publish("enterprise", policy);
            await fresh.server.derivation.refresh();
          }
          await live(fresh, createChance(7000 + company));
        } finally {
          if (company > 0) await fresh.stop();
        }
      });
  });

  async function live(server: TestServer, chance: ReturnType<typeof createChance>): Promise<void> {
    const model = createModel();
    const said: string[] = [];
    let serial = 0;
    let time = Date.parse("2026-01-01T00:00:00Z");
    const call = async (method: string, path: string, json?: unknown): Promise<Record<string, unknown>> => {
      const answer = await server.api(method, path, json === undefined ? {} : { json });
      if (answer.status >= 300) throw new Error(`${method} ${path} ${JSON.stringify(json)}: ${answer.status} ${answer.text}`); // prettier-ignore
      return answer.text === "" ? {} : answer.json();
    };
    const change = (...changes: object[]) => call("POST", "/api/v1/org-changes", { changes });
    const pick = <T>(all: Iterable<T>): T | undefined => {
      const list = [...all];
      return list.length === 0 ? undefined : chance.pick(list);
    };
    const anyDepartment = () => pick(model.parents.keys());
    const active = () => [...model.employees.keys()];

    const steps: Record<string, () => Promise<void> | undefined> = {
      async department() {
        const code = `D${String(++serial).padStart(3, "0")}`;
        const parent = chance.whole(3) === 0 ? undefined : anyDepartment();
        await call("PUT", `/api/v1/departments/${code}`, { name: code, ...(parent && { parent }) });
        model.parents.set(code, parent);
      },
      async hire() {
        const id = `E${++serial}`;
        const department = anyDepartment();
        await change({ type: "hire", employee: { id, name: id, ...(department && { department }) } });
        model.employees.set(id, department);
      },
      async device() {
        const id = `PC${++serial}`;
        const employee = chance.whole(3) > 0 ? pick(active()) : undefined;
        const department = chance.whole(2) > 0 ? anyDepartment() : undefined;
        await call("PUT", `/api/v1/devices/${id}`, {
          ...(employee && { employee }),
          ...(department && { department }),
        });
        model.devices.set(id, { id, employee, department, handedOver: false, software: new Set() });
        await install(model.devices.get(id) as Device);
      },
      install() {
        const device = pick(model.devices.values());
        return device && install(device);
      },
      async assign() {
        const device = pick(model.devices.values());
        const employee = pick(active());
        if (device === undefined || employee === undefined) return;
        await call("PATCH", `/api/v1/devices/${device.id}`, { employee });
        Object.assign(device, { employee, handedOver: false });
      },
      async move() {
        const employee = pick(active());
        const to = anyDepartment();
        if (employee === undefined || to === undefined) return;
        await change({ type: "move", employee, to });
        model.employees.set(employee, to);
      },
      async leave() {
        const employee = pick(active());
        if (employee === undefined) return;
        await change({ type: "leave", employee });
        const last = model.employees.get(employee);
        for (const device of model.devices.values())
          if (device.employee === employee)
            Object.assign(device, { employee: undefined, department: device.department ?? last, handedOver: true });
        model.employees.delete(employee);
      },
      async merge() {
        const from = anyDepartment();
        const below = from === undefined ? new Set() : model.below(from);
        const to = pick([...model.parents.keys()].filter((code) => !below.has(code)));
        if (from === undefined || to === undefined) return;
        await change({ type: "merge", department: from, to });
        model.moveAll(from, to);
      },
      async dissolve() {
        const department = pick([...model.parents].filter(([, parent]) => parent !== undefined));
        if (department === undefined) return;
        await change({ type: "dissolve", department: department[0] });
        model.moveAll(department[0], department[1] as string);
      },
      async split() {
        const department = anyDepartment();
        const people = active().filter((id) => model.employees.get(id) === department);
        if (department === undefined || people.length === 0) return;
        const leaving = people.filter((_, i) => i === 0 || chance.whole(2) === 0);
        const to = `D${String(++serial).padStart(3, "0")}`;
        const before = new Map(licenses.map((license) => [license, model.used(department, license)]));
        await change({ type: "split", department, to, name: to, employees: leaving });
        model.parents.set(to, model.parents.get(department));
        for (const id of leaving) model.employees.set(id, to);
        for (const license of licenses) {
          const goes = Math.min(
            model.at(model.rights, department, license),
            (before.get(license) ?? 0) - model.used(department, license),
          );
          model.add(model.rights, department, license, -goes);
          model.add(model.rights, to, license, goes);
        }
      },
      async rename() {
        const from = anyDepartment();
        if (from === undefined) return;
        const code = `D${String(++serial).padStart(3, "0")}`;
        await change({ type: "rename", department: from, code });
        model.parents.set(code, model.parents.get(from));
        model.moveAll(from, code);
      },
      async entitle() {
        const license = chance.pick(licenses);
        const quantity = chance.whole(6);
        await call("POST", "/api/v1/entitlements", { license, quantity, unitPrice: price[license], currency: "JPY", ...metric(license), purchasedAt: new Date(time).toISOString() }); // prettier-ignore
        model.held.set(license, (model.held.get(license) ?? 0) + quantity);
      },
      async rights() {
        const department = anyDepartment();
        if (department === undefined) return;
        const license = chance.pick(licenses);
        const rights = chance.whole(5);
        await call("PUT", `/api/v1/departments/${department}/licenses/${license}`, { rights });
        model.rights.set(`${department} ${license}`, rights);
      },
      async apply() {
        const department = anyDepartment();
        if (department === undefined) return;
        const license = chance.pick(["@D", "@U"] as const);
        const quantity = 1 + chance.whole(3);
        const made = await call("POST", "/api/v1/applications", { department, license, quantity, reason: "needed" });
        if (chance.whole(4) === 0) {
          await call("POST", `/api/v1/applications/${String(made["id"])}/refuse`, { reason: "no" });
          return;
        }
        const done = await call("POST", `/api/v1/applications/${String(made["id"])}/approve`, {});
        expect(done["state"]).toBe("approved");
        model.add(model.requested, department, license, quantity);
      },
      async purchase() {
        const plan = await call("POST", "/api/v1/purchase-runs", { dryRun: true });
        const run = await call("POST", "/api/v1/purchase-runs", { period: `P${++serial}` });
        for (const list of ["orders", "chargebacks", "rights", "savedByIdle"]) {
          const plain = (items: unknown) => (items as Record<string, unknown>[]).map(({ order: _, ...rest }) => rest);
          expect(plain(run[list])).toEqual(plain(plan[list]));
        }
        const orders = new Map((run["orders"] as { license: License; quantity: number; amount: number }[]).map((o) => [o.license, o])); // prettier-ignore
        for (const license of ["@D", "@U"] as const) {
          const used = model.codes.map((code) => [code, model.used(code, license)] as const);
          const total = used.reduce((sum, [, n]) => sum + n, 0);
          const buy = Math.max(0, total - (model.held.get(license) ?? 0));
          expect({ license, bought: orders.get(license)?.quantity ?? 0 }).toEqual({ license, bought: buy });
          const corrected = used.map(([code, n]) => [code, Math.max(0, n - model.at(model.rights, code, license))] as const); // prettier-ignore
          if (buy > 0) {
            const paying = corrected.filter(([, n]) => n > 0);
            const paid = (run["chargebacks"] as { department: string; license: string; amount: number }[]).filter((c) => c.license === license); // prettier-ignore
            const amount = buy * price[license];
            expect(orders.get(license)?.amount).toBe(amount);
            expect(paid.reduce((sum, c) => sum + c.amount, 0)).toBe(amount);
            if (paying.length > 0)
              expect(Object.fromEntries(paid.map((c) => [c.department, c.amount]))).toEqual(
                Object.fromEntries([...shares(amount, paying)].filter(([, share]) => share > 0)),
              );
          }
          model.held.set(license, (model.held.get(license) ?? 0) + buy);
          for (const [code, n] of corrected) {
            model.rights.set(`${code} ${license}`, model.used(code, license));
            const key = `${code} ${license}`;
            model.requested.set(key, Math.max(0, (model.requested.get(key) ?? 0) - n));
          }
          // §3: rights never exceed what is held after a run.
          const rights = model.codes.reduce((sum, code) => sum + model.at(model.rights, code, license), 0);
          expect(rights).toBeLessThanOrEqual(model.held.get(license) ?? 0);
        }
        // What is never short is neither bought nor granted; its idle rights come back.
        for (const code of model.codes) {
          const rights = Math.min(model.at(model.rights, code, "@A"), model.used(code, "@A"));
          model.rights.set(`${code} @A`, rights);
        }
        const again = await call("POST", "/api/v1/purchase-runs", { period: `P${serial}` });
        expect(again["id"]).toBe(run["id"]);
      },
    };
    const metric = (license: License) =>
      license === "@U" ? { metric: "user" } : license === "@A" ? { metric: "site" } : {};

    async function install(device: Device): Promise<void> {
      const software = licenses.filter(() => chance.whole(2) === 0);
      time += 60_000;
      const inventory = {
        daicho: "inventory/v1",
        device: { id: device.id, hostname: device.id },
        hardware: {},
        software: software.map((name) => ({ name, version: "1", source: "registry" })),
        scan: { startedAt: new Date(time).toISOString(), durationMs: 1, errors: [] },
      };
      const { items } = await call("POST", "/api/v1/imports/inventories", inventory);
      expect(items).toMatchObject([{ status: "stored", device: device.id }]);
      device.software = new Set(software);
    }

    for (const license of licenses) {
      await call("POST", "/api/v1/entitlements", { license, quantity: 1, unitPrice: price[license], currency: "JPY", ...metric(license) }); // prettier-ignore
      model.held.set(license, 1);
    }
    for (const step of ["department", "department", "hire", "hire", "device", "device"]) await steps[step]?.();
    await check();
    for (let i = 0; i < stepsEach; i++) {
      const name = chance.pick([...Object.keys(steps), "device", "hire", "install", "purchase"]);
      said.push(name);
      await steps[name]?.();
      await check();
    }
    expect((await server.server.reconcile()).differences, said.join(" ")).toEqual([]);

    async function check(): Promise<void> {
      type Item = { department?: string; license: License; used: number; held: number; rights: number; requested: number; overUnder: number }; // prettier-ignore
      const items = (path: string) => call("GET", path).then((answer) => answer["items"] as Item[]);
      const company = await items("/api/v1/positions");
      const departments = await items("/api/v1/positions/departments");
      const life = said.join(" ");
      for (const license of licenses) {
        const one = company.find((item) => item.license === license);
        const used = model.codes.reduce((sum, code) => sum + model.used(code, license), 0);
        const held = model.held.get(license) ?? 0;
        const overUnder = license === "@A" ? Math.max(0, held - used) : held - used;
        expect({ life, license, used: one?.used, held: one?.held, overUnder: one?.overUnder }).toEqual({ life, license, used, held, overUnder }); // prettier-ignore
        for (const department of model.codes) {
          const row = departments.find((item) => item.department === department && item.license === license);
          const is = { used: row?.used ?? 0, rights: row?.rights ?? 0, requested: row?.requested ?? 0 };
          expect({ life, department, license, ...is }).toEqual({
            ...{ life, department, license, used: model.used(department, license) },
            rights: model.at(model.rights, department, license),
            requested: model.at(model.requested, department, license),
          });
        }
      }
      expect(departments.filter((item) => !model.codes.includes(item.department ?? ""))).toEqual([]);
    }
  }
});
