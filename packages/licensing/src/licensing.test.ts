import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { metrics } from "@daicho/protocol";
import {
  addCounts,
  childrenOf,
  companyPosition,
  compareCompany,
  compareUsed,
  departmentPosition,
  departmentState,
  findCycle,
  heldAt,
  metricBought,
  noCounts,
  rollUp,
  subtree,
  total,
  worse,
  type Counts,
} from "./index.ts";

const count = fc.integer({ min: 0, max: 1_000_000 });
const counts: fc.Arbitrary<Counts> = fc.record({ used: count, rights: count, required: count, requested: count });
const metric = fc.constantFrom(...metrics);
const limited = fc.constantFrom("device", "user", "core", "processor" as const);

/** Department i has a parent below i or none: acyclic by construction, then relabelled so that order says nothing. */
const tree = fc
  .integer({ min: 1, max: 60 })
  .chain((size) =>
    fc.record({
      parents: fc.tuple(
        ...Array.from({ length: size }, (_, i) => (i === 0 ? fc.constant(null) : fc.option(fc.nat(i - 1)))),
      ),
      order: fc.shuffledSubarray(
        Array.from({ length: size }, (_, i) => i),
        { minLength: size, maxLength: size },
      ),
      counts: fc.array(counts, { minLength: size, maxLength: size }),
    }),
  )
  .map(({ parents, order, counts: values }) => ({
    parents: new Map(order.map((i) => [i, parents[i] ?? null])),
    counts: new Map(values.map((value, i) => [i, value])),
  }));

describe("company position (§3)", () => {
  it("over/under is held − used, and idle is its positive part", () => {
    fc.assert(
      fc.property(limited, count, counts, (m, held, c) => {
        const p = companyPosition({ metric: m, holding: { held, unlimited: false }, counts: c });
        expect(p.overUnder).toBe(held - c.used);
        expect(p.idle).toBe(Math.max(0, p.overUnder));
        expect([p.used, p.rights, p.required, p.requested]).toEqual([c.used, c.rights, c.required, c.requested]);
      }),
    );
  });

  it("site and free are counted and never short (§5)", () => {
    fc.assert(
      fc.property(fc.constantFrom("site", "free" as const), count, counts, (m, held, c) => {
        const p = companyPosition({ metric: m, holding: { held, unlimited: false }, counts: c });
        expect(p.overUnder).toBe(Math.max(0, held - c.used));
        expect(p.used).toBe(c.used);
        expect(p.held).toBe(held);
        const d = departmentPosition({ metric: m, holding: { held, unlimited: false }, counts: c });
        expect(d.overUnder).toBeGreaterThanOrEqual(0);
        expect([d.state, d.corrected]).toEqual(["fine", 0]);
      }),
    );
  });

  it("a valid site entitlement keeps a licence of any metric from being short; an expired one does not (§5)", () => {
    const entitlements = [{ metric: "site", quantity: 1, expiresAt: 100 } as const];
    const position = (at: number) =>
      companyPosition({ metric: "device", holding: heldAt(entitlements, at), counts: { ...noCounts, used: 50 } });
    expect(position(100)).toMatchObject({ held: 1, overUnder: 0 });
    expect(position(101)).toMatchObject({ held: 0, overUnder: -50, idle: 0 });
  });
});

describe("entitlements at a date (§5)", () => {
  it("outside its dates an entitlement is worth 0, on both sides and whatever its metric", () => {
    fc.assert(
      fc.property(metric, count, fc.integer(), fc.nat(), fc.integer(), (m, quantity, startsAt, length, at) => {
        const expiresAt = startsAt + length;
        const inside = startsAt <= at && at <= expiresAt;
        const holding = heldAt([{ metric: m, quantity, startsAt, expiresAt }], at);
        expect(holding.held).toBe(inside ? quantity : 0);
        expect(holding.unlimited).toBe(inside && (m === "site" || m === "free"));
      }),
    );
  });

  it("without dates it is always valid, and quantities add up", () => {
    const perpetual = { metric: "device", quantity: 3, startsAt: null, expiresAt: null } as const;
    expect(heldAt([perpetual, perpetual], 0)).toEqual({ held: 6, unlimited: false });
    expect(heldAt([], 0)).toEqual({ held: 0, unlimited: false });
  });
});

describe("the metric that was bought", () => {
  const bought = fc.array(fc.record({ metric, at: fc.nat(20) }), { maxLength: 8 });

  it("is the newest one's, whatever the order, and one without a limit only where all are without", () => {
    fc.assert(
      fc.property(bought, fc.nat(), (all, turn) => {
        const found = metricBought(all);
        const turned = [...all.slice(turn % (all.length + 1)), ...all.slice(0, turn % (all.length + 1))].reverse();
        expect(metricBought(turned)).toBe(found);
        const finite = all.filter((one) => one.metric !== "site" && one.metric !== "free");
        const deciding = finite.length > 0 ? finite : all;
        const newest = Math.max(...deciding.map((one) => one.at));
        if (all.length === 0) expect(found).toBeUndefined();
        else expect(deciding.filter((one) => one.at === newest).map((one) => one.metric)).toContain(found);
      }),
    );
  });
});

