import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { manualClock, silentLog, systemClock } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { createEvents } from "../../../events.ts";
import { forEachStore } from "../../../testing/stores.ts";
import { createOrganization } from "../../organization/index.ts";
import { createEntitlements, createRights, touchPositions } from "../index.ts";
import { createPositions, createReconcile, type Recount } from "./index.ts";

async function assemble(db: Database, clock = systemClock) {
  const events = createEvents(silentLog);
  const organization = createOrganization({
    db,
    clock,
    events,
    devices: { hold: () => Promise.resolve([]), moved: () => Promise.resolve() },
  });
  const positions = createPositions({ db, clock });
  const departments = (rows: { code: string; parent?: string }[]) =>
    db.transaction((trx) =>
      organization.writeDepartments(
        trx,
        rows.map((d) => ({ name: d.code, ...d })),
        { mode: "upsert", at: 1 },
      ),
    );
  const ordinals = async (): Promise<{ department: Map<string, number>; license: Map<string, number> }> => ({
    department: new Map([
      ["unassigned", 0],
      ...(await db.kysely.selectFrom("org_departments").select(["code", "ordinal"]).execute()).map(
        (d) => [d.code, d.ordinal] as const,
      ),
    ]),
    license: new Map(
      (await db.kysely.selectFrom("lic_licenses").select(["code", "ordinal"]).execute()).map((l) => [
        l.code,
        l.ordinal,
      ]),
    ),
  });
  /** What the repository would do: sets counters and says which departments changed. */
  const use = async (counts: readonly { department: string; license: string; used: number }[], say = true) => {
    const known = await ordinals();
    await db.transaction(async (trx) => {
      for (const { department, license, used } of counts) {
        if (!known.license.has(license)) {
          const made = await trx
            .insertInto("lic_licenses")
            .values({
              code: license,
              name: license,
              metric: license.startsWith("@SITE") ? "site" : "device",
              managed: 1,
            })
            .returning("ordinal")
            .executeTakeFirstOrThrow();
          known.license.set(license, made.ordinal);
        }
        const key = { department: known.department.get(department) ?? -9, license: known.license.get(license) ?? -9 };
        await trx
          .insertInto("lic_usage")
          .values({ ...key, used })
          .onConflict((c) => c.columns(["department", "license"]).doUpdateSet({ used }))
          .execute();
      }
      if (say)
        await touchPositions(db, trx, 1, { departments: counts.map((c) => known.department.get(c.department) ?? -9) });
      else
        await trx
          .updateTable("lic_version")
          .set((eb) => ({ version: eb("version", "+", 1) }))
          .execute();
    });
  };
  const rights = createRights({ db, clock, events });
  const entitlements = createEntitlements({ db, clock, events });
  const stored: Recount = {
    recount: async () => ({ usage: await db.kysely.selectFrom("lic_usage").selectAll().execute(), devices: 0 }),
  };
  const reconcile = (repository: Recount = stored) => createReconcile({ db, clock, positions, repository });
  return { db, organization, positions, departments, use, rights, entitlements, reconcile };
}

const short = (item: { license: string; used: number; overUnder: number }): unknown[] => [
  item.license,
  item.used,
  item.overUnder,
];

