/**
 * Laws of domain.md §3 and §6 over random organisations and random changes: used equals a recount from the ledger's own lists after every step, rights,
 * required and requested are neither made nor lost, a preview says what then happens, and what is refused changes nothing.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDaichoError, manualClock } from "@daicho/kernel";
import { findCycle } from "@daicho/licensing";
import { createCompany, type Company } from "../../../testing/company.ts";
import { forEachStore } from "../../../testing/stores.ts";
import { orgChangeTypes, type OrgChange, type OrgOutcome } from "./types.ts";

const codes = ["D0", "D1", "D2", "D3", "D4", "D5"];
const people = Array.from({ length: 8 }, (_, i) => `E${i}`);
const machines = Array.from({ length: 12 }, (_, i) => `PC${i}`);
const licenses = { "@DEV": "device", "@USER": "user", "@CORE": "core" } as const;

/** A wish is numbers; what they pick is decided when its turn comes, by what is there then. So most requests fit, and some do not. */
const wish = fc.record({
  type: fc.constantFrom(...orgChangeTypes),
  picks: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
  flags: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
});
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;

function resolve({ type, picks, flags }: Wish, now: Awaited<ReturnType<typeof state>>, fresh: string): OrgChange {
  const [a = 0, b = 0, c = 0, d = 0] = picks;
  const [first = false, second = false, third = false, fourth = false] = flags;
  const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];
  /** Every so many of a list, so that none, some or all are taken. */
  const part = <T>(list: readonly T[], at: number): T[] => list.filter((_, i) => (at >> (i % 8)) % 2 === 1);
  const departments = now.departments.map((department) => department.code);
  const department = pick(departments, a) ?? "gone";
  const to = pick(departments, b) ?? "gone";
  const active = now.employees.filter((e) => e.state === "active").map((e) => e.id);
  const left = now.employees.filter((e) => e.state === "left").map((e) => e.id);
  const somebody = pick(active, c) ?? "nobody";
  const several = [...new Set([somebody, ...part(active, d)])];
  switch (type) {
    case "hire":
      return { type, employee: (first ? pick(left, a) : undefined) ?? `X${fresh}`, name: "Hired", department: to };
    case "move":
      if (first && second) return { type, department, to: third ? null : to };
      return first
        ? { type, employees: several, to, withRights: true }
        : { type, employees: several, to: third ? null : to };
    case "leave":
      return first ? { type, employees: several.slice(0, 2) } : { type, employee: somebody };
    case "rename":
      return first ? { type, department, code: fresh } : { type, department, name: fresh, to: second ? to : fresh };
    case "merge": {
      const ending = [...new Set([department, ...(first ? [to] : [])])];
      return third
        ? { type, departments: ending, to: fresh, name: "Made" }
        : { type, departments: ending, to: pick(departments, c) ?? "gone" };
    }
    case "split": {
      const has = now.rights[`${department} @DEV`] ?? 0;
      return {
        type,
        department,
        ...(first ? { to: fresh, name: "Made" } : { to }),
        employees: part(
          now.employees.filter((e) => e.state === "active" && e.department === department),
          c,
        ).map((e) => e.id),
        ...(second && {
          devices: part(
            now.devices.filter((v) => v.department === department),
            d,
          ).map((v) => v.id),
        }),
        ...(third && {
          children: part(
            now.departments.filter((x) => x.parent === department),
            d,
          ).map((x) => x.code),
        }),
        ...(fourth && { rights: has === 0 ? [] : [{ license: "@DEV", rights: (c % has) + 1 }] }),
      };
    }
    case "dissolve":
      return first ? { type, department } : { type, department, to };
  }
}

const organisation = fc.record({
  parents: fc.array(fc.option(fc.nat()), { minLength: codes.length, maxLength: codes.length }),
  people: fc.array(fc.option(fc.nat()), { minLength: people.length, maxLength: people.length }),
  machines: fc.array(
    fc.record({
      user: fc.option(fc.nat()),
      department: fc.option(fc.nat()),
      uses: fc.subarray(Object.keys(licenses)),
    }),
    { minLength: machines.length, maxLength: machines.length },
  ),
  rights: fc.array(
    fc.record({
      department: fc.constantFrom(...codes),
      license: fc.constantFrom(...Object.keys(licenses)),
      rights: fc.nat(5),
      required: fc.nat(5),
    }),
  ),
});

async function found(s: Company, of: typeof organisation extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
  const one = <T>(list: readonly T[], at: number | null): T | null =>
    at === null ? null : (list[at % list.length] as T);
  const options = { mode: "upsert", at: s.clock.now() } as const;
  await s.db.transaction((trx) =>
    s.organization.writeDepartments(
      trx,
      codes.map((c, i) => ({
        code: c,
        name: c,
        parent: i === 0 ? null : one(codes.slice(0, i), of.parents[i] ?? null),
      })),
      options,
    ),
  );
  await s.db.transaction((trx) =>
    s.organization.writeEmployees(
      trx,
      people.map((id, i) => ({ id, name: id, department: one(codes, of.people[i] ?? null) })),
      options,
    ),
  );
  await s.db.transaction((trx) =>
    s.devices.writeDevices(
      trx,
      of.machines.map((m, i) => ({
        id: machines[i] as string,
        employee: one(people, m.user),
        department: one(codes, m.department),
      })),
      { ...options, origin: "csv" },
    ),
  );
  for (const [license, metric] of Object.entries(licenses)) await s.metric(license, metric);
  await s.record(Object.fromEntries(of.machines.map((m, i) => [machines[i] as string, m.uses])));
  for (const row of of.rights) await s.rights.set(row);
}

