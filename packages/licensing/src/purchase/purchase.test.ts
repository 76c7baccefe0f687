import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  followClaims,
  planLicense,
  planPurchases,
  poolOrders,
  shareOut,
  tierFaults,
  tierPrice,
  type DepartmentToPlan,
  type LicensePlan,
  type LicenseToPlan,
  type PriceTier,
  type RunClaim,
} from "./index.ts";

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** `D001 1/2` = rights 1, used 2; `+3` = requested 3. */
function departments(text: string): DepartmentToPlan[] {
  return text.split(",").map((part) => {
    const [, department, rights, used, requested] = /^\s*(\S+) (\d+)\/(\d+)(?:\+(\d+))?\s*$/.exec(part) ?? [];
    return {
      department: department ?? "",
      rights: Number(rights),
      used: Number(used),
      requested: Number(requested ?? 0),
    };
  });
}

/** The departments as they are after the run. */
function applied(rows: readonly DepartmentToPlan[], plan: LicensePlan): DepartmentToPlan[] {
  const changes = new Map(plan.rights.map((change) => [change.department, change]));
  return rows.map((row) => {
    const change = changes.get(row.department);
    return change === undefined ? row : { ...row, rights: change.after, requested: change.requestedAfter };
  });
}

describe("the worked examples (domain.md §7)", () => {
  it.each<{
    name: string;
    price: number;
    held: number;
    before: string;
    order: [quantity: number, amount: number] | undefined;
    pay: Record<string, number>;
    after: string;
    saved: number;
  }>([
    {
      name: "A",
      price: 1000,
      held: 2,
      before: "D001 1/2, D002 2/1, D003 0/1",
      order: [2, 2000],
      pay: { D001: 1000, D003: 1000 },
      after: "D001 2/2, D002 1/1, D003 1/1",
      saved: 0,
    },
    {
      name: "B",
      price: 500,
      held: 3,
      before: "D001 0/1, D002 1/1, D003 2/0, D004 0/1, D005 0/1",
      order: [1, 500],
      pay: { D001: 167, D004: 167, D005: 166 },
      after: "D001 1/1, D002 1/1, D003 0/0, D004 1/1, D005 1/1",
      saved: 2,
    },
    {
      name: "idle rights suffice: nothing is bought and nobody pays",
      price: 500,
      held: 3,
      before: "D001 0/2, D002 3/1",
      order: undefined,
      pay: {},
      after: "D001 2/2, D002 1/1",
      saved: 2,
    },
    {
      name: "one yen over three departments goes to the first",
      price: 1,
      held: 2,
      before: "D001 0/1, D002 0/1, D003 0/1",
      order: [1, 1],
      pay: { D001: 1, D002: 0, D003: 0 },
      after: "D001 1/1, D002 1/1, D003 1/1",
      saved: 2,
    },
    {
      name: "rights were given out that were never bought: who uses it pays",
      price: 100,
      held: 1,
      before: "D001 3/2, D002 1/1",
      order: [2, 200],
      pay: { D001: 133, D002: 67 },
      after: "D001 2/2, D002 1/1",
      saved: 0,
    },
    {
      name: "requested falls by what is granted, not below nothing, and the rest waits",
      price: 100,
      held: 0,
      before: "D001 0/2+5, D002 0/3+1, D003 0/0+4",
      order: [5, 500],
      pay: { D001: 200, D002: 300 },
      after: "D001 2/2+3, D002 3/3, D003 0/0+4",
      saved: 0,
    },
    {
      name: "unassigned takes part like any department",
      price: 10,
      held: 0,
      before: "unassigned 0/1, A 0/2",
      order: [3, 30],
      pay: { A: 20, unassigned: 10 },
      after: "unassigned 1/1, A 2/2",
      saved: 0,
    },
  ])("$name", ({ price, held, before, order, pay, after, saved }) => {
    const rows = departments(before);
    const plan = planLicense({ license: "L", held, price: { unitPrice: price, currency: "JPY" } }, rows);
    expect(plan.order && [plan.order.quantity, plan.order.amount]).toEqual(order);
    expect(Object.fromEntries(plan.chargebacks.map((c) => [c.department, c.amount]))).toEqual(pay);
    expect(applied(rows, plan)).toEqual(departments(after));
    expect(plan.savedByIdle).toBe(saved);
    expect(plan.skipped).toBeUndefined();
  });

  it("buys whole packs; what is left of the last one is held, and the next run uses it up", () => {
    const rows = departments("D001 0/3, D002 0/2");
    const price = { unitPrice: 1000, currency: "EUR", packSize: 4 };
    const plan = planLicense({ license: "L", held: 0, price }, rows);
    expect(plan.order).toEqual({ quantity: 2, amount: 2000, ...price });
    expect(plan.chargebacks.map(({ amount }) => amount)).toEqual([1200, 800]);
    expect(applied(rows, plan)).toEqual(departments("D001 3/3, D002 2/2"));
    const more = planLicense({ license: "L", held: 8, price }, departments("D001 3/6, D002 2/2"));
    expect([more.order, more.savedByIdle]).toEqual([undefined, 3]);
  });

  it("plans all licences in the order of their codes", () => {
    const row = { rights: 0, used: 1, requested: 0 };
    const price = { unitPrice: 1250, currency: "EUR" };
    const { licenses } = planPurchases({
      licenses: [
        { license: "@B", held: 0, price },
        { license: "@A", held: 1, price },
      ],
      departments: [
        { license: "@B", department: "D2", ...row },
        { license: "@A", department: "D1", ...row },
        { license: "@B", department: "D1", ...row },
      ],
    });
    expect(licenses.map((plan) => [plan.license, plan.order?.amount])).toEqual([
      ["@A", undefined],
      ["@B", 2500],
    ]);
  });
});

