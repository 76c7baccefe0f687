/**
 * Purpose: how many units of a licence a machine needs under a metric rule, and why (domain.md §5 "Metrics").
 * The order is fixed and stated once: processors → minimum per processor → factor → rounding at its level → minimum per server → virtual machines
 * (stacking, or sub-capacity) → whole units, at least one → packs → users.
 * Invariants: pure; exact (thousandths as whole numbers); only physical cores count, never threads; more cores never need fewer units; the result is
 * a multiple of the pack, never below a minimum, at least 1: what is installed is never counted as nothing, however little is known of the machine.
 */
import type { MeasuredHardware, Processors } from "@daicho/protocol";
import type { CompiledMetric } from "./rule.ts";

export interface CountStep {
  /** Stable: what was done. */
  readonly step:
    | "processors"
    | "minimum-per-processor"
    | "factor"
    | "rounding"
    | "minimum-per-server"
    | "minimum-per-virtual-machine"
    | "stacking"
    | "virtual"
    | "minimum"
    | "packs"
    | "users"
    | "limit";
  /** What it came to, as a decimal number. */
  readonly value: string;
  readonly says: string;
}

export interface UnitCount {
  readonly units: number;
  readonly unit: string;
  /** Before rounding, minimums per server and packs, as a decimal number. */
  readonly raw: string;
  readonly packs?: number;
  readonly packSize?: number;
  /** Users that must be licensed at least. */
  readonly userMinimum?: number;
  readonly steps: readonly CountStep[];
}

/** No machine needs more; sums over a company stay exact numbers. */
export const maxUnits = 1_000_000_000;

type Say = (step: CountStep["step"], value: bigint, says: string) => void;
const one = 1000n;

export function countUnits(metric: CompiledMetric, hardware: MeasuredHardware): UnitCount {
  const { rule } = metric;
  const steps: CountStep[] = [];
  const say: Say = (step, value, says) => void steps.push({ step, value: decimal(value), says });

  const { raw, needed } = machineNeeds(metric, hardware, say);
  let units = needed % one === 0n ? needed / one : needed / one + 1n;
  if (units < 1n) {
    units = 1n;
    say("minimum", one, "an installation needs at least one unit");
  } else if (units * one !== needed && (rule.rounding?.level !== "pack" || rule.packSize === undefined))
    say("rounding", units * one, "up to whole units");

  let packs: bigint | undefined;
  if (rule.packSize !== undefined) {
    const size = BigInt(rule.packSize);
    packs =
      rule.rounding?.level === "pack"
        ? roundTo(needed, size * one, directionOf(metric)) / (size * one)
        : roundTo(units, size, "up") / size;
    if (packs < 1n) packs = 1n;
    units = packs * size;
    say("packs", units * one, `${packs} packs of ${size}`);
  }
  let userMinimum: bigint | undefined;
  if (rule.userMinimum !== undefined) {
    userMinimum = units * BigInt(rule.userMinimum);
    say("users", userMinimum * one, `at least ${rule.userMinimum} users for each unit`);
    if (rule.unit === "user") {
      const users = BigInt(hardware.users ?? 0);
      units = users > userMinimum ? users : userMinimum;
      if (users > userMinimum) say("users", users * one, `${users} users reach it`);
    }
  }
  if (units > BigInt(maxUnits)) say("limit", BigInt(maxUnits) * one, "no machine is counted for more");
  return {
    units: limited(units),
    unit: rule.unit ?? (rule.count === "cores" ? "core" : "processor"),
    raw: decimal(raw),
    ...(packs !== undefined && { packs: limited(packs), packSize: rule.packSize }),
    ...(userMinimum !== undefined && { userMinimum: limited(userMinimum) }),
    steps,
  };
}

interface Needs {
  /** Thousandths. */
  readonly raw: bigint;
  readonly needed: bigint;
}

function machineNeeds(metric: CompiledMetric, hardware: MeasuredHardware, say: Say): Needs {
  const { rule } = metric;
  const terms = rule.virtual ?? "own";
  const { os } = hardware;
  if (hardware.virtual === true) {
    const below = hardware.host && processorsOf(hardware.host);
    if (terms === "host" && below !== undefined) {
      say("virtual", one, "a virtual machine needs all of the physical machine below");
      return physical(metric, below, os, say);
    }
    if (terms === "host")
      say("virtual", one, "the physical machine below is not known: counted by its own virtual cores");
    const own = virtual(metric, processorsOf(hardware), os, hardware.virtualCores, say);
    if (terms !== "sub-capacity" || below === undefined) return own;
    return lower(own, below, metric, os, say);
  }
  const processors = processorsOf(hardware);
  if (terms === "sub-capacity" && hardware.virtualCores !== undefined)
    return lower(virtual(metric, processors, os, hardware.virtualCores, say), processors, metric, os, say);
  const full = physical(metric, processors, os, say);
  const machines = hardware.virtualMachines ?? 0;
  if (rule.stacking === undefined || machines <= rule.stacking) return full;
  const times = BigInt(Math.ceil(machines / rule.stacking));
  const needed = full.needed * times;
  say(
    "stacking",
    needed,
    `${machines} virtual machines, ${rule.stacking} covered by each full licensing: ${times} times`,
  );
  return { raw: full.raw, needed };
}

/** Sub-capacity: the virtual cores, but never more than the whole physical machine. */
function lower(
  own: Needs,
  below: readonly Processors[],
  metric: CompiledMetric,
  os: MeasuredHardware["os"],
  say: Say,
): Needs {
  const silent: CountStep[] = [];
  const full = physical(
    metric,
    below,
    os,
    (step, value, says) => void silent.push({ step, value: decimal(value), says }),
  );
  const capped = full.needed < own.needed;
  say(
    "virtual",
    capped ? full.needed : own.needed,
    `sub-capacity ${decimal(own.needed)}, full capacity ${decimal(full.needed)}: the lower counts`,
  );
  return capped ? full : own;
}

