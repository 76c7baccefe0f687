import fc from "fast-check";
import { expect, it } from "vitest";
import { isDaichoError } from "@daicho/kernel";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { Caller } from "../access/index.ts";
import { touchPositions } from "../licenses/index.ts";

const departments = ["A", "A1", "A2", "A11", "B", "B1"];
const parents: Readonly<Record<string, string>> = { A1: "A", A2: "A", A11: "A1", B1: "B" };
const people = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
const licenses = ["@X", "@Y"];
const manager: Caller = { tokenId: "tm", role: "manager" };

const department = fc.constantFrom(...departments);
const person = fc.constantFrom(...people);
const license = fc.constantFrom(...licenses);
const count = fc.nat(6);
const usedCount = fc.nat(14);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("file" as const),
      department,
      license,
      quantity: fc.integer({ min: 1, max: 5 }),
      applicant: fc.option(person, { nil: undefined }),
      acceptIdle: fc.boolean(),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("decide" as const),
      which: fc.nat(),
      onBehalf: fc.boolean(),
      refuse: fc.integer({ min: 0, max: 6 }).map((n) => n === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("withdraw" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), person }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("manager" as const), department, person: fc.option(person) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rights" as const), department, license, rights: count }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("quota" as const), department, license, quota: fc.option(fc.nat(30)) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("used" as const), department, license, used: usedCount }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("buy" as const), license, quantity: fc.nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("run" as const),
      reverse: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("merge" as const), department, to: department }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

forEachStore((store) => {
  it("requested is what is approved and outstanding, idle rights are moved and not made, and every signature is valid - whatever happens in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 80, maxLength: 80 }), async (steps) => {
        const server = await startServer(store, { role: "corporate" });
        try {
          await company(server);
          const walk = { filed: [] as string[], runs: [] as string[] };
          for (const [at, action] of steps.entries()) {
            const before = await sums(server);
            try {
              await act(server, walk, action, at);
            } catch (error) {
              // Refused is fine, and must have changed nothing; anything else is a fault of the program.
              if (!isDaichoError(error) || error.status >= 500) throw error;
              expect(await sums(server)).toEqual(before);
            }
            await laws(server, action, before, await sums(server));
          }
        } finally {
          await server.stop();
        }
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });
});

async function company({ server, api }: TestServer): Promise<void> {
  const at = Date.now();
  await server.db.transaction(async (trx) => {
    const made = await server.organization.writeDepartments(
      trx,
      departments.map((code, place) => ({
        code,
        name: code,
        parent: parents[code] ?? null,
        manager: place === 2 ? null : (people[place] ?? null),
      })),
      { mode: "create", at },
    );
    expect(made.faults).toEqual([]);
    await server.organization.writeEmployees(
      trx,
      people.map((id, place) => ({ id, name: id, department: departments[place % departments.length] ?? null })),
      { mode: "create", at },
    );
  });
  for (const code of licenses)
    await api("POST", "/api/v1/entitlements", {
      json: { license: code, quantity: 8, unitPrice: 100, currency: "JPY" },
    });
}

async function act(
  { server, api }: TestServer,
  walk: { filed: string[]; runs: string[] },
  action: Step,
  at: number,
): Promise<void> {
  const { applications } = server;
  const chosen = (which: number): string => walk.filed[which % Math.max(1, walk.filed.length)] ?? "none";
  switch (action.do) {
    case "file": {
      const { applicant, ...input } = action;
      const filed = await applications.file({ ...input, reason: "r", ...(applicant && { applicant }) }, manager);
      expect(filed.steps.length).toBeGreaterThan(0);
      expect(filed.steps.some((s) => applicant !== undefined && s.approver === applicant)).toBe(false);
      walk.filed.push(filed.id);
      return;
    }
    case "decide": {
      const { steps } = await applications.get(chosen(action.which), manager);
      const waiting = steps.find((s) => s.state === "open");
      const caller: Caller =
        action.onBehalf || waiting?.approver === undefined
          ? manager
          : { tokenId: "te", role: "employee", employee: waiting.approver };
      const decision = action.refuse ? "refused" : "approved";
      await applications.decide(chosen(action.which), { decision, comment: "c" }, caller);
      return;
    }
    case "withdraw":
      await applications.withdraw(chosen(action.which), undefined, manager);
      return;
    case "leave":
      await api("POST", "/api/v1/org-changes", { json: { changes: [{ type: "leave", employee: action.person }] } });
      return;
    case "manager":
      await api("PATCH", `/api/v1/departments/${action.department}`, { json: { manager: action.person } });
      return;
    case "rights":
    case "quota": {
      const path = `/api/v1/departments/${action.department}/licenses/${encodeURIComponent(action.license)}`;
      await api("PUT", path, { json: action.do === "rights" ? { rights: action.rights } : { quota: action.quota } });
      return;
    }
    case "used":
      return use(server, action);
    case "buy":
      await api("POST", "/api/v1/entitlements", { json: { license: action.license, quantity: action.quantity } });
      return;
    case "run": {
      const last = walk.runs[walk.runs.length - 1];
      if (action.reverse && last !== undefined) {
        await server.purchases.reverse(last);
        walk.runs.pop();
      } else walk.runs.push((await server.purchases.run({ period: `step-${at}` })).run.id);
      return;
    }
    case "merge": {
      if (action.department === action.to) return;
      const changes = [{ type: "merge", department: action.department, to: action.to }];
      await api("POST", "/api/v1/org-changes", { json: { changes } });
      return;
    }
  }
}

