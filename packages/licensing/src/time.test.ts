import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  always,
  countedBy,
  createDifferences,
  createUsage,
  createUseReplay,
  differenceCause,
  heldAt,
  heldChanges,
  stepsOf,
  valueAt,
  type EntitlementVersion,
  type Step,
  type UseChange,
  type UseInterval,
} from "./index.ts";

/** Times are small, so that much falls on the same millisecond. */
const time = fc.integer({ min: 0, max: 30 });
const license = fc.integer({ min: 1, max: 3 });
const uses = fc
  .uniqueArray(fc.tuple(license, fc.integer({ min: 1, max: 4 })), { selector: ([l]) => l, maxLength: 3 })
  .map((list) => list.sort((a, b) => a[0] - b[0]));
const cause = fc.constantFrom("report" as const, "moved" as const, "reassigned" as const, "policy" as const);
const state = fc.record({
  at: time,
  employee: fc.constantFrom(null, 0, 1, 2),
  department: fc.integer({ min: 0, max: 2 }),
  licenses: uses,
  cause,
});

/** What a device was told to use, one after the other, as intervals; without licences it has none. */
function intervalsOf(states: readonly State[]): UseInterval[] {
  const sorted = [...states].sort((a, b) => a.at - b.at);
  return sorted.flatMap((s, i): UseInterval[] => {
    const next = sorted[i + 1];
    const until = next?.at ?? Infinity;
    if (s.licenses.length === 0 || until === s.at) return [];
    const { employee, department, licenses } = s;
    return [{ employee, department, licenses, since: s.at, until, cause: s.cause, closed: next?.cause ?? "unknown" }];
  });
}
interface State {
  readonly at: number;
  readonly employee: number | null;
  readonly department: number;
  readonly licenses: readonly (readonly [number, number])[];
  readonly cause: "report" | "moved" | "reassigned" | "policy";
}
const device = fc.array(state, { maxLength: 7 }).map((states) => intervalsOf(states as readonly State[]));
const devices = fc.array(device, { maxLength: 6 });
/** Whether licence 1, 2, 3 is counted by user, over time. */
const metricSteps = fc
  .array(fc.array(fc.tuple(time, fc.boolean()), { maxLength: 3 }), { minLength: 4, maxLength: 4 })
  .map((all) =>
    all.map((changes) =>
      stepsOf(
        changes.sort((a, b) => a[0] - b[0]).map(([until, value]) => ({ until, value })),
        changes.length % 2 === 0,
      ),
    ),
  );
const moments = fc.tuple(time, time).map(([a, b]) => [Math.min(a, b) - 1, Math.max(a, b)] as const);

/** domain.md §5, read literally: every interval that covers the moment, every employee once. */
function usedAt(all: readonly (readonly UseInterval[])[], byUser: readonly (readonly Step<boolean>[])[], at: number) {
  const used = new Map<string, number>();
  const seen = new Set<string>();
  for (const intervals of all)
    for (const i of intervals) {
      if (at < i.since || at >= i.until) continue;
      for (const [l, count] of i.licenses) {
        const users = valueAt(byUser[l] as readonly Step<boolean>[], at);
        const key = `${i.department}:${l}`;
        if (users && i.employee === 0) continue;
        if (!users || i.employee === null) used.set(key, (used.get(key) ?? 0) + count);
        else if (!seen.has(`${i.employee}:${key}`)) {
          seen.add(`${i.employee}:${key}`);
          used.set(key, (used.get(key) ?? 0) + 1);
        }
      }
    }
  return used;
}