describe("department position (§3, §5.4, §7)", () => {
  it("over/under is rights − used, corrected its shortfall", () => {
    fc.assert(
      fc.property(limited, counts, (m, c) => {
        const p = departmentPosition({ metric: m, holding: { held: 0, unlimited: false }, counts: c });
        expect(p.overUnder).toBe(c.rights - c.used);
        expect(p.corrected).toBe(c.used > c.rights ? c.used - c.rights : 0);
      }),
    );
  });

  it("used ≤ rights is fine, up to rights + requested within the application, above it an alarm", () => {
    expect(departmentState({ used: 2, rights: 2, requested: 0 })).toBe("fine");
    expect(departmentState({ used: 3, rights: 2, requested: 1 })).toBe("within-application");
    expect(departmentState({ used: 4, rights: 2, requested: 1 })).toBe("alarm");
    expect(worse("within-application", "alarm")).toBe("alarm");
    expect(worse("within-application", "fine")).toBe("within-application");
  });
});

describe("the department tree", () => {
  it("a department's roll-up is the sum over its subtree", () => {
    fc.assert(
      fc.property(tree, ({ parents, counts: values }) => {
        const sums = rollUp(parents, values);
        const children = childrenOf(parents);
        for (const node of parents.keys())
          expect(sums.get(node)).toEqual(total(subtree(children, node).map((n) => values.get(n) ?? noCounts)));
      }),
    );
  });

  it("the roll-ups of all roots add up to everything (§3)", () => {
    fc.assert(
      fc.property(tree, ({ parents, counts: values }) => {
        const sums = rollUp(parents, values);
        const roots = [...parents].filter(([, parent]) => parent === null).map(([node]) => node);
        expect(total(roots.map((r) => sums.get(r) ?? noCounts))).toEqual(total(values.values()));
      }),
    );
  });

  it("a cycle is found and named, and an acyclic tree has none", () => {
    expect(
      findCycle(
        new Map([
          ["a", "b"],
          ["b", "c"],
          ["c", "b"],
          ["d", null],
        ]),
      )?.toSorted(),
    ).toEqual(["b", "c"]);
    expect(findCycle(new Map([["a", "a"]]))).toEqual(["a"]);
    fc.assert(fc.property(tree, ({ parents }) => void expect(findCycle(parents)).toBeUndefined()));
    expect(() =>
      rollUp(
        new Map([
          ["a", "b"],
          ["b", "a"],
        ]),
        new Map(),
      ),
    ).toThrow(RangeError);
  });

  it("a chain of 100,000 departments is no problem", () => {
    const parents = new Map(Array.from({ length: 100_000 }, (_, i) => [i, i === 0 ? null : i - 1]));
    expect(findCycle(parents)).toBeUndefined();
    expect(rollUp(parents, new Map([[99_999, { ...noCounts, used: 1 }]])).get(0)?.used).toBe(1);
    expect(subtree(childrenOf(parents), 0)).toHaveLength(100_000);
  });
});

describe("the laws (§3)", () => {
  const rows = fc.uniqueArray(
    fc.record({
      department: fc.nat(20),
      license: fc.constantFrom("@A", "@B", "@C"),
      used: fc.integer({ min: 0, max: 50 }),
    }),
    { selector: (r) => `${r.department} ${r.license}` },
  );

  it("equal numbers break no law, in whatever order and with or without rows of 0", () => {
    fc.assert(
      fc.property(rows, (r) => {
        expect(
          compareUsed(
            r,
            r.toReversed().filter((row) => row.used !== 0),
          ),
        ).toEqual([]);
        expect(
          compareUsed(
            r.filter((row) => row.used !== 0),
            r,
          ),
        ).toEqual([]);
      }),
    );
  });

  it("any single changed number is found, with its place", () => {
    fc.assert(
      fc.property(
        rows.filter((r) => r.length > 0),
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        (r, which, by) => {
          const at = which % r.length;
          const changed = r.map((row, i) => (i === at ? { ...row, used: row.used + by } : row));
          const { department, license, used } = r[at] ?? { department: 0, license: "", used: 0 };
          expect(compareUsed(changed, r)).toEqual([
            { law: "stored-equals-recomputed", department, license, stored: used + by, recomputed: used },
          ]);
        },
      ),
    );
  });

  it("Σ departments' used = company used, with the unassigned (department 0) among them", () => {
    const departments = [
      { department: 0, license: "@A", used: 2 },
      { department: 4, license: "@A", used: 3 },
    ];
    expect(compareCompany(new Map([["@A", 5]]), departments)).toEqual([]);
    expect(compareCompany(new Map([["@A", 3]]), departments)).toEqual([
      { law: "departments-sum-to-company", license: "@A", stored: 3, recomputed: 5 },
    ]);
  });

  it("adding counts does not depend on the order", () => {
    fc.assert(fc.property(counts, counts, (a, b) => void expect(addCounts(a, b)).toEqual(addCounts(b, a))));
  });
});
