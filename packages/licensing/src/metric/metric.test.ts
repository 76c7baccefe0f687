import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  maxFactor,
  metricBases,
  metricUnits,
  roundingDirections,
  roundingLevels,
  virtualTerms,
  type MeasuredHardware,
  type MetricRule,
} from "@daicho/protocol";
import { compileMetric, countUnits, createMetricBook, maxUnits, measuredHardware } from "./index.ts";

const count = (rule: MetricRule, hardware: MeasuredHardware) => countUnits(compileMetric(rule), hardware);
const machine = (sockets: number, coresEach: number, more: MeasuredHardware = {}): MeasuredHardware => ({
  cpu: { sockets, cores: sockets * coresEach },
  ...more,
});

// The rules of the vectors, as a policy states them.
const datacenter: MetricRule = {
  id: "per-core-datacenter",
  count: "cores",
  minimum: { perProcessor: 8, perServer: 16, perVirtualMachine: 8 },
  packSize: 2,
};
const standard: MetricRule = { ...datacenter, id: "per-core-standard", stacking: 2 };
const database: MetricRule = {
  id: "database-per-core",
  count: "cores",
  minimum: { perProcessor: 4, perVirtualMachine: 4 },
  packSize: 2,
};
const processor: MetricRule = {
  id: "processor",
  count: "cores",
  unit: "processor",
  factors: [
    { cpu: "*Xeon*", factor: 0.5 },
    { cpu: "SPARC T*", factor: 0.25 },
    { cpu: "SPARC64*", factor: 0.75 },
  ],
  factor: 1,
  userMinimum: 25,
  virtual: "host",
};
const values: MetricRule = {
  id: "value-units",
  count: "cores",
  unit: "value-unit",
  factors: [
    { cpu: "*POWER*", os: "linux", factor: 70 },
    { cpu: "*POWER10*S1022*", factor: 70 },
    { cpu: "*POWER10*E1050*", factor: 100 },
    { cpu: "*POWER10*", factor: 120 },
  ],
  factor: 120,
  virtual: "sub-capacity",
};

describe("cores with minimums, packs and stacking (§5)", () => {
  it.each([
    // shared vectors: windows_server_per_core
    [datacenter, machine(1, 8), 16, 8],
    [datacenter, machine(2, 8), 16, 8],
    [datacenter, machine(2, 16), 32, 16],
    [standard, machine(2, 8, { virtualMachines: 2 }), 16, 8],
    [standard, machine(2, 8, { virtualMachines: 6 }), 48, 24],
    [datacenter, machine(2, 8, { virtualMachines: 50 }), 16, 8],
    [datacenter, { virtual: true, cpu: { cores: 12 } }, 12, 6],
    // and their neighbours
    [datacenter, machine(1, 4), 16, 8],
    [datacenter, machine(4, 6), 32, 16],
    [datacenter, machine(2, 4), 16, 8],
    [datacenter, machine(4, 2), 32, 16],
    [datacenter, { cpu: { sockets: 2, cores: 18 } }, 18, 9],
    [datacenter, { cpu: { sockets: 2, cores: 17 } }, 18, 9],
    [datacenter, { cpu: { sockets: 3, cores: 25 } }, 26, 13],
    [datacenter, { cpu: { sockets: 0, cores: 0 } }, 16, 8],
    [datacenter, {}, 16, 8],
    [
      datacenter,
      {
        cpus: [
          { sockets: 1, cores: 4 },
          { sockets: 1, cores: 20 },
        ],
      },
      28,
      14,
    ],
    [standard, machine(2, 8, { virtualMachines: 1 }), 16, 8],
    [standard, machine(2, 8, { virtualMachines: 3 }), 32, 16],
    [standard, machine(2, 8, { virtualMachines: 0 }), 16, 8],
    [datacenter, { virtual: true, cpu: { cores: 1 } }, 8, 4],
    [datacenter, { virtual: true, cpu: { cores: 4 }, virtualCores: 9 }, 10, 5],
    [datacenter, { virtual: true, cpu: { sockets: 9, cores: 9 } }, 10, 5],
    // sql_server_per_core
    [database, machine(2, 12), 24, 12],
    [database, { cpu: { cores: 24 } }, 24, 12],
    [database, machine(2, 2), 8, 4],
    [database, machine(1, 1), 4, 2],
    [database, { virtual: true, cpu: { cores: 1 } }, 4, 2],
    [database, { virtual: true, cpu: { cores: 5 } }, 6, 3],
  ] as [MetricRule, MeasuredHardware, number, number][])("%#: $id", (rule, hardware, units, packs) => {
    const { steps, ...counted } = count(rule, hardware);
    expect(counted, JSON.stringify(steps)).toMatchObject({ units, packs, packSize: 2, unit: "core" });
  });

  it("sells the same machine in packs of 16", () => {
    expect(count({ ...datacenter, packSize: 16 }, machine(2, 9))).toMatchObject({ units: 32, packs: 2 });
  });

  it("does not count threads", () => {
    const hyper = { cpu: { sockets: 2, cores: 32, threads: 64 } };
    expect(count(datacenter, hyper).units).toBe(32);
  });
});