const replayed = (
  all: readonly (readonly UseInterval[])[],
  byUser: readonly (readonly Step<boolean>[])[],
  from: number,
  to: number,
  room?: number,
): UseChange[] => {
  const changes: UseChange[] = [];
  const round = (some: { readonly wanted?: (license: number) => boolean }): ReadonlySet<number> => {
    const replay = createUseReplay({
      from,
      to,
      byUser: new Map(byUser.entries()),
      ...some,
      ...(room !== undefined && { room }),
      emit: (c) => changes.push(c),
    });
    for (const [i, intervals] of all.entries()) replay.device(i + 1, intervals);
    for (const steps = replay.finish(); ;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  };
  for (let left = round({}); left.size > 0;) {
    const now = left;
    left = round({ wanted: (l) => now.has(l) });
    expect(left.size).toBeLessThan(now.size);
  }
  return changes;
};

describe("used at any moment (design.md Time)", () => {
  it("is the count of the intervals that cover it, each employee once per licence counted by user (§5)", () => {
    fc.assert(
      fc.property(devices, metricSteps, time, (all, byUser, at) => {
        const usage = createUsage((l) => valueAt(byUser[l] as readonly Step<boolean>[], at));
        for (const i of all.flat()) if (i.since <= at && at < i.until) usage.add(i, i.licenses, 1);
        const counted = new Map(usage.used().map((r) => [`${r.department}:${r.license}`, r.used]));
        expect(counted).toEqual(usedAt(all, byUser, at));
      }),
    );
  });

  it("follows from any earlier moment by the changes between, in each department and licence", () => {
    fc.assert(
      fc.property(devices, metricSteps, moments, (all, byUser, [from, to]) => {
        const sums = usedAt(all, byUser, from);
        for (const change of replayed(all, byUser, from, to)) {
          expect(change.at).toBeGreaterThan(from);
          expect(change.at).toBeLessThanOrEqual(to);
          for (const { department, by } of change.effects) {
            expect(by).not.toBe(0);
            const key = `${department}:${change.license}`;
            sums.set(key, (sums.get(key) ?? 0) + by);
          }
        }
        const left = new Map([...sums].filter(([, used]) => used !== 0));
        expect(left).toEqual(usedAt(all, byUser, to));
      }),
      { numRuns: 2000 },
    );
  });

  it("is told in as many rounds as it takes where room is short, every change once", () => {
    const order = (a: UseChange, b: UseChange) => a.license - b.license || a.at - b.at || a.device - b.device;
    fc.assert(
      fc.property(devices, metricSteps, moments, fc.integer({ min: 0, max: 6 }), (all, byUser, [from, to], room) => {
        const whole = replayed(all, byUser, from, to).sort(order);
        expect(replayed(all, byUser, from, to, room).sort(order)).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  it("of one person's thousands of devices, too, only the first and the last count", () => {
    const many = Array.from({ length: 3000 }, (_, i): UseInterval[] => [
      { employee: 7, department: 1, since: 10_000 - i, until: 20_000 + ((i * 37) % 3000), licenses: [[1, 1]], cause: "report", closed: "report" },
    ]); // prettier-ignore
    const changes = replayed(many, [always, always], 0, 40_000);
    expect(changes.sort((a, b) => a.at - b.at).map((c) => [c.at, c.device, c.effects])).toEqual([
      [7001, 3000, [{ department: 1, by: 1 }]],
      [22_999, 2028, [{ department: 1, by: -1 }]],
    ]);
  });

  it("of a person's two devices the first one counts, and the last one that goes takes it away", () => {
    const on = (employee: number, since: number, until: number): UseInterval[] => [
      { employee, department: 1, since, until, licenses: [[1, 1]], cause: "report", closed: "report" },
    ];
    const users = [always, always];
    const changes = replayed([on(7, 1, 9), on(7, 3, 12), on(0, 2, 20), on(7, 12, 15)], users, 0, 30);
    expect(changes.map((c) => [c.at, c.device, c.effects[0]?.by])).toEqual([
      [1, 1, 1],
      [15, 4, -1],
    ]);
    expect(countedBy({ employee: 0, department: 1 }, true)).toBe("nobody");
    expect(countedBy({ employee: 0, department: 1 }, false)).toBe("copy");
  });
});

const entitlement = fc
  .record({
    times: fc.uniqueArray(time, { minLength: 1, maxLength: 5 }).map((t) => t.sort((a, b) => a - b)),
    withdrawn: fc.boolean(),
    said: fc.array(
      fc.record({
        license,
        quantity: fc.nat(9),
        startsAt: fc.option(time),
        expiresAt: fc.option(time),
      }),
      { minLength: 5, maxLength: 5 },
    ),
  })
  .map(({ times, withdrawn, said }): EntitlementVersion[] =>
    times.flatMap((recordedAt, i): EntitlementVersion[] => {
      const last = i === times.length - 1;
      if (last && withdrawn) return [];
      return [
        {
          metric: "device",
          ...(said[i] as { license: number; quantity: number; startsAt: number | null; expiresAt: number | null }),
          recordedAt,
          replacedAt: times[i + 1] ?? Infinity,
        },
      ];
    }),
  );

const worthAt = (versions: readonly EntitlementVersion[], l: number, at: number): number =>
  heldAt(
    versions.filter((v) => v.license === l && v.recordedAt <= at && at < v.replacedAt),
    at,
  ).held;

describe("held at any moment (§3, §5)", () => {
  it("follows from any earlier moment by what was bought, edited, withdrawn, begun and expired between", () => {
    fc.assert(
      fc.property(entitlement, moments, (versions, [from, to]) => {
        const changes = heldChanges(versions, from, to);
        for (const l of [1, 2, 3]) {
          const sum = changes.filter((c) => c.license === l).reduce((total, c) => total + c.by, 0);
          expect(worthAt(versions, l, from) + sum).toBe(worthAt(versions, l, to));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("names what happened", () => {
    const v = (recordedAt: number, replacedAt: number, quantity: number, dates = {}): EntitlementVersion => ({
      metric: "device",
      license: 1,
      quantity,
      recordedAt,
      replacedAt,
      ...dates,
    });
    const causes = (versions: EntitlementVersion[]) => heldChanges(versions, 0, 99).map((c) => [c.at, c.by, c.cause]);
    expect(causes([v(1, 5, 3), v(5, 8, 7)])).toEqual([
      [1, 3, "purchased"],
      [5, 4, "entitlement-edited"],
      [8, -7, "entitlement-withdrawn"],
    ]);
    expect(causes([v(1, Infinity, 3, { startsAt: 10, expiresAt: 19 })])).toEqual([
      [10, 3, "entitlement-started"],
      [20, -3, "entitlement-expired"],
    ]);
    // Two edits in one millisecond: the first was never true.
    expect(causes([v(1, 1, 3), v(1, Infinity, 4)])).toEqual([[1, 4, "purchased"]]);
  });
});

describe("the difference of two moments (§3)", () => {
  /** Each department and licence comes into view and goes, as departments are moved and licences left out. */
  const views = fc.array(fc.array(time, { maxLength: 3 }), { minLength: 12, maxLength: 12 }).map((all) =>
    all.map((times) =>
      stepsOf(
        times.sort((a, b) => a - b).map((until, i) => ({ until, value: i % 2 === 0, cause: "reorganized" as const })),
        times.length % 2 === 0,
      ),
    ),
  );

  it("is the sum of its causes, for any two moments, whatever came into view or went out of it meanwhile", () => {
    fc.assert(
      fc.property(devices, metricSteps, views, moments, (all, byUser, shownOf, [from, to]) => {
        const shown = (department: number, l: number) => shownOf[department * 4 + l] as readonly Step<boolean>[];
        const differences = createDifferences(from, to);
        const put = (at: number, end: "start" | "end") => {
          for (const [key, used] of usedAt(all, byUser, at)) {
            const [department, l] = key.split(":").map(Number) as [number, number];
            differences[end](0, l, shown(department, l), "used", used);
          }
        };
        put(from, "start");
        put(to, "end");
        for (const { at, license: l, cause: why, effects } of replayed(all, byUser, from, to))
          for (const { department, by } of effects)
            differences.change(0, l, shown(department, l), {
              measure: "used",
              at,
              by,
              cause: differenceCause(why, by),
            });
        for (const row of [...differences.licenses(0)].map((l) => differences.explained(0, l))) {
          expect(row.unexplained.used).toBe(0);
          expect(row.causes.reduce((sum, c) => sum + c.used, row.from.used)).toBe(row.to.used);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("what no cause explains is told, not hidden", () => {
    const differences = createDifferences(0, 10);
    differences.start(7, 1, always, "used", 3);
    differences.end(7, 1, always, "used", 5);
    differences.change(7, 1, always, { measure: "used", at: 4, by: 1, cause: "installed" });
    expect([...differences.licenses(7)]).toEqual([1]);
    expect(differences.explained(7, 1)).toMatchObject({
      causes: [{ cause: "installed", used: 1, count: 1 }],
      unexplained: { used: 1, held: 0 },
    });
  });
});
