import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Metric } from "@daicho/protocol";
import {
  cover,
  isPortable,
  linkedGroups,
  parseAttachedRights,
  reachOf,
  type Allocation,
  type CoverEntitlement,
  type CoverInput,
  type CoverResult,
  type Installation,
  type VersionPath,
} from "./index.ts";

const codes = ["@A", "@B", "@C", "@S", "@V16", "@V19", "@V21"];
const ordinalOf = (code: string): number | undefined => (codes.includes(code) ? codes.indexOf(code) + 1 : undefined);
const versionPaths: VersionPath[] = [["@V16", "@V19", "@V21"]];

interface Bought {
  readonly id?: string;
  readonly license: string;
  readonly units: number;
  readonly rights?: string;
  readonly metric?: Metric;
  readonly validity?: CoverEntitlement["validity"];
}
interface Found {
  readonly device: number;
  readonly license: string;
  readonly employee?: number | null;
  readonly department?: number;
  readonly units?: number;
}
interface Case {
  readonly bought: readonly Bought[];
  readonly found: readonly Found[];
  readonly metrics?: Readonly<Record<string, Metric>>;
  readonly allocations?: readonly Partial<Allocation & { code: string }>[];
  readonly portable?: readonly number[];
  readonly virtual?: readonly number[];
}

function inputOf({ bought, found, metrics = {}, allocations = [], portable = [], virtual = [] }: Case): CoverInput {
  const metricOf = (code: string): Metric => metrics[code] ?? "device";
  return {
    licenses: codes.map((code, i) => ({ license: i + 1, code, metric: metricOf(code) })),
    entitlements: bought.map((b, i) => ({
      id: b.id ?? `e${i}`,
      license: ordinalOf(b.license) ?? 0,
      metric: b.metric ?? metricOf(b.license),
      units: b.units,
      validity: b.validity ?? "valid",
      reach: reachOf(
        { code: b.license, metric: metricOf(b.license) },
        parseAttachedRights(b.rights).rights,
        versionPaths,
        ordinalOf,
      ),
    })),
    installations: found.map((f) => ({
      device: f.device,
      employee: f.employee ?? null,
      department: f.department ?? 1,
      license: ordinalOf(f.license) ?? 0,
      units: f.units ?? 1,
    })),
    allocations: allocations.map((a, i) => ({
      id: `a${i}`,
      quantity: 1,
      since: i,
      ...a,
      license: ordinalOf(a.code ?? "") ?? 0,
    })),
    traits: (device) => ({ portable: portable.includes(device), virtual: virtual.includes(device) }),
  };
}

/** `device code` → how it is covered, in words. */
function told(result: CoverResult): Record<string, string> {
  return Object.fromEntries(
    result.installations.map((one, place) => {
      const by = result.coverOf(place);
      const words =
        typeof by === "string" || by === undefined
          ? String(by)
          : [
              codes[by.license - 1],
              by.right,
              by.allocation,
              by.secondTo === undefined ? undefined : `second to ${by.secondTo}`,
            ]
              .filter((word) => word !== undefined)
              .join(" ");
      return [`${one.device} ${codes[one.license - 1]}`, words];
    }),
  );
}

function usedOf(result: CoverResult): Record<string, number> {
  const used: Record<string, number> = {};
  for (const { license, units } of result.consumptions) {
    const code = codes[license - 1] as string;
    used[code] = (used[code] ?? 0) + units;
  }
  return used;
}