describe("core factors (§5)", () => {
  const xeon = (sockets: number, cores: number): MeasuredHardware => ({
    cpu: { model: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", sockets, cores },
  });

  it.each([
    [xeon(2, 32), 16, 400],
    [xeon(1, 32), 16, 400],
    [xeon(1, 1), 1, 25],
    [xeon(1, 3), 2, 50],
    [{ cpu: { model: "SPARC T4", cores: 6 } }, 2, 50],
    [{ cpu: { model: "SPARC64 VII", cores: 6 } }, 5, 125],
    [{ cpu: { model: "something new", cores: 6 } }, 6, 150],
    [{ cpu: { model: "ＸＥＯＮ　E5 Xeon", cores: 4 } }, 2, 50],
  ])("%#: cores × factor, up to whole processors, and the user minimum", (hardware, units, userMinimum) => {
    expect(count(processor, hardware)).toMatchObject({ units, userMinimum, unit: "processor" });
  });

  it.each([
    // 8.1 → 9; and products that binary fractions get wrong: 0.07 × 100 is not 7.000000000000001
    [27, 0.3, "8.1", 9],
    [100, 0.07, "7", 7],
    [3, 0.1, "0.3", 1],
    [10, 0.1, "1", 1],
    [110, 1.1, "121", 121],
    [1000, 0.001, "1", 1],
    [12, 0.75, "9", 9],
    [1, 0.25, "0.25", 1],
  ])("%i cores × %d is exactly %s, counted as %i", (cores, factor, raw, units) => {
    expect(count({ id: "f", count: "cores", factor }, { cpu: { cores } })).toMatchObject({ raw, units });
  });

  it("rounds where the rule says: per processor, factor group, server, not before the end, or in the pack", () => {
    const mixed: MeasuredHardware = {
      cpus: [
        { model: "A", sockets: 2, cores: 6 }, // 2 × 3 × 0.5 = 3
        { model: "B", sockets: 1, cores: 3 }, // 3 × 0.25 = 0.75
        { model: "C", sockets: 1, cores: 1 }, // 1 × 0.5: in A's group
      ],
    };
    const rule: MetricRule = {
      id: "levels",
      count: "cores",
      factors: [
        { cpu: "A", factor: 0.5 },
        { cpu: "C", factor: 0.5 },
        { cpu: "B", factor: 0.25 },
      ],
    };
    const at = (
      level: (typeof roundingLevels)[number],
      direction: "up" | "nearest" | "down" = "up",
      packSize?: number,
    ) => count({ ...rule, rounding: { level, direction }, ...(packSize !== undefined && { packSize }) }, mixed).units;
    expect(at("processor")).toBe(2 + 2 + 1 + 1);
    expect(at("group")).toBe(4 + 1); // 3.5 and 0.75
    expect(at("server")).toBe(5); // 4.25
    expect(at("none")).toBe(5);
    expect(at("server", "nearest")).toBe(4);
    expect(at("server", "down")).toBe(4);
    expect(at("processor", "down")).toBe(2);
    expect(at("pack", "up", 4)).toBe(8);
    expect(at("pack", "nearest", 4)).toBe(4);
    expect(at("server", "up", 4)).toBe(8);
  });

  it("multiplies before rounding where rounding waits for the end", () => {
    const rule: MetricRule = { id: "s", count: "cores", factor: 0.3, stacking: 1 };
    const host: MeasuredHardware = { cpu: { cores: 27 }, virtualMachines: 3 };
    expect(count(rule, host).units).toBe(27);
    expect(count({ ...rule, rounding: { level: "none" } }, host).units).toBe(25);
  });

  it("counts processors where the rule does, whatever their cores", () => {
    const sockets: MetricRule = { id: "p", count: "processors" };
    expect(count(sockets, machine(4, 16))).toMatchObject({ units: 4, unit: "processor" });
    expect(count(sockets, {}).units).toBe(1);
    expect(count(sockets, { virtual: true, cpu: { sockets: 2, cores: 8 } }).units).toBe(2);
  });

  it("licenses users where the rule says so, never fewer than its minimum", () => {
    const named: MetricRule = { ...processor, unit: "user" };
    expect(count(named, { ...xeon(2, 32), users: 120 })).toMatchObject({ units: 400, unit: "user" });
    expect(count(named, { ...xeon(2, 32), users: 1200 }).units).toBe(1200);
    expect(count(named, xeon(2, 32)).units).toBe(400);
  });
});

describe("virtual machines and sub-capacity (§5)", () => {
  it.each([
    [{ cpu: { model: "IBM POWER10 S1022", cores: 16 } }, 1120],
    [{ cpu: { cores: 8 } }, 960],
    [{ cpu: { model: "IBM POWER10 E1080", cores: 4 } }, 480],
    [{ cpu: { model: "IBM POWER10 E1080", cores: 4 }, os: { family: "linux", name: "SLES" } }, 280],
    [{ cpu: { model: "IBM POWER10 E1080", cores: 4 }, os: { name: "AIX" } }, 480],
    [{ cpu: { model: "Xeon", cores: 4 }, os: { family: "linux" } }, 480],
    // 4 virtual cores on 16 physical ones; 64 on 16 are capped
    [
      {
        virtual: true,
        cpu: { model: "POWER10 S1022", cores: 4 },
        host: { cpu: { model: "POWER10 S1022", cores: 16 } },
      },
      280,
    ],
    [
      {
        virtual: true,
        cpu: { model: "POWER10 S1022", cores: 64 },
        host: { cpu: { model: "POWER10 S1022", cores: 16 } },
      },
      1120,
    ],
    [{ virtual: true, cpu: { model: "POWER10 S1022", cores: 4 } }, 280],
    // a physical machine that knows what its virtual machines use at most
    [{ cpu: { model: "POWER10 S1022", cores: 16 }, virtualCores: 6 }, 420],
    [{ cpu: { model: "POWER10 S1022", cores: 16 }, virtualCores: 40 }, 1120],
    // several kinds of processors in one machine
    [
      {
        cpus: [
          { model: "POWER10 S1022", cores: 4 },
          { model: "POWER10 E1050", cores: 4 },
        ],
      },
      680,
    ],
  ] as [MeasuredHardware, number][])("%#: the lower of full and sub-capacity", (hardware, units) => {
    expect(count(values, hardware)).toMatchObject({ units, unit: "value-unit" });
  });

  it("counts the whole machine below where the terms say so, and says when it is not known", () => {
    const host = { cpu: { model: "Xeon", sockets: 2, cores: 32 } };
    const guest: MeasuredHardware = { virtual: true, cpu: { model: "Xeon", cores: 4 }, virtualMachines: 5 };
    expect(count(processor, { ...guest, host }).units).toBe(16);
    const alone = count(processor, guest);
    expect(alone.units).toBe(2);
    expect(alone.steps.some((s) => s.step === "virtual" && s.says.includes("not known"))).toBe(true);
  });
});

const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const without = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
const factor = fc.integer({ min: 1, max: maxFactor * 1000 }).map((milli) => milli / 1000);
const small = fc.integer({ min: 1, max: 64 });
const anyRule: fc.Arbitrary<MetricRule> = fc
  .record({
    count: fc.constantFrom(...metricBases),
    unit: some(fc.constantFrom(...metricUnits.filter((u) => u !== "user"))),
    factors: some(fc.array(fc.record({ cpu: fc.constantFrom("a*", "b?", "*"), factor }), { maxLength: 3 })),
    factor: some(factor),
    minimum: some(
      fc.record({ perProcessor: some(small), perServer: some(small), perVirtualMachine: some(small) }).map(without),
    ),
    rounding: some(
      fc
        .record({
          level: some(fc.constantFrom(...roundingLevels)),
          direction: some(fc.constantFrom(...roundingDirections)),
        })
        .map(without),
    ),
    packSize: some(small),
    stacking: some(small),
    virtual: some(fc.constantFrom(...virtualTerms)),
  })
  .map((rule) => without({ id: "any", ...rule }) as MetricRule);
const anyCpu = fc
  .record({
    model: some(fc.constantFrom("a1", "b2", "c3")),
    sockets: some(fc.nat(16)),
    cores: some(fc.nat(256)),
    threads: some(fc.nat(512)),
  })
  .map(without);
const anyHardware: fc.Arbitrary<MeasuredHardware> = fc
  .record({
    cpu: some(anyCpu),
    cpus: some(fc.array(anyCpu, { minLength: 1, maxLength: 3 })),
    virtual: some(fc.boolean()),
    host: some(fc.record({ cpu: some(anyCpu) }).map(without)),
    virtualMachines: some(fc.nat(40)),
    virtualCores: some(fc.nat(512)),
  })
  .map((h) => without(h) as MeasuredHardware);

describe("laws of counting (§5)", () => {
  it("is a positive whole number, a multiple of the pack, and never above the limit", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, (rule, hardware) => {
        const { units, packs } = count(rule, hardware);
        expect(Number.isSafeInteger(units)).toBe(true);
        expect(units).toBeGreaterThanOrEqual(1);
        expect(units).toBeLessThanOrEqual(maxUnits);
        if (rule.packSize !== undefined && units < maxUnits) {
          expect(units % rule.packSize).toBe(0);
          expect(packs).toBe(units / rule.packSize);
        }
      }),
    );
  });

  it("never needs fewer units for more cores", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, fc.nat(64), (rule, hardware, more) => {
        // The same processors with more cores, above and below.
        const grow = (cpu: { cores?: number } | undefined) => ({ ...cpu, cores: (cpu?.cores ?? 0) + more });
        const larger: MeasuredHardware = {
          ...hardware,
          cpu: grow(hardware.cpu),
          ...(hardware.cpus !== undefined && { cpus: hardware.cpus.map(grow) }),
          ...(hardware.host !== undefined && { host: { cpu: grow(hardware.host.cpu) } }),
          ...(hardware.virtualCores !== undefined && { virtualCores: hardware.virtualCores + more }),
        };
        expect(count(rule, larger).units).toBeGreaterThanOrEqual(count(rule, hardware).units);
      }),
    );
  });

  it("never goes below a minimum of a physical machine", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, (rule, hardware) => {
        const { virtualCores: _, ...physical } = { ...hardware, virtual: false };
        const { units } = count(rule, physical);
        const { perServer = 1, perProcessor = 1 } = rule.minimum ?? {};
        // In the pack a count may be rounded below a minimum only where the rule rounds packs down.
        if (rule.rounding?.level !== "pack") expect(units).toBeGreaterThanOrEqual(perServer);
        if (rule.factor === undefined && rule.factors === undefined && rule.rounding?.level !== "pack")
          expect(units).toBeGreaterThanOrEqual(
            perProcessor * Math.max(1, (physical.cpus ?? [physical.cpu ?? {}])[0]?.sockets ?? 1),
          );
      }),
    );
  });

  it("stacking never needs less than one full licensing, and twice the machines at most twice as much", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, fc.nat(40), (rule, hardware, machines) => {
        const { packSize: _, stacking: __, rounding: ___, ...plain } = rule;
        const stacked: MetricRule = { ...plain, stacking: 2 };
        const at = (virtualMachines: number) => count(stacked, { ...hardware, virtual: false, virtualMachines }).units;
        expect(at(machines)).toBeGreaterThanOrEqual(at(0));
        expect(at(machines * 2)).toBeLessThanOrEqual(at(machines) * 2);
      }),
    );
  });

  it("sub-capacity is never above full capacity", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, (rule, hardware) => {
        const { minimum: _, ...sub } = { ...rule, virtual: "sub-capacity" as const };
        const full: MeasuredHardware = { ...hardware.host, virtual: false };
        if (hardware.host === undefined) return;
        expect(count(sub, { ...hardware, virtual: true }).units).toBeLessThanOrEqual(count(sub, full).units);
      }),
    );
  });

  it("threads make no difference", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, fc.nat(4096), (rule, hardware, threads) => {
        const hyper = { ...hardware, cpu: { ...hardware.cpu, threads } };
        expect(count(rule, hyper).units).toBe(count(rule, { ...hardware, cpu: hardware.cpu ?? {} }).units);
      }),
    );
  });

  it("explains itself: every count has steps, and the last one is the result", () => {
    fc.assert(
      fc.property(anyRule, anyHardware, (rule, hardware) => {
        const { steps, units, raw } = count(rule, hardware);
        expect(steps.length).toBeGreaterThan(0);
        expect(Number(raw)).toBeGreaterThan(0);
        if (units < maxUnits) expect(steps.at(-1)?.value).toBe(String(units));
      }),
    );
  });
});

