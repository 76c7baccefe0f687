/**
 * Purpose: metric rules made ready for counting, and which of them is in force on a day (domain.md §5 "Metrics").
 * Invariants: factors are whole thousandths, so no count ever depends on how a fraction is stored; no name of a vendor or product is in this code.
 */
import {
  compileGlob,
  foldName,
  matchGlob,
  type Glob,
  type MeasuredHardware,
  type MetricRule,
  type Processors,
} from "@daicho/protocol";

export interface MetricFactorLine {
  /** Thousandths. */
  readonly factor: bigint;
  /** What fitted, for explaining. */
  readonly because: string;
}

export interface CompiledMetric {
  readonly rule: MetricRule;
  factorOf(processors: Processors, os: MeasuredHardware["os"]): MetricFactorLine;
}

export function compileMetric(rule: MetricRule): CompiledMetric {
  const otherwise: MetricFactorLine = {
    factor: thousandths(rule.factor ?? 1),
    because: rule.factors === undefined ? "for every processor" : "for processors that no line names",
  };
  const lines = (rule.factors ?? []).map(({ cpu, manufacturer, os, factor }) => ({
    cpu: globOf(cpu),
    manufacturer: globOf(manufacturer),
    os: globOf(os),
    factor: thousandths(factor),
    because: [cpu, manufacturer, os].filter((pattern) => pattern !== undefined).join(", ") || "for every processor",
  }));
  return {
    rule,
    factorOf({ model, manufacturer }, os) {
      const cpu = folded(model);
      const maker = folded(manufacturer);
      const systems = [folded(os?.family), folded(os?.name)];
      return (
        lines.find(
          (line) =>
            fits(line.cpu, cpu) && fits(line.manufacturer, maker) && systems.some((system) => fits(line.os, system)),
        ) ?? otherwise
      );
    },
  };
}

export interface MetricBook {
  readonly ids: readonly string[];
  /** The rule of this id in force at the time; undefined where there is none yet. */
  at(id: string, time: number): CompiledMetric | undefined;
  /** The first moment after `time` at which a rule comes into force. */
  nextChange(time: number): number | undefined;
  /** The last moment up to `time` at which one did. */
  lastChange(time: number): number | undefined;
}

export function createMetricBook(rules: readonly MetricRule[]): MetricBook {
  const versions = new Map<string, { from: number; metric: CompiledMetric }[]>();
  for (const rule of rules) {
    const version = { from: startOf(rule), metric: compileMetric(rule) };
    const others = versions.get(rule.id);
    if (others === undefined) versions.set(rule.id, [version]);
    else others.push(version);
  }
  for (const list of versions.values()) list.sort((a, b) => a.from - b.from);
  const dates = [...new Set([...versions.values()].flat().map(({ from }) => from))]
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  return {
    ids: [...versions.keys()],
    at: (id, time) => versions.get(id)?.findLast(({ from }) => from <= time)?.metric,
    nextChange: (time) => dates.find((date) => date > time),
    lastChange: (time) => dates.findLast((date) => date <= time),
  };
}

function startOf({ validFrom }: MetricRule): number {
  return validFrom === undefined ? -Infinity : Date.parse(`${validFrom}T00:00:00Z`);
}

/** Exact: a factor has at most three decimals. */
function thousandths(factor: number): bigint {
  return BigInt(Math.round(factor * 1000));
}

function folded(text: string | undefined): string {
  return foldName(text ?? "").trim();
}

function globOf(pattern: string | undefined): Glob | undefined {
  return pattern === undefined ? undefined : compileGlob(foldName(pattern));
}

function fits(glob: Glob | undefined, text: string): boolean {
  return glob === undefined || matchGlob(glob, text);
}