describe("which entitlement covers which installation (§5, issue 3 item 1)", () => {
  it("allocations come first, those to devices before those to people", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@A", units: 2 }],
        found: [{ device: 1, license: "@A" }, { device: 2, license: "@A", employee: 7 }, { device: 3, license: "@A" }],
        allocations: [{ code: "@A", employee: 7 }, { code: "@A", device: 3 }, { code: "@A", device: 9 }],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({ "1 @A": "used-up", "2 @A": "@A direct a0", "3 @A": "@A direct a1" });
    expect(result.allocations.get(1)).toMatchObject({ inUse: 2, notInUse: 1 });
  });

  it("then licences that cover several titles, most titles first, then single ones, then excess", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@A", units: 1 }, { license: "@S", units: 1, rights: "suite(@A @B @C)" }, { license: "@C", units: 1, rights: "suite(@A)" }],
        found: [
          { device: 1, license: "@A" },
          { device: 2, license: "@A" }, { device: 2, license: "@B" }, { device: 2, license: "@C" },
          { device: 3, license: "@A" },
          { device: 4, license: "@A" },
        ],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({
      "1 @A": "@C suite",
      "2 @A": "@S suite",
      "2 @B": "@S suite",
      "2 @C": "@S suite",
      "3 @A": "@A direct",
      "4 @A": "used-up",
    });
    expect(usedOf(result)).toEqual({ "@S": 1, "@C": 1, "@A": 2 });
  });

  it("a licence's own copies go to it before those that may run another version; then newer ones serve older versions", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@V19", units: 2, rights: "downgrade" }, { license: "@V16", units: 1 }, { license: "@V16", units: 1, rights: "upgrade" }],
        found: [{ device: 1, license: "@V16" }, { device: 2, license: "@V16" }, { device: 3, license: "@V19" }, { device: 5, license: "@V21" }],
      }),
    ); // prettier-ignore
    // 5 can be served by the upgrade only, so 2 gives up its copy and runs on a newer one that nobody needs.
    expect(Object.values(told(result))).not.toContain("used-up");
    expect(usedOf(result)).toEqual({ "@V19": 2, "@V16": 2 });
  });

  it("says why nothing covers an installation: none there, outside its dates, used up", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@A", units: 9, validity: "expired" }, { license: "@B", units: 1 }],
        found: [{ device: 1, license: "@A" }, { device: 1, license: "@B" }, { device: 2, license: "@B" }, { device: 1, license: "@C" }],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({
      "1 @A": "not-valid",
      "1 @B": "@B direct",
      "1 @C": "no-entitlement",
      "2 @B": "used-up",
    });
  });

  it("people are counted once on all their devices; one that has left counts nothing", () => {
    const metrics = { "@A": "user" as const };
    const result = cover(
      inputOf({
        metrics,
        bought: [{ license: "@A", units: 1 }],
        found: [{ device: 1, license: "@A", employee: 7 }, { device: 2, license: "@A", employee: 7 }, { device: 3, license: "@A", employee: 0 }, { device: 4, license: "@A" }],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({
      "1 @A": "@A direct",
      "2 @A": "@A direct",
      "3 @A": "not-counted",
      "4 @A": "used-up",
    });
    expect(usedOf(result)).toEqual({ "@A": 2 });
  });

  it("cores cover whole machines first, the small ones before the large, and parts of one with what is left over", () => {
    const metrics = { "@A": "core" as const };
    const result = cover(
      inputOf({
        metrics,
        bought: [{ license: "@A", units: 8 }, { license: "@A", units: 20 }],
        found: [{ device: 1, license: "@A", units: 24 }, { device: 2, license: "@A", units: 16 }, { device: 3, license: "@A", units: 4 }],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({ "1 @A": "used-up", "2 @A": "@A direct", "3 @A": "@A direct" });
    expect(result.coverOf(1)).toMatchObject({ entitlements: ["e0", "e1"] });
    expect(result.partsOf(0)).toEqual([{ license: 1, right: "direct", units: 8, entitlements: ["e1"] }]);
    expect(usedOf(result)).toEqual({ "@A": 44 });
  });

  it("parts of several licences cover one machine: each counts what it gives, its own what is missing", () => {
    const metrics = { "@V16": "core" as const, "@V19": "core" as const };
    const bought = [{ license: "@V16", units: 6 }, { license: "@V19", units: 8, rights: "downgrade" }]; // prettier-ignore
    const result = cover(inputOf({ metrics, bought, found: [{ device: 1, license: "@V16", units: 16 }] }));
    expect(told(result)).toEqual({ "1 @V16": "used-up" });
    expect(result.partsOf(0).map((part) => [part.units, part.right])).toEqual([[6, "direct"], [8, "downgrade"]]); // prettier-ignore
    expect(usedOf(result)).toEqual({ "@V16": 8, "@V19": 8 });
    const enough = cover(inputOf({ metrics, bought, found: [{ device: 1, license: "@V16", units: 14 }] }));
    expect(enough.coverOf(0)).toMatchObject({ entitlements: ["e0", "e1"], license: 5 });
    expect(usedOf(enough)).toEqual({ "@V16": 6, "@V19": 8 });
  });

  it("cores that were set aside for a machine are its own, also where they are too few for all of it", () => {
    const metrics = { "@A": "core" as const };
    const input = inputOf({
      metrics,
      bought: [{ license: "@A", units: 12 }],
      found: [{ device: 1, license: "@A", units: 16 }, { device: 2, license: "@A", units: 8 }],
      allocations: [{ code: "@A", device: 1, quantity: 8 }],
    }); // prettier-ignore
    const result = cover(input);
    expect(result.partsOf(0)).toMatchObject([{ units: 8, allocation: "a0" }, { units: 4 }]);
    expect(told(result)).toEqual({ "1 @A": "used-up", "2 @A": "used-up" });
    expect(result.allocations.get(1)).toMatchObject({ inUse: 8, notInUse: 0 });
  });

  it("what counts cores covers no processors, and says that this is why", () => {
    const metrics = { "@V16": "processor" as const, "@V19": "core" as const };
    const bought = [{ license: "@V19", units: 8, rights: "downgrade" }];
    expect(told(cover(inputOf({ metrics, bought, found: [{ device: 1, license: "@V16", units: 2 }] })))).toEqual({
      "1 @V16": "other-metric",
    });
  });

  it("site and free licences cover everything and are counted all the same; an expired site licence covers nothing", () => {
    const found = [{ device: 1, license: "@A" }, { device: 2, license: "@A" }]; // prettier-ignore
    const site = cover(inputOf({ bought: [{ license: "@A", units: 0, metric: "site" }], found }));
    expect(told(site)).toEqual({ "1 @A": "@A direct", "2 @A": "@A direct" });
    expect(usedOf(site)).toEqual({ "@A": 2 });
    const expired = cover(
      inputOf({ bought: [{ license: "@A", units: 0, metric: "site", validity: "expired" }], found }),
    );
    expect(told(expired)).toEqual({ "1 @A": "not-valid", "2 @A": "not-valid" });
  });

  it("exchanges: a copy that two need goes to the one that has no other", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@S", units: 1, rights: "suite(@A @B)" }, { license: "@A", units: 1 }, { license: "@B", units: 1 }],
        found: [{ device: 1, license: "@A" }, { device: 1, license: "@B" }, { device: 2, license: "@S" }],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({ "1 @A": "@A direct", "1 @B": "@B direct", "2 @S": "@S direct" });
  });
});

describe("vectors (shared data, licence-vectors.json)", () => {
  const file = new URL("../../../../../shared/data/licence-vectors.json", import.meta.url);
  const vectors = readVectors(file);

  it("second_use: a portable second device of the same user needs nothing, a virtual machine always does", () => {
    expect(vectors.second.length).toBeGreaterThan(0);
    for (const { devices, consumed } of vectors.second) {
      const words = devices.map((d) => d.toLowerCase());
      const result = cover(
        inputOf({
          bought: [{ license: "@A", units: 9, rights: "second-device" }],
          found: words.map((_, i) => ({ device: i + 1, license: "@A", employee: 1 })),
          portable: words.flatMap((word, i) => (isPortable(word) ? [i + 1] : [])),
          virtual: words.flatMap((word, i) => (word === "vm" ? [i + 1] : [])),
        }),
      );
      expect(usedOf(result), devices.join()).toEqual({ "@A": consumed });
    }
  });

  it("downgrade: only with the right, only along its own path", () => {
    const titles = {
      "Office Standard 2019 (VL)": ["@V19", "downgrade"], "Office Professional Plus 2016": ["@A"],
      "Office Professional Plus 2010 (VL)": ["@V21", "downgrade"], "Office Professional Plus 2007": ["@V16"],
      "Office/Project/Visio OEM": ["@V21", ""], "Office 365 ProPlus subscription": ["@V19", ""], "earlier version": ["@V16"],
    } as Record<string, string[]>; // prettier-ignore
    expect(vectors.downgrade.length).toBeGreaterThan(0);
    for (const { entitled, installed, covered } of vectors.downgrade) {
      const [license, rights] = titles[entitled] as [string, string];
      const result = cover(
        inputOf({
          bought: [{ license, units: 1, rights }],
          found: [{ device: 1, license: (titles[installed] as [string])[0] }],
        }),
      );
      expect(typeof result.coverOf(0) !== "string", `${entitled} → ${installed}`).toBe(covered);
    }
  });

  it("chassis words of the agent and of other tools", () => {
    for (const word of ["laptop", "Notebook", "Sub Notebook", "Portable", "Hand Held", "Other Hand Held", "handheld", "tablet", "convertible", "detachable"])
      expect(isPortable(word), word).toBe(true); // prettier-ignore
    for (const word of ["desktop", "tower", "vm", "unknown", "all-in-one", "docking-station", undefined])
      expect(isPortable(word), word).toBe(false);
  });
});

function readVectors(file: URL): {
  second: { devices: string[]; consumed: number }[];
  downgrade: { entitled: string; installed: string; covered: boolean }[];
} {
  try {
    const data = JSON.parse(readFileSync(file, "utf8")) as Record<string, { vectors: never[] }>;
    return { second: data["second_use"]?.vectors ?? [], downgrade: data["downgrade"]?.vectors ?? [] };
  } catch {
    // A checkout without the shared data: the same vectors, from the same sources (Flexera ContractProp-RightOfSecondUse; Microsoft's downgrade brief).
    return {
      second: [
        { devices: ["Desktop", "Laptop"], consumed: 1 },
        { devices: ["Desktop", "VM"], consumed: 2 },
      ],
      downgrade: [
        { entitled: "Office Standard 2019 (VL)", installed: "Office Professional Plus 2016", covered: false },
        { entitled: "Office Professional Plus 2010 (VL)", installed: "Office Professional Plus 2007", covered: true },
        { entitled: "Office/Project/Visio OEM", installed: "earlier version", covered: false },
        { entitled: "Office 365 ProPlus subscription", installed: "earlier version", covered: false },
      ],
    };
  }
}

describe("second devices", () => {
  const bought = [{ license: "@A", units: 3, rights: "second-device" }];
  const of = (devices: readonly number[], over: Partial<Case> = {}): Record<string, number> =>
    usedOf(
      cover(
        inputOf({
          bought,
          found: devices.map((device) => ({ device, license: "@A", employee: 1 })),
          portable: [2, 3, 4],
          ...over,
        }),
      ),
    );
  it("one for each that is covered, never more, never without a user, never a virtual machine", () => {
    expect(of([1, 2])).toEqual({ "@A": 1 });
    expect(of([1, 2, 3])).toEqual({ "@A": 2 });
    expect(of([2, 3])).toEqual({ "@A": 1 });
    expect(of([1, 5])).toEqual({ "@A": 2 });
    expect(of([1, 2], { virtual: [2] })).toEqual({ "@A": 2 });
    expect(of([1, 2], { virtual: [1] })).toEqual({ "@A": 2 });
    expect(of([1, 2], { found: [{ device: 1, license: "@A" }, { device: 2, license: "@A" }] })).toEqual({ "@A": 2 }); // prettier-ignore
  });
  it("people who have one are served first", () => {
    const result = cover(
      inputOf({
        bought: [{ license: "@A", units: 1, rights: "second-device" }],
        found: [{ device: 1, license: "@A", employee: 8 }, { device: 5, license: "@A", employee: 9 }, { device: 6, license: "@A", employee: 9 }],
        portable: [6],
      }),
    ); // prettier-ignore
    expect(told(result)).toEqual({ "1 @A": "used-up", "5 @A": "@A direct", "6 @A": "@A direct second to 5" });
  });
});

// Random small companies.
const rightsTexts = ["", "downgrade", "upgrade", "downgrade|upgrade", "suite(@A @B)", "suite(@A @B @C)", "second-device", "suite(@A @C)|second-device", "downgrade(@C)"]; // prettier-ignore
const aBought = (texts: readonly string[]) =>
  fc.record({
    license: fc.constantFrom(...codes),
    units: fc.integer({ min: 0, max: 4 }),
    rights: fc.constantFrom(...texts),
  });
const aFound = fc.record({
  device: fc.integer({ min: 1, max: 8 }),
  license: fc.constantFrom(...codes),
});
const people = fc.array(fc.constantFrom(null, 0, 1, 2, 3), { minLength: 8, maxLength: 8 });
const aCase = (texts: readonly string[], metrics: readonly Metric[]): fc.Arbitrary<Case> =>
  fc
    .record({
      bought: fc.array(aBought(texts), { maxLength: 6 }),
      found: fc.uniqueArray(aFound, { maxLength: 16, selector: (f) => `${f.device} ${f.license}` }),
      people,
      departments: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 }),
      units: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 8, maxLength: 8 }),
      metrics: fc.array(fc.constantFrom(...metrics), { minLength: codes.length, maxLength: codes.length }),
      portable: fc.subarray([1, 2, 3, 4, 5, 6, 7, 8]),
      virtual: fc.subarray([1, 2, 3]),
      allocations: fc.array(
        fc.record({
          code: fc.constantFrom(...codes),
          quantity: fc.integer({ min: 1, max: 3 }),
          at: fc.integer({ min: 1, max: 11 }),
        }),
        { maxLength: 3 },
      ),
    })
    .map(({ people: users, departments, units, metrics: kinds, allocations, ...rest }) => {
      const byCode = Object.fromEntries(codes.map((code, i) => [code, kinds[i] as Metric]));
      return {
        ...rest,
        metrics: byCode,
        found: rest.found.map((f) => ({
          ...f,
          employee: users[f.device - 1] ?? null,
          department: departments[f.device - 1] ?? 0,
          units: byCode[f.license] === "core" ? (units[f.device - 1] ?? 1) : 1,
        })),
        allocations: allocations.map(({ at, ...a }) => (at > 8 ? { ...a, employee: at - 8 } : { ...a, device: at })),
      };
    });