describe("what is not bought", () => {
  const price = { unitPrice: 100, currency: "JPY" };
  const plan = (license: Partial<LicenseToPlan>, before: string): [LicensePlan, DepartmentToPlan[]] => {
    const rows = departments(before);
    const made = planLicense({ license: "L", held: 0, ...license }, rows);
    return [made, applied(rows, made)];
  };

  it("what is never short is neither bought nor granted; its idle rights come back", () => {
    const [made, after] = plan({ unlimited: true, price, held: 1 }, "D001 5/2, D002 0/9+3");
    expect(made).toMatchObject({ chargebacks: [], savedByIdle: 0 });
    expect([made.order, made.skipped]).toEqual([undefined, undefined]);
    expect(after).toEqual(departments("D001 2/2, D002 0/9+3"));
  });

  it.each<[string, Partial<LicenseToPlan>, LicensePlan["skipped"]]>([
    ["no price is known", {}, { reason: "price-unknown", quantity: 4 }],
    ["the group buys it", { price, pooled: true }, { reason: "bought-by-group", quantity: 4 }],
    [
      "its amount would not be exact",
      { price: { unitPrice: Number.MAX_SAFE_INTEGER, currency: "JPY" } },
      { reason: "amount-too-large", quantity: 4 },
    ],
  ])("where %s, idle rights are handed out and it says how many are lacking", (_, license, skipped) => {
    const [made, after] = plan({ held: 4, ...license }, "D001 3/1, D002 1/4+2, D003 0/3");
    expect(made.skipped).toEqual(skipped);
    expect(made.order).toBeUndefined();
    expect(made.chargebacks).toEqual([]);
    // 4 held, 2 kept: the 2 that are left go to the 3 + 3 that are lacking, one each.
    expect(after).toEqual(departments("D001 1/1, D002 2/4+1, D003 1/3"));
    expect(made.savedByIdle).toBe(2);
  });

  it("where more rights are out than are held, all keep their part of what is held", () => {
    const [, after] = plan({ held: 3 }, "D001 4/4, D002 2/2, D003 0/5");
    expect(after).toEqual(departments("D001 2/4, D002 1/2, D003 0/5"));
  });
});