/** As a report would count it. */
async function use(
  { db }: TestServer["server"],
  { department, license, used }: { department: string; license: string; used: number },
): Promise<void> {
  await db.transaction(async (trx) => {
    const to = await trx
      .selectFrom(["org_departments as d", "lic_licenses as l"])
      .select(["d.ordinal as department", "l.ordinal as license"])
      .where("d.code", "=", department)
      .where("d.dissolved_at", "is", null)
      .where("l.code", "=", license)
      .executeTakeFirst();
    if (to === undefined) return;
    await trx
      .insertInto("lic_usage")
      .values({ ...to, used })
      .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ used }))
      .execute();
    await touchPositions(db, trx, Date.now(), { departments: [to.department] });
  });
}

interface Sum {
  held: number;
  rights: number;
  requested: number;
}

/** By licence, from the positions: the departments' sums, which must be the company's. */
async function sums({ server }: TestServer): Promise<Record<string, Sum>> {
  const out: Record<string, Sum> = {};
  const company = await server.positions.company();
  for (const { license, held, rights, requested } of company.items) out[license] = { held, rights, requested };
  const added: Record<string, { rights: number; requested: number }> = {};
  for (const { license, rights, requested } of (await server.positions.departments()).items) {
    const sum = (added[license] ??= { rights: 0, requested: 0 });
    sum.rights += rights;
    sum.requested += requested;
  }
  for (const [license, { rights, requested }] of Object.entries(out))
    expect({ rights, requested }).toEqual(added[license] ?? { rights: 0, requested: 0 });
  return out;
}

async function laws(
  { server }: TestServer,
  action: Step,
  before: Record<string, Sum>,
  after: Record<string, Sum>,
): Promise<void> {
  expect(await server.applications.verifyAll()).toMatchObject({ complete: true, faults: [], requested: [] });
  const all = (await server.applications.list({ limit: 10_000 }, manager)).rows;
  for (const code of licenses) {
    const was = before[code] ?? { held: 0, rights: 0, requested: 0 };
    const is = after[code] ?? { held: 0, rights: 0, requested: 0 };
    const open = all.filter((a) => a.license === code && a.state === "approved");
    expect(is.requested).toBe(open.reduce((sum, a) => sum + a.requested - a.granted, 0));
    if (action.do === "decide" && is.rights > was.rights) expect(is.rights).toBeLessThanOrEqual(is.held);
    if (action.do === "decide") expect(is.rights).toBeGreaterThanOrEqual(was.rights);
    if (["file", "withdraw", "leave", "manager", "used", "quota"].includes(action.do))
      expect(is.rights).toBe(was.rights);
    if (action.do === "run" && !action.reverse) expect(is.rights).toBeLessThanOrEqual(is.held);
  }
  for (const a of all) {
    const moved = (a.fromIdle ?? []).reduce((sum, from) => sum + from.quantity, 0);
    if (a.state === "approved" || a.state === "granted") expect(a.requested + moved).toBe(a.quantity);
    expect(a.granted).toBeLessThanOrEqual(a.requested);
    if (a.state === "granted") expect(a.granted).toBe(a.requested);
    if (a.state === "pending") expect(a.waitingFor).toBeDefined();
    if (a.waitingFor !== undefined) expect(a.waitingFor).not.toBe(a.applicant);
  }
}