const anything = aCase(rightsTexts, ["device", "device", "device", "user", "core", "site"]);
const coveredCount = (result: CoverResult): number =>
  result.installations.filter((_, place) => typeof result.coverOf(place) !== "string").length;

const whole = ({ coverOf, partsOf, consumptions, ...rest }: CoverResult): unknown => ({
  ...rest,
  covers: rest.installations.map((_, place) => [coverOf(place), partsOf(place)]),
  consumptions: [...consumptions],
});

/** What would be counted without any rights: §5 "Metrics". */
function measured(input: CoverInput): Map<string, number> {
  const metric = new Map(input.licenses.map((l) => [l.license, l.metric]));
  const seen = new Set<string>();
  const sums = new Map<string, number>();
  for (const { employee, department, license, units } of input.installations) {
    const key = `${department}:${license}`;
    if (metric.get(license) === "user" && employee !== null) {
      if (employee === 0 || seen.has(`${employee}:${key}`)) continue;
      seen.add(`${employee}:${key}`);
    }
    sums.set(key, (sums.get(key) ?? 0) + (metric.get(license) === "user" && employee !== null ? 1 : units));
  }
  return sums;
}

function consumed(result: CoverResult): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { department, license, units } of result.consumptions)
    sums.set(`${department}:${license}`, (sums.get(`${department}:${license}`) ?? 0) + units);
  return sums;
}