forEachStore((store) => {
  describe("positions (§3)", () => {
    it("the company's position: held − used, idle where positive, Σ of rights, required and used with the unassigned", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "R" }, { code: "A", parent: "R" }, { code: "B", parent: "R" }]);
      await s.use([
        { department: "A", license: "@X", used: 3 },
        { department: "B", license: "@X", used: 2 },
        { department: "unassigned", license: "@X", used: 1 },
        { department: "A", license: "@SITE", used: 40 },
      ]);
      await s.entitlements.create({ license: "@X", quantity: 10 });
      await s.entitlements.create({ license: "@NEW", quantity: 4, metric: "user" });
      await s.rights.set({ department: "A", license: "@X", rights: 2, required: 5 });
      const { items, version, at } = await s.positions.company();
      expect(version).toBeGreaterThan(0);
      expect(Date.parse(at)).toBeGreaterThan(0);
      expect(items).toMatchObject([
        {
          license: "@NEW", name: "@NEW", metric: "user", required: 0, held: 4, rights: 0, requested: 0, used: 0,
          overUnder: 4, idle: 4, unmanaged: { preinstalled: 0, individual: 0, other: 0 },
        },
        {
          license: "@SITE", name: "@SITE", metric: "site", required: 0, held: 0, rights: 0, requested: 0, used: 40,
          overUnder: 0, idle: 0, unmanaged: { preinstalled: 0, individual: 0, other: 0 },
        },
        {
          license: "@X", name: "@X", metric: "device", required: 5, held: 10, rights: 2, requested: 0, used: 6,
          overUnder: 4, idle: 4, unmanaged: { preinstalled: 0, individual: 0, other: 0 },
        },
      ]); // prettier-ignore
      const a = await s.positions.department("A");
      expect(a.items).toMatchObject([
        { license: "@SITE", used: 40, overUnder: 0, corrected: 0, state: "fine" },
        { license: "@X", rights: 2, requested: 0, corrected: 1, used: 3, overUnder: -1, state: "alarm" },
      ]);
      expect((await s.positions.department("unassigned")).items.map(short)).toEqual([["@X", 1, -1]]);
      expect((await s.positions.department("R")).items).toEqual([]);
      expect((await s.positions.department("R", { rollup: true })).items.map(short)).toEqual([
        ["@SITE", 40, 0],
        ["@X", 5, -3],
      ]);
      await expect(s.positions.department("Z")).rejects.toMatchObject({ code: "not-found" });
    });

    it("an entitlement outside its dates is worth 0, by the clock and without any write (§5)", async () => {
      const clock = manualClock(Date.parse("2026-06-01T00:00:00Z"));
      const s = await assemble(await store.open(), clock);
      await s.entitlements.create({ license: "@X", quantity: 5, expiresAt: Date.parse("2026-06-30T23:59:59.999Z") });
      await s.entitlements.create({ license: "@X", quantity: 7, startsAt: Date.parse("2026-06-15T00:00:00Z") });
      const held = async () => (await s.positions.company()).items[0]?.held;
      expect(await held()).toBe(5);
      clock.advance(20 * 86_400_000);
      expect(await held()).toBe(12);
      clock.advance(20 * 86_400_000);
      expect(await held()).toBe(7);
      clock.advance(1000 * 86_400_000);
      expect(await held()).toBe(7);
    });

    it("any order of changes ends in the numbers that a fresh reader finds, and the laws hold at every step", async () => {
      const s = await assemble(await store.open());
      const codes = ["R", "A", "B", "C", "D"];
      await s.departments(
        codes.map((code, i) => ({ code, ...(i > 0 && { parent: codes[Math.floor((i - 1) / 2)] as string }) })),
      );
      const department = fc.constantFrom(...codes);
      const license = fc.constantFrom("@X", "@Y", "@SITE1");
      const step = fc.oneof(
        fc.record({
          kind: fc.constant("use" as const),
          department: fc.oneof(department, fc.constant("unassigned")),
          license,
          used: fc.nat(9),
          say: fc.boolean(),
        }),
        fc.record({ kind: fc.constant("rights" as const), department, license, rights: fc.nat(9) }),
        fc.record({ kind: fc.constant("buy" as const), license, quantity: fc.nat(9) }),
        fc.record({
          kind: fc.constant("move" as const),
          department: fc.constantFrom("C", "D"),
          parent: fc.constantFrom("A", "B", "R"),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
          for (const it of steps) {
            if (it.kind === "use") await s.use([it], it.say);
            else if (it.kind === "rights")
              await s.rights.set({ department: it.department, license: it.license, rights: it.rights });
            else if (it.kind === "buy") await s.entitlements.create({ license: it.license, quantity: it.quantity });
            else await s.organization.saveDepartment({ code: it.department, parent: it.parent }, "change");
            if (it.kind === "use" && it.used % 3 === 0) await s.positions.company();
          }
          const fresh = createPositions({ db: s.db, clock: systemClock });
          const company = await s.positions.company();
          expect(company.items).toEqual((await fresh.company()).items);
          const all = [...(await s.positions.departments()).items];
          expect(all).toEqual([...(await fresh.departments()).items]);
          // §3: Σ departments' used = company used, and the root's roll-up with the unassigned is everything.
          for (const item of company.items) {
            const parts = all.filter((d) => d.license === item.license);
            expect(parts.reduce((sum, d) => sum + d.used, 0)).toBe(item.used);
            expect(parts.reduce((sum, d) => sum + d.rights, 0)).toBe(item.rights);
          }
          const root = await s.positions.department("R", { rollup: true });
          const rest = await s.positions.department("unassigned");
          for (const item of company.items) {
            const used = (list: readonly { license: string; used: number }[]) =>
              list.find((d) => d.license === item.license)?.used ?? 0;
            expect(used(root.items) + used(rest.items)).toBe(item.used);
          }
          expect((await s.reconcile()()).differences).toEqual([]);
        }),
        { numRuns: 8 },
      );
    });

    it("a writer reads what it wrote, whoever else reads at the same time", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "A" }]);
      await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const license = `@L${i}`;
          await s.rights.set({ department: "A", license, rights: i + 1 });
          const mine = (await s.positions.department("A")).items.find((item) => item.license === license);
          expect(mine?.rights).toBe(i + 1);
        }),
      );
    });

    it("a licence that is not managed is not shown", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "A" }]);
      await s.use([{ department: "A", license: "@X", used: 3 }]);
      await s.db.transaction(async (trx) => {
        await trx.updateTable("lic_licenses").set({ managed: 0 }).execute();
        await touchPositions(s.db, trx, 1, {});
      });
      expect((await s.positions.company()).items).toEqual([]);
      expect([...(await s.positions.departments()).items]).toEqual([]);
    });

    it("500 departments × 300 licences: every position equals an independent addition", async () => {
      const s = await assemble(await store.open());
      const code = (d: number) => `D${String(d).padStart(3, "0")}`;
      await s.departments(
        Array.from({ length: 500 }, (_, d) => ({
          code: code(d),
          ...(d > 0 && { parent: code(Math.floor((d - 1) / 5)) }),
        })),
      );
      const ordinal = new Map(
        (await s.db.kysely.selectFrom("org_departments").select(["code", "ordinal"]).execute()).map((d) => [
          d.code,
          d.ordinal,
        ]),
      );
      const used = (d: number, l: number): number => ((d * 7919 + l * 104_729) % 23) - 3;
      await s.db.transaction(async (trx) => {
        await s.db.bulk.insert(
          trx,
          {
            table: "lic_licenses",
            columns: [
              { name: "code", type: "text" },
              { name: "name", type: "text" },
              { name: "metric", type: "text" },
            ],
          },
          Array.from({ length: 300 }, (_, l) => [`@L${String(l).padStart(3, "0")}`, `Licence ${l}`, "device"]),
        );
        const first = (
          await trx.selectFrom("lic_licenses").select("ordinal").orderBy("ordinal").executeTakeFirstOrThrow()
        ).ordinal;
        for (let d = 0; d < 500; d++)
          await s.db.bulk.insert(
            trx,
            {
              table: "lic_usage",
              columns: [
                { name: "department", type: "integer" },
                { name: "license", type: "integer" },
                { name: "used", type: "integer" },
              ],
            },
            Array.from({ length: 300 }, (_, l) => [ordinal.get(code(d)) ?? 0, first + l, Math.max(0, used(d, l))]),
          );
        await touchPositions(s.db, trx, 1, { everything: true });
      });
      const company = await s.positions.company();
      for (const l of [0, 17, 299]) {
        let sum = 0;
        for (let d = 0; d < 500; d++) sum += Math.max(0, used(d, l));
        expect(company.items[l]?.used).toBe(sum);
      }
      const below = (d: number): number[] => [
        d,
        ...[1, 2, 3, 4, 5]
          .map((i) => d * 5 + i)
          .filter((c) => c < 500)
          .flatMap(below),
      ];
      for (const d of [0, 1, 7, 499]) {
        const sum = below(d).reduce((total, each) => total + Math.max(0, used(each, 42)), 0);
        const items = (await s.positions.department(code(d), { rollup: true })).items;
        expect(items.find((item) => item.license === "@L042")?.used ?? 0).toBe(sum);
      }
      let total = 0;
      for (const item of (await s.positions.departments()).items) total += item.used;
      expect(total).toBe(company.items.reduce((sum, item) => sum + item.used, 0));
    });
  });

  describe("reconcile (§3)", () => {
    it("finds a stored total that is not what the devices use, and names it", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "A" }]);
      await s.use([
        { department: "A", license: "@X", used: 3 },
        { department: "unassigned", license: "@X", used: 1 },
      ]);
      const truth = await s.db.kysely.selectFrom("lic_usage").selectAll().execute();
      const reconcile = s.reconcile({ recount: () => Promise.resolve({ usage: truth, devices: 4 }) });
      expect(await reconcile()).toMatchObject({ devices: 4, differences: [] });
      await s.use([{ department: "A", license: "@X", used: 5 }]);
      expect((await reconcile()).differences).toEqual([
        { law: "stored-equals-recomputed", department: "A", license: "@X", stored: 5, recomputed: 3 },
      ]);
    });

    it("finds positions that do not show what is stored", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "A" }]);
      await s.use([{ department: "A", license: "@X", used: 3 }]);
      await s.positions.company();
      await s.db.kysely.updateTable("lic_usage").set({ used: 4 }).execute();
      const laws = (await s.reconcile()()).differences.map((d) => d.law);
      expect(laws).toContain("shown-equals-stored");
      expect(laws).toContain("departments-sum-to-company");
    });

    it("finds an interval that counts for another department than its device's, and a wrong count of users", async () => {
      const s = await assemble(await store.open());
      await s.departments([{ code: "A" }]);
      await s.db.kysely
        .insertInto("dev_devices")
        .values({
          id: "P1",
          hostname: "p",
          state: "in-use",
          origin: "csv",
          created_at: 0,
          serial: null,
          employee: null,
          department: 1,
          manager: null,
        })
        .execute();
      await s.db.kysely
        .insertInto("lic_repository")
        .values({ device: 1, since: 0, employee: null, department: 0, licenses: Buffer.alloc(0), cause: 1 })
        .execute();
      await s.db.kysely
        .insertInto("lic_user_usage")
        .values({ employee: 1, department: 1, license: 1, devices: 2 })
        .execute();
      const reconcile = s.reconcile({
        recount: () =>
          Promise.resolve({ usage: [], users: [{ employee: 1, department: 1, license: 1, devices: 1 }], devices: 1 }),
      });
      expect((await reconcile()).differences).toEqual([
        { law: "user-counts-equal-recomputed", department: "A", license: "#1", employee: 1, stored: 2, recomputed: 1 },
        { law: "interval-counts-for-its-department", device: "P1", stored: "unassigned", recomputed: "A" },
      ]);
    });
  });
});