/** A machine's processors, with the least that can be where something is not known. */
function processorsOf(hardware: Pick<MeasuredHardware, "cpu" | "cpus">): readonly Processors[] {
  return hardware.cpus ?? [hardware.cpu ?? {}];
}

function physical(metric: CompiledMetric, all: readonly Processors[], os: MeasuredHardware["os"], say: Say): Needs {
  const { rule } = metric;
  const level = rule.rounding?.level ?? "server";
  const direction = directionOf(metric);
  const minimum = rule.minimum?.perProcessor ?? 1;
  const groups = new Map<bigint, bigint>();
  let counted = 0n;
  let raised = 0n;
  let factored = 0n;
  const because: string[] = [];
  for (const processors of all) {
    const { factor, because: line } = metric.factorOf(processors, os);
    let sum = 0n;
    for (const { cores, sockets } of spread(processors)) {
      const base = rule.count === "cores" ? cores : 1;
      counted += BigInt(base) * BigInt(sockets) * one;
      const basis = BigInt(Math.max(base, minimum));
      raised += basis * BigInt(sockets) * one;
      factored += basis * factor * BigInt(sockets);
      const each = level === "processor" ? roundTo(basis * factor, one, direction) : basis * factor;
      sum += each * BigInt(sockets);
    }
    groups.set(factor, (groups.get(factor) ?? 0n) + sum);
    because.push(`${decimal(factor)} (${processors.model ?? "unknown processor"}: ${line})`);
  }
  say("processors", counted, shape(all, rule.count));
  if (raised > counted) say("minimum-per-processor", raised, `at least ${minimum} for each processor`);
  if (factored !== raised || rule.factors !== undefined || rule.factor !== undefined)
    say("factor", factored, `times ${[...new Set(because)].slice(0, 8).join("; ")}`);

  let needed = 0n;
  for (const sum of groups.values()) needed += level === "group" ? roundTo(sum, one, direction) : sum;
  if (level === "server") needed = roundTo(needed, one, direction);
  if (needed !== factored) say("rounding", needed, `${direction}, per ${level}`);
  const least = BigInt(rule.minimum?.perServer ?? 0) * one;
  if (needed < least) say("minimum-per-server", (needed = least), `at least ${decimal(least)} for the machine`);
  return { raw: factored, needed };
}

/** A virtual machine, or all virtual machines of a physical one: virtual cores, whatever processors they seem to lie on. */
function virtual(
  metric: CompiledMetric,
  all: readonly Processors[],
  os: MeasuredHardware["os"],
  virtualCores: number | undefined,
  say: Say,
): Needs {
  const { rule } = metric;
  let own = 0;
  // Virtual machines wander: the dearest processor they may run on counts.
  let line = metric.factorOf(all[0] ?? {}, os);
  for (const processors of all) {
    for (const { cores, sockets } of spread(processors)) own += rule.count === "cores" ? cores * sockets : sockets;
    const other = metric.factorOf(processors, os);
    if (other.factor > line.factor) line = other;
  }
  const base = rule.count === "cores" && virtualCores !== undefined ? Math.max(1, virtualCores) : own;
  say("processors", BigInt(base) * one, `${base} virtual ${rule.count}`);
  const minimum = rule.minimum?.perVirtualMachine ?? 1;
  const basis = Math.max(base, minimum);
  if (basis > base)
    say("minimum-per-virtual-machine", BigInt(basis) * one, `at least ${minimum} for each virtual machine`);
  const raw = BigInt(basis) * line.factor;
  if (line.factor !== one || rule.factors !== undefined)
    say("factor", raw, `times ${decimal(line.factor)} (${line.because})`);
  const level = rule.rounding?.level ?? "server";
  const needed = level === "none" || level === "pack" ? raw : roundTo(raw, one, directionOf(metric));
  if (needed !== raw) say("rounding", needed, directionOf(metric));
  return { raw, needed };
}

/** Cores per socket, as even as can be: the spread that needs least. At least one socket, and one core in each. */
function spread({ sockets, cores }: Processors): { readonly cores: number; readonly sockets: number }[] {
  const n = Math.max(1, sockets ?? 1);
  const all = Math.max(n, cores ?? 0);
  const low = Math.floor(all / n);
  const rest = all % n;
  return [
    { cores: low, sockets: n - rest },
    { cores: low + 1, sockets: rest },
  ].filter((part) => part.sockets > 0);
}

function shape(all: readonly Processors[], base: string): string {
  const parts = all.slice(0, 8).map((p) => {
    const known = p.cores !== undefined && p.cores > 0;
    return `${Math.max(1, p.sockets ?? 1)} processors with ${known ? p.cores : "an unknown number of"} cores`;
  });
  return `${parts.join(" + ")}: ${base}`;
}

function directionOf({ rule }: CompiledMetric): "up" | "nearest" | "down" {
  return rule.rounding?.direction ?? "up";
}

/** To a multiple of `unit`; halves go up. */
function roundTo(value: bigint, unit: bigint, direction: "up" | "nearest" | "down"): bigint {
  const add = direction === "up" ? unit - 1n : direction === "nearest" ? unit / 2n : 0n;
  return ((value + add) / unit) * unit;
}

function decimal(value: bigint): string {
  const rest = value % one;
  return rest === 0n ? String(value / one) : `${value / one}.${String(rest).padStart(3, "0").replace(/0+$/, "")}`;
}

function limited(value: bigint): number {
  return Number(value > BigInt(maxUnits) ? BigInt(maxUnits) : value);
}