const count = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 1_000_000_000 }));
const rowsOf = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 30 })
  .chain((codes) =>
    fc.tuple(
      ...codes.map((department) =>
        fc.record({ department: fc.constant(department), used: count, rights: count, requested: count }),
      ),
    ),
  ) as fc.Arbitrary<DepartmentToPlan[]>;
const priceOf = fc.record({
  unitPrice: fc.oneof(fc.integer({ min: 0, max: 1500 }), fc.integer({ min: 0, max: 1_000_000_000_000 })),
  currency: fc.constantFrom("JPY", "EUR", "USD"),
});
const licenseOf: fc.Arbitrary<LicenseToPlan> = fc.record({
  license: fc.constant("L"),
  held: count,
  unlimited: fc.boolean(),
  pooled: fc.boolean(),
  price: fc.option(priceOf, { nil: undefined }),
});

describe("the laws of a run (domain.md §3, §7)", () => {
  const law = (check: (license: LicenseToPlan, rows: DepartmentToPlan[], plan: LicensePlan) => void): void =>
    fc.assert(
      fc.property(licenseOf, rowsOf, (license, rows) => check(license, rows, planLicense(license, rows))),
      { numRuns: 500 },
    );

  it("purchase = max(0, Σ used − held), unless it is never short or skipped", () =>
    law((license, rows, plan) => {
      const short = license.unlimited === true ? 0 : Math.max(0, total(rows.map((r) => r.used)) - license.held);
      expect((plan.order?.quantity ?? 0) + (plan.skipped?.quantity ?? 0)).toBe(short);
      if (plan.order) expect(plan.order.amount).toBe(plan.order.quantity * plan.order.unitPrice);
    }));

  it("Σ chargebacks = amount, and each is within 1 of its exact part", () =>
    law((_, rows, { order, chargebacks }) => {
      expect(total(chargebacks.map((c) => c.amount))).toBe(order?.amount ?? 0);
      const granted = total(chargebacks.map((c) => c.quantity));
      for (const { amount, quantity, department } of chargebacks) {
        const used = rows.find((row) => row.department === department)?.used ?? 0;
        const [weight, all] = granted > 0 ? [quantity, granted] : [used, total(rows.map((row) => row.used))];
        const off = BigInt(amount) * BigInt(all) - BigInt(order?.amount ?? 0) * BigInt(weight);
        expect(off > -BigInt(all) && off < BigInt(all)).toBe(true);
      }
    }));

  it("departments that are granted nothing pay nothing, where anybody is granted anything", () =>
    law((_, rows, { chargebacks }) => {
      const lacking = new Set(rows.filter((row) => row.used > row.rights).map((row) => row.department));
      if (lacking.size > 0) for (const { department } of chargebacks) expect(lacking).toContain(department);
    }));

  it("Σ rights ≤ held, and rights = used everywhere unless it is never short or skipped", () =>
    law((license, rows, plan) => {
      const after = applied(rows, plan);
      if (license.unlimited === true) for (const row of after) expect(row.rights).toBeLessThanOrEqual(row.used);
      else
        expect(total(after.map((row) => row.rights))).toBeLessThanOrEqual(license.held + (plan.order?.quantity ?? 0));
      if (license.unlimited !== true && plan.skipped === undefined)
        for (const row of after) expect(row.rights).toBe(row.used);
      for (const row of after) {
        expect(row.rights).toBeGreaterThanOrEqual(0);
        expect(row.rights).toBeLessThanOrEqual(row.used);
      }
    }));

  it("requested falls by what is granted, not below nothing, and by nothing else", () =>
    law((_, rows, plan) => {
      const before = new Map(rows.map((row) => [row.department, row]));
      for (const row of applied(rows, plan)) {
        const was = before.get(row.department) as DepartmentToPlan;
        expect(row.requested).toBe(Math.max(0, was.requested - Math.max(0, row.rights - was.rights)));
      }
    }));

  it("what idle rights saved and what is bought make up what is granted", () =>
    law((_license, _rows, plan) => {
      const granted = total(plan.rights.map((change) => Math.max(0, change.after - change.before)));
      expect(plan.savedByIdle).toBe(Math.max(0, granted - (plan.order?.quantity ?? 0)));
    }));

  it("a second run over the result buys and moves nothing", () =>
    law((license, rows, plan) => {
      const again = planLicense({ ...license, held: license.held + (plan.order?.quantity ?? 0) }, applied(rows, plan));
      expect(again.order).toBeUndefined();
      expect(again.chargebacks).toEqual([]);
      expect(again.savedByIdle).toBe(0);
      expect(again.rights).toEqual([]);
    }));

  it("the order of the input is irrelevant", () =>
    fc.assert(
      fc.property(licenseOf, rowsOf, fc.nat(), (license, rows, turn) => {
        const at = rows.length === 0 ? 0 : turn % rows.length;
        const turned = [...rows.slice(at), ...rows.slice(0, at)].reverse();
        expect(planLicense(license, turned)).toEqual(planLicense(license, rows));
      }),
    ));
});