/** used as the ledger's lists tell it: by device, except that a user-metric licence counts each user once and a device on the hand-over list not at all. */
async function counted(s: Company): Promise<Record<string, number>> {
  const handedOver = await s.db.kysely
    .selectFrom("dev_handovers as h")
    .innerJoin("dev_devices as v", "v.ordinal", "h.device")
    .select("v.id")
    .where("h.done_at", "is", null)
    .execute();
  const waiting = new Set(handedOver.map((row) => row.id));
  const uses = new Map<string, Set<string>>();
  for (const device of (await s.devices.list({ limit: 1000 })).rows) {
    const { ordinal } = await s.db.kysely
      .selectFrom("dev_devices")
      .select("ordinal")
      .where("id", "=", device.id)
      .executeTakeFirstOrThrow();
    for (const { license } of (await s.repository.licensesOf([ordinal])).get(ordinal) ?? []) {
      const perUser = licenses[license as keyof typeof licenses] === "user";
      if (perUser && waiting.has(device.id)) continue;
      const key = `${device.countsFor ?? ""} ${license}`;
      uses.set(key, (uses.get(key) ?? new Set()).add(perUser ? (device.employee ?? device.id) : device.id));
    }
  }
  return Object.fromEntries(
    [...uses].map(([key, by]): [string, number] => [key, by.size]).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function perLicense(rows: Readonly<Record<string, number>>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [key, count] of Object.entries(rows)) {
    const license = key.split(" ")[1] as string;
    sums[license] = (sums[license] ?? 0) + count;
  }
  return Object.fromEntries(Object.entries(sums).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function state(s: Company) {
  return {
    used: await s.used(),
    rights: await s.rightsOf(),
    required: await s.rightsOf("required"),
    departments: (await s.organization.listDepartments({ limit: 1000 })).rows,
    employees: (await s.organization.listEmployees({ limit: 1000 })).rows,
    devices: (await s.devices.list({ limit: 1000, fields: "id,employee,department,countsFor" })).rows,
  };
}

class Back extends Error {
  readonly outcome: OrgOutcome;
  constructor(outcome: OrgOutcome) {
    super("back");
    this.outcome = outcome;
  }
}

forEachStore((store) => {
  describe("organisation changes keep the laws (§3, §6)", () => {
    it("over random organisations and sequences of changes", { timeout: 300_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(
          organisation,
          fc.array(fc.array(wish, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 }),
          async (of, calls) => {
            const clock = manualClock(Date.UTC(2026, 10, 1));
            const db = await store.open(clock);
            const s = createCompany(db, clock);
            await found(s, of);
            expect(await s.used()).toEqual(await counted(s));
            for (const [round, wishes] of calls.entries()) {
              clock.advance(1000);
              const before = await state(s);
              const call = wishes.map((one, i) => resolve(one, before, `N${round}${i}`));
              const preview = await db
                .transaction(async (trx) => {
                  throw new Back(await s.changes.apply(trx, call, { at: clock.now(), by: "test" }));
                })
                .catch((error: unknown) => {
                  if (error instanceof Back) return error.outcome;
                  if (!isDaichoError(error, "org-change-invalid")) throw error;
                  return undefined;
                });
              expect(await state(s)).toEqual(before);
              if (preview === undefined) {
                await expect(s.apply(...call)).rejects.toMatchObject({ code: "org-change-invalid" });
                expect(await state(s)).toEqual(before);
                continue;
              }
              expect(await s.apply(...call)).toEqual(preview);
              const after = await state(s);
              expect(after.used).toEqual(await counted(s));
              expect(await s.recounted()).toEqual(after.used);
              expect(await s.astray()).toEqual([]);
              expect(perLicense(after.rights)).toEqual(perLicense(before.rights));
              expect(perLicense(after.required)).toEqual(perLicense(before.required));
              for (const license of ["@DEV", "@CORE"])
                expect(perLicense(after.used)[license]).toBe(perLicense(before.used)[license]);
              // The preview's numbers are those of before and after.
              for (const { department, license, used, rights } of preview.positions) {
                const key = `${department} ${license}`;
                const dissolved = !after.departments.some((d) => d.code === department) && department !== "unassigned";
                expect(after.used[key] ?? 0).toBe(used.after);
                expect(after.rights[key] ?? 0).toBe(rights.after);
                if (dissolved) expect([used.after, rights.after]).toEqual([0, 0]);
              }
              // Nobody and nothing is left in a department that is gone.
              const there = new Set(after.departments.map((d) => d.code));
              for (const e of after.employees)
                if (e.state === "active" && e.department !== undefined) expect(there).toContain(e.department);
              for (const d of after.devices) if (d.department !== undefined) expect(there).toContain(d.department);
              for (const d of after.departments) if (d.parent !== undefined) expect(there).toContain(d.parent);
              const tree = new Map(after.departments.map((d) => [d.code, d.parent ?? null]));
              expect(findCycle(tree)).toBeUndefined();
            }
            await db.close();
          },
        ),
        { numRuns: Number(process.env["DAICHO_RUNS"] ?? (store.name === "sqlite" ? 40 : 6)) },
      );
    });
  });
});
