/**
 * Purpose: metric rules - how many units of a licence a machine needs, as data (domain.md §5 "Metrics"): vendors change their terms, so terms are
 * rows of a policy document with a date, never code. And the hardware they are applied to.
 * Invariants: a factor has at most three decimals, so every count is exact arithmetic over thousandths; several rules of one id differ in
 * `validFrom`, and the newest that is valid counts.
 */
import { Hardware } from "./inventory.ts";
import { Type, type Static } from "./type.ts";
import { validator } from "./schema.ts";

/** What a rule counts on a machine before factors. */
export const metricBases = ["cores", "processors"] as const;
/** What the result is called. `user`: the rule's user minimum is what must be licensed. */
export const metricUnits = ["core", "processor", "value-unit", "user"] as const;
/** How far numbers are added up before they are rounded to whole units; none: only the end result is made whole, upward. */
export const roundingLevels = ["none", "processor", "group", "server", "pack"] as const;
export const roundingDirections = ["up", "nearest", "down"] as const;
/**
 * What a virtual machine needs. own: its virtual cores · host: all of the physical machine below, where it is known · sub-capacity: its virtual
 * cores, but never more than the physical machine below.
 */
export const virtualTerms = ["own", "host", "sub-capacity"] as const;

/** Highest factor and highest minimum: with the highest numbers of cores, a count stays an exact number. */
export const maxFactor = 10_000;
export const maxMinimum = 1_000_000;
export const maxMetricFactors = 2_000;

const Count = Type.Optional(Type.Integer({ minimum: 1, maximum: maxMinimum }));
const Factor = Type.Number({ minimum: 0.001, maximum: maxFactor });
const oneOf = <T extends string>(values: readonly T[]) =>
  Type.Optional(Type.Unsafe<T>({ type: "string", enum: [...values] }));

export const MetricFactor = Type.Object(
  {
    /** Glob over the processor's model. */
    cpu: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** Glob over the processor's manufacturer. */
    manufacturer: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** Glob over the operating system's family (linux, windows, macos) or its name. */
    os: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    factor: Factor,
  },
  { additionalProperties: false },
);
export type MetricFactor = Static<typeof MetricFactor>;

export const MetricRule = Type.Object(
  {
    id: Type.String({ pattern: "^[a-z0-9][a-z0-9.-]{0,63}$" }),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** Where the numbers are from. */
    source: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    /** First day (UTC) on which it counts; absent = always did. */
    validFrom: Type.Optional(Type.String({ pattern: "^\\d{4}-\\d{2}-\\d{2}$" })),
    count: Type.Unsafe<(typeof metricBases)[number]>({ type: "string", enum: [...metricBases] }),
    /** Absent = as `count`. */
    unit: oneOf(metricUnits),
    /** The first that fits the processor; where none fits, `factor`. */
    factors: Type.Optional(Type.Array(MetricFactor, { maxItems: maxMetricFactors })),
    /** Absent = 1. */
    factor: Type.Optional(Factor),
    /** Counted at least; the first two in cores (or processors), before factors, the third in units. */
    minimum: Type.Optional(
      Type.Object({ perProcessor: Count, perVirtualMachine: Count, perServer: Count }, { additionalProperties: false }),
    ),
    /** Absent = up, per server. */
    rounding: Type.Optional(
      Type.Object(
        { level: oneOf(roundingLevels), direction: oneOf(roundingDirections) },
        { additionalProperties: false },
      ),
    ),
    /** Sold in packs of so many units. */
    packSize: Count,
    /** One full licensing of a machine covers so many virtual machines on it; more need it again. Absent = any number. */
    stacking: Count,
    /** Absent = own. */
    virtual: oneOf(virtualTerms),
    /** At least so many users per unit must be licensed. */
    userMinimum: Count,
  },
  { additionalProperties: false },
);
export type MetricRule = Static<typeof MetricRule>;

const Processors = Type.Object(
  {
    model: Type.Optional(Type.String({ maxLength: 256 })),
    manufacturer: Type.Optional(Type.String({ maxLength: 256 })),
    sockets: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_536 })),
    /** Physical cores over all sockets; in a virtual machine its virtual cores. */
    cores: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_048_576 })),
    /** Never counted: hyper-threading makes no core. */
    threads: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_048_576 })),
  },
  { additionalProperties: false },
);
export type Processors = Static<typeof Processors>;

/** What metric rules ask of a machine: the inventory's `hardware` with what an administrator may add to it. */
export const MeasuredHardware = Type.Object(
  {
    ...Hardware.properties,
    cpu: Type.Optional(Processors),
    /** In place of `cpu` where the processors of one machine differ. */
    cpus: Type.Optional(Type.Array(Processors, { minItems: 1, maxItems: 4096 })),
    /** A virtual machine. */
    virtual: Type.Optional(Type.Boolean()),
    /** Of a virtual machine: the physical one below. */
    host: Type.Optional(
      Type.Object(
        {
          cpu: Type.Optional(Processors),
          cpus: Type.Optional(Type.Array(Processors, { minItems: 1, maxItems: 4096 })),
        },
        { additionalProperties: false },
      ),
    ),
    /** Of a physical machine: how many virtual machines run on it … */
    virtualMachines: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    /** … and the highest sum of virtual cores of those that have the product. Of a virtual machine: its own, where it is not `cpu.cores`. */
    virtualCores: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_048_576 })),
    /** Users (or devices) that reach the product, for a rule with a user minimum. */
    users: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  },
  { additionalProperties: false },
);
export type MeasuredHardware = Static<typeof MeasuredHardware>;
export const validateMeasuredHardware = validator(MeasuredHardware);
