/**
 * Purpose: a random life of a company, by the API, beside the model. Each step does one thing to both; `check` compares everything they say.
 * A life begins with an empty server and ends by taking the company apart, after which nothing counts any more: so one server can have many lives.
 */
import { expect } from "vitest";
import { manualClock, type ManualClock } from "@daicho/kernel";
import type { Server } from "../../packages/server/src/app.ts";
import type { Chance } from "../harness/random.ts";
import { createModel, licenses, price, titles, type Device, type License } from "./model.ts";

const dayMs = 86_400_000;
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

export const policyText = (version: number, other: boolean): string => `
daicho: policy/v1
id: money
edition: enterprise
version: ${version}
software:
  - { code: "@DEV", name: Per device, detect: app(name = "${other ? "X" : "@D"}") }
  - { code: "@USR", name: Per user, detect: app(name = "@U") }
  - { code: "@ALL", name: Site, detect: app(name = "@A") }
licenses:
  - { rule: "@DEV = @D", name: Per device }
  - { rule: "@USR = @U", name: Per user }
  - { rule: "@ALL = @A", name: Site, metric: site }
`;

/** What outlives a company: the server, its clock, and numbers that are never used twice. */
export interface World {
  readonly server: Server;
  readonly clock: LeapingClock;
  /** API tokens of a manager and of an identity provider. */
  readonly tokens: { readonly admin: string; readonly provisioner: string };
  serial: number;
  policy: number;
  /** The department that every company begins with: the last one's heir, which has nothing. */
  root: string | undefined;
}

/** A day passes without the thousands of small things that a server does by the minute. */
export interface LeapingClock extends ManualClock {
  leap(ms: number): void;
}