describe("rules by date", () => {
  const book = createMetricBook([
    { id: "a", count: "cores", validFrom: "2026-01-01", factor: 2 },
    { id: "a", count: "cores", factor: 1 },
    { id: "b", count: "cores", validFrom: "2027-01-01" },
  ]);
  const at = (day: string) => Date.parse(day);

  it("the newest that is valid counts; before the first there is none", () => {
    expect(book.at("a", at("2025-12-31T23:59:59Z"))?.rule.factor).toBe(1);
    expect(book.at("a", at("2026-01-01"))?.rule.factor).toBe(2);
    expect(book.at("b", at("2026-06-01"))).toBeUndefined();
    expect(book.at("c", at("2026-06-01"))).toBeUndefined();
    expect(book.ids).toEqual(["a", "b"]);
  });

  it("says when it changes next and when it changed last", () => {
    expect(book.nextChange(at("2026-01-01"))).toBe(at("2027-01-01"));
    expect(book.nextChange(at("2027-01-01"))).toBeUndefined();
    expect(book.lastChange(at("2026-05-05"))).toBe(at("2026-01-01"));
    expect(book.lastChange(at("2025-05-05"))).toBeUndefined();
  });
});

describe("hardware as inventories give it", () => {
  it("takes what it understands and leaves out the rest", () => {
    expect(
      measuredHardware({
        manufacturer: "X",
        virtual: true,
        cpu: { model: "M", sockets: 2, cores: 8, threads: 16 },
        cpus: "many",
        host: { cpu: { cores: 1e9, sockets: -1 } },
        virtualCores: 2.5,
        users: 7,
        os: { family: "linux" },
      } as never),
    ).toEqual({
      virtual: true,
      os: { family: "linux" },
      cpu: { model: "M", sockets: 2, cores: 8 },
      host: { cpu: { cores: 1_048_576 } },
      users: 7,
    });
    expect(measuredHardware(undefined)).toEqual({});
  });

  it("never throws, whatever an inventory says", () => {
    fc.assert(
      fc.property(fc.anything(), (cpu) => void count(values, measuredHardware({ cpu, cpus: cpu, host: cpu } as never))),
    );
  });
});