describe("laws of coverage", () => {
  it("no entitlement gives more than it has, each installation is covered once and counted once", () => {
    fc.assert(
      fc.property(anything, (c) => {
        const input = inputOf(c);
        const result = cover(input);
        const given = new Map<string, number>();
        const counted = new Map<number, number>();
        for (const { entitlements, installations, units } of result.consumptions) {
          for (const e of entitlements) given.set(e.id, (given.get(e.id) ?? 0) + e.units);
          const sum = entitlements.reduce((total, e) => total + e.units, 0);
          expect(sum).toBeLessThanOrEqual(units);
          const isWhole = installations.every((place) => typeof result.coverOf(place) !== "string");
          if (entitlements.length > 0 && isWhole) expect(sum).toBe(units);
          // A machine may count in parts, of several licences.
          for (const place of installations)
            if (result.partsOf(place).length < 2 && typeof result.coverOf(place) !== "string")
              counted.set(place, (counted.get(place) ?? 0) + 1);
            else counted.set(place, 1);
        }
        for (const e of input.entitlements) {
          const isFree = e.metric === "site" || input.licenses[e.license - 1]?.metric === "site";
          if (!isFree) expect(given.get(e.id) ?? 0).toBeLessThanOrEqual(e.units);
        }
        result.installations.forEach((_, place) =>
          expect(counted.get(place) ?? 0).toBe(result.coverOf(place) === "not-counted" ? 0 : 1),
        );
        for (const { license } of input.licenses) {
          const totals = result.allocations.get(license);
          const asked = input.allocations.filter((a) => a.license === license).reduce((n, a) => n + a.quantity, 0);
          expect((totals?.inUse ?? 0) + (totals?.notInUse ?? 0)).toBe(asked);
          const used = [...result.consumptions].filter((u) => u.license === license).reduce((n, u) => n + u.units, 0);
          expect(totals?.inUse ?? 0).toBeLessThanOrEqual(used);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("without attached rights used = what was measured, per department and licence", () => {
    fc.assert(
      fc.property(aCase([""], ["device", "user", "core", "site"]), (c) => {
        const input = inputOf(c);
        expect(consumed(cover(input))).toEqual(measured(input));
      }),
    );
  });

  it("what a machine counts is what it needs, covered whole, in parts or not at all", () => {
    fc.assert(
      fc.property(aCase(["", "downgrade", "upgrade|downgrade"], ["core"]), (c) => {
        const { installations, consumptions, partsOf, coverOf } = cover(inputOf(c));
        const counted = new Map<number, number>();
        const same = new Set<number>();
        for (const { installations: places, units } of consumptions) {
          const [place] = places as [number];
          counted.set(place, (counted.get(place) ?? 0) + units);
          if (places.length > 1) for (const one of places) same.add(one);
        }
        installations.forEach(({ units }, place) => {
          const covered = partsOf(place).reduce((sum, part) => sum + part.units, 0);
          expect(covered).toBeLessThanOrEqual(units);
          expect(covered === units).toBe(typeof coverOf(place) !== "string");
          // Several versions on one machine are one copy of what covers them all.
          if (!same.has(place)) expect(counted.get(place)).toBe(units);
        });
      }),
    );
  });

  it("the order of the input decides nothing", () => {
    fc.assert(
      fc.property(anything, fc.infiniteStream(fc.nat()), (c, stream) => {
        const input = inputOf(c);
        const shuffled = <T>(items: readonly T[]): T[] =>
          items.map((item) => [stream.next().value as number, item] as const).sort((a, b) => a[0] - b[0]).map(([, item]) => item); // prettier-ignore
        const other = cover({
          ...input,
          licenses: shuffled(input.licenses),
          installations: shuffled(input.installations),
          entitlements: shuffled(input.entitlements),
          allocations: shuffled(input.allocations),
        });
        expect(whole(other)).toEqual(whole(cover(input)));
      }),
    );
  });

  it("nothing stays uncovered while an entitlement that reaches it is left over", () => {
    fc.assert(
      fc.property(anything, (c) => {
        const input = inputOf(c);
        const result = cover(input);
        const left = new Map(input.entitlements.map((e) => [e.id, e.units]));
        for (const { entitlements } of result.consumptions)
          for (const { id, units } of entitlements) left.set(id, (left.get(id) ?? 0) - units);
        const metricOf = (license: number): Metric => input.licenses[license - 1]?.metric ?? "device";
        const hardware = (metric: Metric): boolean => metric === "core" || metric === "processor";
        result.installations.forEach((one, place) => {
          if (result.coverOf(place) !== "used-up") return;
          const own = metricOf(one.license);
          for (const e of input.entitlements)
            if (
              (e.license === one.license || e.reach.licenses.has(one.license)) &&
              (metricOf(e.license) === own || !(hardware(own) || hardware(metricOf(e.license))))
            )
              expect(left.get(e.id), e.id).toBeLessThan(1);
        });
      }),
      { numRuns: 400 },
    );
  });

  it("with versions only, as many are covered as possible (maximum matching), so taking rights away never covers more", () => {
    const versions = aCase(["", "downgrade", "upgrade", "downgrade|upgrade", "downgrade(@C)"], ["device"]).map(
      ({ found, allocations: _, ...c }): Case => {
        // One title a device: then a copy covers one installation.
        const seen = new Set<number>();
        return { ...c, found: found.filter((f) => !seen.has(f.device) && seen.add(f.device)) };
      },
    );
    fc.assert(
      fc.property(versions, fc.nat(), (c, which) => {
        const input = inputOf(c);
        const now = coveredCount(cover(input));
        expect(now).toBe(maximumMatching(input));
        const fewer = c.bought.map((b, i) => (i === which % Math.max(1, c.bought.length) ? { ...b, rights: "" } : b));
        expect(coveredCount(cover(inputOf({ ...c, bought: fewer })))).toBeLessThanOrEqual(now);
      }),
      { numRuns: 300 },
    );
  });

  it("attached rights never leave more uncovered than no rights at all", () => {
    fc.assert(
      fc.property(aCase(rightsTexts, ["device", "device", "user", "site"]), (c) => {
        const withRights = inputOf({ ...c, allocations: [] });
        const without = inputOf({ ...c, allocations: [], bought: c.bought.map((b) => ({ ...b, rights: "" })) });
        expect(coveredCount(cover(withRights))).toBeGreaterThanOrEqual(coveredCount(cover(without)));
      }),
      { numRuns: 400 },
    );
  });

  it("licences that no right links are in no group", () => {
    const { entitlements } = inputOf({
      bought: [
        { license: "@A", units: 1 },
        { license: "@B", units: 1, rights: "upgrade" },
        { license: "@V19", units: 1, rights: "downgrade" },
        { license: "@S", units: 1, rights: "suite(@C @V16)" },
        { license: "@A", units: 0, rights: "" },
      ],
      found: [],
    });
    expect(linkedGroups(entitlements).map((g) => g.map((l) => codes[l - 1]))).toEqual([["@C", "@S", "@V16", "@V19"]]);
    const second = inputOf({ bought: [{ license: "@A", units: 1, rights: "second-device" }], found: [] });
    expect(linkedGroups(second.entitlements)).toEqual([[1]]);
  });
});

/** Kuhn over units: one title a device, one unit each. */
function maximumMatching(input: CoverInput): number {
  const units = input.entitlements.flatMap((e) => Array.from({ length: e.units }, () => e));
  const takenBy: (Installation | undefined)[] = units.map(() => undefined);
  const find = (one: Installation, seen: Set<number>): boolean =>
    units.some((e, u) => {
      if (seen.has(u) || (e.license !== one.license && !e.reach.licenses.has(one.license))) return false;
      seen.add(u);
      const before = takenBy[u];
      if (before !== undefined && !find(before, seen)) return false;
      takenBy[u] = one;
      return true;
    });
  return input.installations.filter((one) => find(one, new Set())).length;
}