describe("sharing out", () => {
  it("is exact where products have more digits than a number", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const weights = [
      { code: "a", weight: most },
      { code: "b", weight: most },
      { code: "c", weight: most },
    ];
    expect(shareOut(most, weights)).toEqual([3002399751580331, 3002399751580330, 3002399751580330]);
    expect(total(shareOut(most, weights))).toBe(most);
  });

  it("refuses what is no whole amount and what has nobody to go to", () => {
    for (const amount of [-1, 0.5, NaN, Infinity, 2 ** 53])
      expect(() => shareOut(amount, [{ code: "a", weight: 1 }])).toThrow(RangeError);
    expect(() => shareOut(1, [{ code: "a", weight: 0 }])).toThrow(RangeError);
    expect(() => shareOut(1, [])).toThrow(RangeError);
    expect(shareOut(0, [{ code: "a", weight: 0 }])).toEqual([0]);
  });
});

describe("a group's order", () => {
  const tiers: PriceTier[] = [
    { from: 1, unitPrice: 1000 },
    { from: 10, unitPrice: 900 },
    { from: 100, unitPrice: 750 },
  ];

  it("has the price of the tier its whole quantity reaches, and shares the saving to the last minor unit", () => {
    const demands = [
      { company: "c", quantity: 3 },
      { company: "a", quantity: 90 },
      { company: "b", quantity: 7 },
      { company: "d", quantity: 0 },
    ];
    // Alone: 90 × 900 + 7 × 1000 + 3 × 1000 = 91,000; together 100 × 750.
    expect(poolOrders(demands, tiers)).toEqual({
      quantity: 100,
      unitPrice: 750,
      amount: 75_000,
      alone: 91_000,
      saving: 16_000,
      shares: [
        { company: "a", quantity: 90, amount: 67_500, alone: 81_000, saving: 14_400 },
        { company: "b", quantity: 7, amount: 5250, alone: 7000, saving: 1120 },
        { company: "c", quantity: 3, amount: 2250, alone: 3000, saving: 480 },
      ],
    });
    expect(poolOrders([{ company: "a", quantity: 0 }], tiers)).toBeUndefined();
    expect(poolOrders([{ company: "a", quantity: 1e9 }], [{ from: 1, unitPrice: 1e12 }])).toBe("amount-too-large");
  });

  it("amounts and savings add up, each within 1 of its part, whatever the tiers", () => {
    const someTiers = fc
      .array(fc.record({ step: fc.integer({ min: 1, max: 50 }), less: fc.integer({ min: 0, max: 300 }) }), {
        maxLength: 6,
      })
      .map((steps) => {
        const out: PriceTier[] = [{ from: 1, unitPrice: 2000 }];
        for (const { step, less } of steps) {
          const { from, unitPrice } = out[out.length - 1] as PriceTier;
          out.push({ from: from + step, unitPrice: unitPrice - less });
        }
        return out;
      });
    const someDemands = fc.uniqueArray(
      fc.record({ company: fc.string({ minLength: 1, maxLength: 5 }), quantity: fc.nat(200) }),
      { selector: (demand) => demand.company, maxLength: 12 },
    );
    fc.assert(
      fc.property(someDemands, someTiers, (demands, list) => {
        expect(tierFaults(list)).toEqual([]);
        const order = poolOrders(demands, list);
        const wanted = total(demands.map((demand) => demand.quantity));
        if (order === undefined || order === "amount-too-large") return void expect(wanted).toBe(0);
        expect(order.quantity).toBe(wanted);
        expect(order.amount).toBe(wanted * tierPrice(list, wanted));
        expect(order.saving).toBeGreaterThanOrEqual(0);
        for (const field of ["quantity", "amount", "alone", "saving"] as const)
          expect(total(order.shares.map((share) => share[field]))).toBe(order[field]);
        for (const share of order.shares)
          expect(Math.abs(share.saving - (order.saving * share.quantity) / wanted)).toBeLessThan(1);
      }),
    );
  });

  it("names what is wrong with tiers", () => {
    expect(tierFaults([{ from: 2, unitPrice: 1 }])).toMatchObject([{ place: 0 }]);
    expect(
      tierFaults([
        { from: 1, unitPrice: 5 },
        { from: 1, unitPrice: 4 },
        { from: 9, unitPrice: 6 },
      ]),
    ).toMatchObject([{ place: 1 }, { place: 2 }]);
  });
});