export function leapingClock(start: number): LeapingClock {
  const clock = manualClock();
  let time = start;
  return { ...clock, now: () => time + clock.now(), leap: (ms) => void (time += ms) };
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
type Answer = Record<string, unknown>;
interface Item {
  readonly department?: string;
  readonly license: License;
  readonly used: number;
  readonly held: number;
  readonly rights: number;
  readonly requested: number;
  readonly overUnder: number;
  readonly allocatedInUse: number;
  readonly allocatedNotInUse: number;
  readonly notAllocatedInUse: number;
}

export async function live(world: World, chance: Chance, steps: number): Promise<void> {
  const { server, clock, tokens } = world;
  const model = createModel();
  const said: string[] = [];
  const recorded: { readonly at: string; readonly held: Record<string, number>; readonly used: Record<string, number> }[] = []; // prettier-ignore
  const planned: { readonly id: string; readonly on: string; fits(): boolean; apply(): void }[] = [];
  const scimUsers = new Map<string, string>();

  const send = async (method: Method, url: string, json?: object) => {
    const scim = url.startsWith("/scim/");
    const answer = await server.app.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${scim ? tokens.provisioner : tokens.admin}`,
        ...(json !== undefined && { "content-type": scim ? "application/scim+json" : "application/json" }),
      },
      ...(json !== undefined && { payload: JSON.stringify(json) }),
    });
    return { status: answer.statusCode, text: answer.body, json: () => JSON.parse(answer.body) as Answer };
  };
  const call = async (method: Method, path: string, json?: object): Promise<Answer> => {
    const answer = await send(method, path, json);
    if (answer.status >= 300) throw new Error(`${said.join(" ")}: ${method} ${path} ${JSON.stringify(json)}: ${answer.status} ${answer.text}`); // prettier-ignore
    return answer.text === "" ? {} : answer.json();
  };
  const items = <T = Item>(path: string): Promise<readonly T[]> => call("GET", path).then((a) => a["items"] as T[]);
  const change = (...changes: object[]) => call("POST", "/api/v1/org-changes", { changes });
  const pick = <T>(all: Iterable<T>): T | undefined => {
    const list = [...all];
    return list.length === 0 ? undefined : chance.pick(list);
  };
  const sometimes = (oneIn: number): boolean => chance.whole(oneIn) === 0;
  const some = <T>(all: Iterable<T>): T[] => [...all].filter(() => sometimes(2));
  const today = (): string => dayAfter(0);
  const dayAfter = (days: number): string => new Date(clock.now() + days * dayMs).toISOString().slice(0, 10);
  const anyDepartment = () => pick(model.parents.keys());
  const other = (code: string | undefined) => pick([...model.parents.keys()].filter((one) => one !== code));
  const anyEmployee = () => pick(model.employees.keys());
  const anyDevice = () => pick(model.devices.values());
  const fresh = (letter: string): string => `${letter}${String(++world.serial).padStart(4, "0")}`;
  const metricOf = (license: License) =>
    license === "@U" ? { metric: "user" } : license === "@A" ? { metric: "site" } : {};
  /** Where `from` can go, so that nothing lies below itself. */
  const elsewhere = (from: string): string | undefined => {
    const below = model.below(from);
    return pick([...model.parents.keys()].filter((code) => !below.has(code)));
  };

  async function entitle(license: License, quantity: number, days: { from?: string; until?: string } = {}) {
    const made = await call("POST", "/api/v1/entitlements", {
      license,
      quantity,
      unitPrice: price[license],
      currency: "JPY",
      ...metricOf(license),
      ...(days.from !== undefined && { startsAt: days.from }),
      ...(days.until !== undefined && { expiresAt: days.until }),
    });
    model.entitlements.push({ id: String(made["id"]), license, quantity, ...days });
  }

  async function install(device: Device): Promise<void> {
    const found = some(titles);
    const inventory = {
      daicho: "inventory/v1",
      device: { id: device.id, hostname: device.id },
      hardware: {},
      software: found.map((name) => ({ name, version: "1", source: "registry" })),
      scan: { startedAt: new Date(clock.now()).toISOString(), durationMs: 1, errors: [] },
    };
    const answer = await call("POST", "/api/v1/imports/inventories", inventory);
    expect(answer["items"]).toMatchObject([{ status: "stored", device: device.id }]);
    Object.assign(device, { titles: new Set(found), reported: clock.now() });
  }

  async function plan(changes: object, fits: () => boolean, apply: () => void): Promise<void> {
    const on = dayAfter(1 + chance.whole(4));
    const answer = await send("POST", "/api/v1/org-changes", { effectiveOn: on, changes: [changes] });
    // What was planned before may leave no room for it.
    if (answer.status === 422 && planned.length > 0) return;
    expect([answer.status, answer.json()["state"]], answer.text).toEqual([201, "planned"]);
    planned.push({ id: String(answer.json()["id"]), on, fits, apply });
  }

  async function tomorrow(): Promise<void> {
    clock.leap(dayMs);
    await server.orgChanges.applyDue();
    const due = planned.filter(({ on }) => on <= today()).sort((a, b) => (a.on < b.on ? -1 : a.on > b.on ? 1 : 0));
    for (const one of due) {
      planned.splice(planned.indexOf(one), 1);
      const { state, changes } = await call("GET", `/api/v1/org-changes/${one.id}`);
      expect({ life: said.join(" "), changes, state }).toEqual({ life: said.join(" "), changes, state: one.fits() ? "applied" : "failed" }); // prettier-ignore
      if (one.fits()) one.apply();
    }
  }

  /** The user an identity provider has for this employee. */
  async function scimUser(employee: string): Promise<string> {
    const known = scimUsers.get(employee);
    if (known !== undefined) return known;
    const made = await call("POST", "/scim/v2/Users", {
      schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
      userName: employee,
      externalId: employee,
      displayName: employee,
    });
    scimUsers.set(employee, String(made["id"]));
    return String(made["id"]);
  }
  const scimPatch = async (employee: string, operation: object): Promise<void> => {
    const id = await scimUser(employee);
    const schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
    await call("PATCH", `/scim/v2/Users/${id}`, { schemas, Operations: [operation] });
  };

  const doings: Record<string, () => Promise<void> | undefined> = {
    async department() {
      const code = fresh("D");
      const parent = sometimes(3) ? undefined : anyDepartment();
      await call("PUT", `/api/v1/departments/${code}`, { name: code, ...(parent && { parent }) });
      model.parents.set(code, parent);
    },
    async hire() {
      const back = sometimes(4) ? pick(model.left) : undefined;
      const id = back ?? fresh("E");
      const department = anyDepartment();
      if (back !== undefined && department === undefined) return;
      await change({ type: "hire", employee: { id, name: id, ...(department && { department }) } });
      model.hire(id, department);
    },
    async device() {
      const id = fresh("PC");
      const employee = sometimes(3) ? undefined : anyEmployee();
      const department = sometimes(2) ? undefined : anyDepartment();
      await call("PUT", `/api/v1/devices/${id}`, { ...(employee && { employee }), ...(department && { department }) });
      const device: Device = { id, employee, department, handedOver: false, titles: new Set(), reported: 0 };
      model.devices.set(id, device);
      await install(device);
    },
    install() {
      const device = anyDevice();
      return device && install(device);
    },
    async assign() {
      const device = anyDevice();
      const employee = anyEmployee();
      if (device === undefined || employee === undefined) return;
      await call("PATCH", `/api/v1/devices/${device.id}`, { employee });
      Object.assign(device, { employee, handedOver: false });
    },
    async dispose() {
      const device = anyDevice();
      if (device === undefined) return;
      await call("PATCH", `/api/v1/devices/${device.id}`, { state: "disposed" });
      model.devices.delete(device.id);
    },
    async handOver() {
      const open = await items<{ id: string; device: string }>("/api/v1/hand-overs");
      const entry = pick(open);
      const device = model.devices.get(entry?.device ?? "");
      if (entry === undefined || device === undefined) return;
      const employee = sometimes(2) ? anyEmployee() : undefined;
      const department = anyDepartment();
      if (employee === undefined && department === undefined) return;
      await call("POST", `/api/v1/hand-overs/${entry.id}/complete`, employee ? { employee } : { department });
      Object.assign(device, { handedOver: false, ...(employee ? { employee } : { department }) });
    },
    async mergeDevices() {
      const keep = anyDevice();
      const from = pick([...model.devices.values()].filter((device) => device !== keep));
      if (keep === undefined || from === undefined) return;
      await call("POST", "/api/v1/device-merges", { keep: keep.id, from: from.id });
      model.mergeDevices(keep, from);
    },
    async move() {
      const to = anyDepartment();
      const people = [...new Set([anyEmployee(), ...(sometimes(3) ? some(model.employees.keys()) : [])])].filter((id) => id !== undefined); // prettier-ignore
      if (people.length === 0 || to === undefined) return;
      const withRights = sometimes(2);
      await change({ type: "move", employees: people, to, ...(withRights && { withRights }) });
      model.move(people, to, withRights);
    },
    async moveDepartment() {
      const department = anyDepartment();
      const to = department === undefined ? undefined : elsewhere(department);
      if (department === undefined || to === undefined) return;
      await change({ type: "move", department, to });
      model.parents.set(department, to);
    },
    async scimMove() {
      const employee = anyEmployee();
      const to = anyDepartment();
      if (employee === undefined || to === undefined) return;
      await scimPatch(employee, { op: "Replace", path: `${enterprise}:department`, value: to });
      model.move([employee], to);
    },
    async scimLeave() {
      const employee = anyEmployee();
      if (employee === undefined) return;
      await scimPatch(employee, { op: "Replace", path: "active", value: "False" });
      model.leave(employee);
    },
    async leave() {
      const employee = anyEmployee();
      if (employee === undefined) return;
      await change({ type: "leave", employee });
      model.leave(employee);
    },
    async merge() {
      const from = anyDepartment();
      const to = other(from);
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
      const from = anyDepartment();
      if (from === undefined) return;
      const there = sometimes(3) ? pick([...model.parents.keys()].filter((code) => code !== from)) : undefined;
      const to = there ?? fresh("D");
      const parts = {
        employees: some([...model.employees].filter(([, code]) => code === from).map(([id]) => id)),
        devices: some([...model.devices.values()].filter((d) => d.department === from).map((d) => d.id)),
        children: there ? [] : some([...model.parents].filter(([, parent]) => parent === from).map(([code]) => code)),
      };
      if (Object.values(parts).every((part) => part.length === 0)) return;
      const license = chance.pick(licenses);
      const rights = chance.whole(model.rightsOf(from, license) + 1);
      const given = sometimes(2) && rights > 0 ? { license, rights } : undefined;
      const filled = Object.fromEntries(Object.entries(parts).filter(([, part]) => part.length > 0));
      await change({ type: "split", department: from, to, ...(!there && { name: to }), ...filled, ...(given && { rights: [given] }) }); // prettier-ignore
      model.split(from, to, parts, given);
    },
    async rename() {
      const from = anyDepartment();
      if (from === undefined) return;
      const code = fresh("D");
      await change({ type: "rename", department: from, code });
      model.rename(from, code);
    },
    async plan() {
      const employee = anyEmployee();
      const to = anyDepartment();
      if (employee === undefined || to === undefined) return;
      if (sometimes(3)) {
        const from = other(to);
        if (from === undefined) return;
        const fits = () => model.parents.has(from) && model.parents.has(to);
        return plan({ type: "merge", department: from, to }, fits, () => model.moveAll(from, to));
      }
      if (sometimes(3))
        return plan({ type: "leave", employee }, () => model.employees.has(employee), () => model.leave(employee)); // prettier-ignore
      const fits = () => model.employees.has(employee) && model.parents.has(to);
      return plan({ type: "move", employee, to }, fits, () => model.move([employee], to));
    },
    async days() {
      for (let n = 1 + chance.whole(3); n > 0; n--) await tomorrow();
    },
    entitle() {
      const license = chance.pick(licenses);
      const from = sometimes(3) ? dayAfter(chance.whole(5) - 2) : undefined;
      const until = sometimes(3) ? dayAfter(2 + chance.whole(5)) : undefined;
      // A site licence is without a limit only while one of its entitlements is valid.
      const days = license === "@A" ? {} : { ...(from && { from }), ...(until && { until }) };
      return entitle(license, chance.whole(6), days);
    },
    async correct() {
      // The first of each licence stays: it carries the contract price.
      const entitlement = pick(model.entitlements.slice(licenses.length));
      if (entitlement === undefined) return;
      const path = `/api/v1/entitlements/${entitlement.id}`;
      if (sometimes(3)) {
        await call("DELETE", path);
        model.entitlements.splice(model.entitlements.indexOf(entitlement), 1);
        return;
      }
      const quantity = chance.whole(6);
      await call("PATCH", path, { quantity });
      entitlement.quantity = quantity;
    },
    async policy() {
      model.changePolicy();
      await publish(model.otherPolicy);
    },
    async allocate() {
      const device = anyDevice();
      const license = chance.pick(["@D", "@A"] as const);
      if (device === undefined) return;
      const there = [...model.allocations].find(([, a]) => a.device === device.id && a.license === license);
      if (there !== undefined) {
        await call("DELETE", `/api/v1/allocations/${there[0]}`);
        model.allocations.delete(there[0]);
        return;
      }
      const made = await call("POST", "/api/v1/allocations", { license, device: device.id });
      model.allocations.set(String(made["id"]), { device: device.id, license });
    },
    async rights() {
      const department = anyDepartment();
      if (department === undefined) return;
      const license = chance.pick(licenses);
      const rights = chance.whole(5);
      await call("PUT", `/api/v1/departments/${department}/licenses/${license}`, { rights });
      model.setRights(department, license, rights);
    },
    async apply() {
      const department = anyDepartment();
      if (department === undefined) return;
      const license = chance.pick(["@D", "@U"] as const);
      const quantity = 1 + chance.whole(3);
      const acceptIdle = sometimes(3);
      const wish = { department, license, quantity, reason: "needed", ...(acceptIdle && { acceptIdle }) };
      const { id } = (await call("POST", "/api/v1/applications", wish)) as { id: string };
      const end = chance.pick(["approve", "approve", "approve", "refuse", "withdraw"]);
      const done = await call("POST", `/api/v1/applications/${id}/${end}`, end === "approve" ? {} : { reason: "no" });
      if (end !== "approve") return expect(done["state"]).toBe(end === "refuse" ? "refused" : "withdrawn");
      const outstanding = acceptIdle ? model.takeIdle(department, license, quantity, today()) : quantity;
      expect(done["state"], said.join(" ")).toBe(outstanding === 0 ? "granted" : "approved");
      model.applications.push({ id, department, license, outstanding });
    },
    async withdraw() {
      const application = pick(model.applications.filter(({ outstanding }) => outstanding > 0));
      if (application === undefined) return;
      await call("POST", `/api/v1/applications/${application.id}/withdraw`, { reason: "no more" });
      application.outstanding = 0;
    },
    purchase: () => purchase(),
  };

  async function purchase(afterwards = true): Promise<void> {
    const before = {
      rights: new Map(model.rights),
      bought: model.entitlements.length,
      outstanding: model.applications.map(({ outstanding }) => outstanding),
    };
    const dry = await call("POST", "/api/v1/purchase-runs", { dryRun: true });
    const period = fresh("P");
    const run = await call("POST", "/api/v1/purchase-runs", { period });
    for (const list of ["orders", "chargebacks", "rights", "savedByIdle"]) {
      const plain = (all: unknown) => (all as Answer[]).map(({ order: _, ...rest }) => rest);
      expect(plain(run[list])).toEqual(plain(dry[list]));
    }
    const orders = run["orders"] as { license: License; quantity: number; amount: number; entitlement?: string }[];
    const paid = run["chargebacks"] as { department: string; license: License; amount: number }[];
    for (const license of ["@D", "@U"] as const) {
      const order = model.purchase(license, today(), () => `${period} ${license}`);
      const is = orders.find((o) => o.license === license);
      expect({ license, quantity: is?.quantity, amount: is?.amount }).toEqual({ license, quantity: order?.quantity, amount: order?.amount }); // prettier-ignore
      const costs = paid.filter((c) => c.license === license);
      expect(costs.reduce((sum, { amount }) => sum + amount, 0)).toBe(order?.amount ?? 0);
      if (order !== undefined && order.costs.size > 0)
        expect(Object.fromEntries(costs.map((c) => [c.department, c.amount]))).toEqual(Object.fromEntries(order.costs));
      // §3: rights never exceed what is held after a run.
      expect(model.total(model.rightsOf, license)).toBeLessThanOrEqual(model.held(license, today()));
    }
    // What is never short is neither bought nor granted; its idle rights come back.
    for (const code of model.codes())
      model.setRights(code, "@A", Math.min(model.rightsOf(code, "@A"), model.used(code, "@A")));
    const again = await call("POST", "/api/v1/purchase-runs", { period });
    expect(again["id"]).toBe(run["id"]);
    const path = `/api/v1/purchase-runs/${String(run["id"])}`;
    if (afterwards && sometimes(4)) {
      await check();
      const meanwhile = sometimes(2) ? 1 + chance.whole(3) : 0;
      for (let n = 0; n < meanwhile; n++) {
        const name = chance.pick(["split", "split", "move", "merge", "dissolve", "rename"]);
        said.push(name);
        await doings[name]?.();
        await check();
      }
      await call("POST", `${path}/reverse`);
      model.entitlements.splice(before.bought);
      model.applications.forEach((application, i) => (application.outstanding = before.outstanding[i] ?? 0));
      if (meanwhile === 0) {
        model.rights.clear();
        for (const [key, n] of before.rights) model.rights.set(key, n);
      } else {
        // Whoever has the rights now gave them back: as many there are as before, nobody has less than none.
        const rows = await items("/api/v1/positions/departments");
        for (const license of licenses) {
          for (const code of model.codes()) {
            const row = rows.find((item) => item.department === code && item.license === license);
            expect(row?.rights ?? 0).toBeGreaterThanOrEqual(0);
            model.setRights(code, license, row?.rights ?? 0);
          }
          const were = [...before.rights].filter(([key]) => key.endsWith(` ${license}`)).map(([, n]) => n);
          expect({ life: said.join(" "), license, rights: model.total(model.rightsOf, license) }).toEqual({
            life: said.join(" "),
            license,
            rights: were.reduce((sum, n) => sum + n, 0),
          });
        }
      }
    } else if (sometimes(3)) {
      await call("POST", `${path}/place`, {});
      expect((await send("POST", `${path}/reverse`)).status).toBe(409);
    }
    // The model's entitlements are known by the ids the server gave them.
    const known = new Set(model.entitlements.map(({ id }) => id));
    const found = await items<{ id: string; license: License }>("/api/v1/entitlements?limit=1000");
    for (const [i, entitlement] of model.entitlements.entries())
      if (entitlement.id.startsWith(period)) {
        const real = found.find(({ id, license }) => license === entitlement.license && !known.has(id));
        model.entitlements[i] = { ...entitlement, id: real?.id ?? "not there" };
      }
  }

  async function publish(other: boolean): Promise<void> {
    await server.policies.publish("enterprise", policyText(++world.policy, other));
    await server.derivation.refresh();
  }

  async function check(): Promise<void> {
    const company = await items("/api/v1/positions");
    const departments = await items("/api/v1/positions/departments");
    const life = said.join(" ");
    const now = { at: new Date(clock.now()).toISOString(), held: {} as Record<string, number>, used: {} as Record<string, number> }; // prettier-ignore
    for (const license of licenses) {
      const one = company.find((item) => item.license === license);
      const used = model.total(model.used, license);
      const held = model.held(license, today());
      const allocated = [...model.allocations.values()].filter((a) => a.license === license);
      const inUse = allocated.filter((a) => {
        const device = model.devices.get(a.device);
        return device !== undefined && model.uses(device, license);
      }).length;
      expect({ life, license, ...numbersOf(one) }).toEqual({
        life,
        license,
        used,
        held,
        overUnder: license === "@A" ? Math.max(0, held - used) : held - used,
        rights: model.total(model.rightsOf, license),
        requested: model.total(model.requested, license),
        allocatedInUse: inUse,
        allocatedNotInUse: allocated.length - inUse,
        notAllocatedInUse: used - inUse,
      });
      for (const department of model.codes()) {
        const row = departments.find((item) => item.department === department && item.license === license);
        const is = { used: row?.used ?? 0, rights: row?.rights ?? 0, requested: row?.requested ?? 0 };
        expect({ life, department, license, ...is }).toEqual({
          life,
          department,
          license,
          used: model.used(department, license),
          rights: model.rightsOf(department, license),
          requested: model.requested(department, license),
        });
      }
      now.held[license] = held;
      now.used[license] = used;
    }
    expect(departments.filter(({ department = "" }) => !model.codes().includes(department))).toEqual([]);
    // Of what happens within one millisecond the past tells what became of it.
    if (recorded.at(-1)?.at === now.at) recorded.pop();
    recorded.push(now);
  }

  /** The whole subtree of a department is the sum of its departments. */
  async function checkSubtree(): Promise<void> {
    const code = anyDepartment();
    if (code === undefined) return;
    const rolled = await items(`/api/v1/departments/${code}/positions?rollup=true`);
    for (const license of licenses) {
      const row = rolled.find((item) => item.license === license);
      const sum = (what: (department: string, license: License) => number) =>
        [...model.below(code)].reduce((total, below) => total + what(below, license), 0);
      expect({ code, license, used: row?.used ?? 0, rights: row?.rights ?? 0 }).toEqual({
        code,
        license,
        used: sum(model.used),
        rights: sum(model.rightsOf),
      });
    }
  }

  /** What was recorded is what is told of that moment, and the way from one to the next is explained. */
  async function checkPast(): Promise<void> {
    const then = chance.pick(recorded);
    const past = await items(`/api/v1/positions?asOf=${then.at}`);
    for (const license of licenses) {
      const row = past.find((item) => item.license === license);
      expect({ life: said.join(" "), at: then.at, license, held: row?.held ?? 0, used: row?.used ?? 0 }).toEqual({
        life: said.join(" "),
        at: then.at,
        license,
        held: then.held[license],
        used: then.used[license],
      });
    }
    const differences = await items<{ unexplained: Record<string, number> }>(
      `/api/v1/positions/changes?from=${then.at}`,
    );
    for (const { unexplained, ...item } of differences)
      expect({ item, unexplained: Object.values(unexplained).filter((n) => n !== 0) }).toEqual({ item, unexplained: [] }); // prettier-ignore
  }

  async function takeApart(): Promise<void> {
    for (const { id } of planned.splice(0)) await call("DELETE", `/api/v1/org-changes/${id}`);
    for (const id of [...model.employees.keys()]) {
      await change({ type: "leave", employee: id });
      model.leave(id);
    }
    for (const id of [...model.devices.keys()]) {
      await call("PATCH", `/api/v1/devices/${id}`, { state: "disposed" });
      model.devices.delete(id);
    }
    expect(await items("/api/v1/hand-overs")).toEqual([]);
    for (const id of model.allocations.keys()) await call("DELETE", `/api/v1/allocations/${id}`);
    model.allocations.clear();
    for (const application of model.applications)
      if (application.outstanding > 0) {
        await call("POST", `/api/v1/applications/${application.id}/withdraw`, {});
        application.outstanding = 0;
      }
    await purchase(false);
    for (const { id } of model.entitlements.splice(0)) await call("DELETE", `/api/v1/entitlements/${id}`);
    for (const code of model.codes())
      for (const license of licenses)
        if (model.rightsOf(code, license) > 0) {
          await call("PUT", `/api/v1/departments/${code}/licenses/${license}`, { rights: 0 });
          model.setRights(code, license, 0);
        }
    const [root] = [...model.parents].find(([, parent]) => parent === undefined) ?? [];
    const others = [...model.parents.keys()].filter((code) => code !== root);
    if (root !== undefined && others.length > 0) await change({ type: "merge", departments: others, to: root });
    for (const code of others) model.moveAll(code, root as string);
    world.root = root;
    if (model.otherPolicy) await publish(false);
    await check();
  }

  if (world.root !== undefined) model.parents.set(world.root, undefined);
  for (const license of licenses) await entitle(license, 1);
  for (const step of ["department", "department", "hire", "hire", "device", "device"]) await doings[step]?.();
  await check();
  const often = ["device", "hire", "install", "purchase", "days", "apply", "split"];
  for (let i = 0; i < steps; i++) {
    clock.advance(60_000);
    const name = chance.pick([...Object.keys(doings), ...often]);
    said.push(name);
    await doings[name]?.();
    await check();
    if (sometimes(4)) await checkSubtree();
  }
  await checkPast();
  expect((await server.reconcile()).differences, said.join(" ")).toEqual([]);
  clock.advance(60_000);
  said.push("take apart");
  await takeApart();
  expect((await server.reconcile()).differences, said.join(" ")).toEqual([]);
}

const companyNumbers = ["used", "held", "overUnder", "rights", "requested", "allocatedInUse", "allocatedNotInUse", "notAllocatedInUse"] as const; // prettier-ignore

/** A licence of which there is nothing has no item. */
function numbersOf(item: Item | undefined): Record<string, number> {
  return Object.fromEntries(companyNumbers.map((name) => [name, item?.[name] ?? 0]));
}