describe("what runs gave, after rights were moved on", () => {
  const departments = 4;
  const one = fc.nat(departments - 1);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ run: fc.array(fc.integer({ min: -3, max: 4 }), { minLength: departments, maxLength: departments }) }) }, // prettier-ignore
    { weight: 6, arbitrary: fc.record({ from: one, to: one, rights: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.record({ from: one, to: one }) },
  );

  it("can be taken back, run by run, newest first, and nobody ever has less than none", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { minLength: departments, maxLength: departments }),
        fc.array(step),
        (begin, steps) => {
          const rights = [...begin];
          const runs: string[] = [];
          let claims: RunClaim[] = [];
          for (const did of steps) {
            if ("run" in did) {
              const run = String(runs.length);
              runs.unshift(run);
              for (const [department, change] of did.run.entries()) {
                const given = Math.max(change, -(rights[department] as number));
                rights[department] = (rights[department] as number) + given;
                claims.push({ run, department, license: 1, rights: given });
              }
              continue;
            }
            const { from, to } = did;
            if (from === to) continue;
            const has = rights[from] as number;
            const taken = "rights" in did ? Math.min(did.rights, has) : has;
            rights[from] = has - taken;
            rights[to] = (rights[to] as number) + taken;
            if ("rights" in did) {
              const moved = followClaims([{ from, to, license: 1, rights: taken, left: has - taken }], claims, runs);
              expect(total(moved.map((one) => one.rights))).toBeLessThanOrEqual(taken);
              for (const { run, license, rights: n } of moved) {
                expect(n).toBeGreaterThan(0);
                claims.push(
                  { run, license, department: from, rights: -n },
                  { run, license, department: to, rights: n },
                );
              }
            } else claims = claims.map((claim) => (claim.department === from ? { ...claim, department: to } : claim));
          }
          expect(total(rights) - total(claims.map((claim) => claim.rights))).toBe(total(begin));
          for (const run of runs) {
            for (const claim of claims)
              if (claim.run === run) rights[claim.department] = (rights[claim.department] as number) - claim.rights;
            expect(Math.min(...rights), `${run} of ${runs}`).toBeGreaterThanOrEqual(0);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("several moves at once are one after the other", () => {
    const claims = [{ run: "1", department: 1, license: 1, rights: 3 }];
    const moves = [
      { from: 1, to: 2, license: 1, rights: 2, left: 1 },
      { from: 2, to: 3 },
      { from: 3, to: 4, license: 1, rights: 1, left: 1 },
    ];
    expect(followClaims(moves, claims, ["1"])).toEqual([
      { run: "1", license: 1, from: 1, to: 2, rights: 2 },
      { run: "1", license: 1, from: 3, to: 4, rights: 1 },
    ]);
  });
});
