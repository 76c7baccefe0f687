/**
 * Purpose: reads one entry of a policy's `metrics:` list.
 * Invariants: a factor is read from what is written, not from the number it was parsed to, so it is exact; a rule that could not count is a fault
 * here, so whoever counts never has to ask.
 */
import { isScalar, type YAMLMap } from "yaml";
import {
  maxFactor,
  maxMetricFactors,
  maxMinimum,
  metricBases,
  metricUnits,
  roundingDirections,
  roundingLevels,
  virtualTerms,
  type MetricFactor,
  type MetricRule,
} from "@daicho/protocol";
import {
  placeOf,
  readCount,
  readList,
  readMap,
  readNested,
  readText,
  readWord,
  type Entries,
  type Reader,
} from "./reader.ts";
import type { FaultyCode, ParsedMetricRule } from "./types.ts";

const keys = [
  "id",
  "name",
  "source",
  "validFrom",
  "count",
  "unit",
  "factors",
  "factor",
  "minimum",
  "rounding",
  "packSize",
  "stacking",
  "virtual",
  "userMinimum",
];
const idPattern = /^[a-z0-9][a-z0-9.-]{0,63}$/;

/** `faulty` gets the ids of faulty entries: they count as known, so that one fault does not cause another wherever the rule is named. */
export function readMetricRule(reader: Reader, map: YAMLMap, faulty: FaultyCode[]): ParsedMetricRule | undefined {
  let sound = true;
  const own: Reader = {
    ...reader,
    fault(...fault) {
      sound = false;
      reader.fault(...fault);
    },
  };
  const entries = readMap(own, map, "metrics", keys);
  const id = readText(own, entries, "id", { limit: 64, required: map });
  if (id !== undefined && !idPattern.test(id.value)) own.fault(id.place, "bad-metric-id", { text: id.value });
  const rule = withoutAbsent({
    id: id?.value ?? "",
    name: readText(own, entries, "name", { limit: 256 })?.value,
    source: readText(own, entries, "source", { limit: 1024 })?.value,
    validFrom: readDay(own, entries, "validFrom"),
    count: readWord(own, entries, "count", metricBases, map),
    unit: readWord(own, entries, "unit", metricUnits),
    factors: entries.has("factors") ? readFactors(own, entries) : undefined,
    factor: readFactor(own, entries, undefined),
    minimum: readMinimum(own, entries),
    rounding: readRounding(own, entries),
    packSize: readCount(own, entries, "packSize", maxMinimum),
    stacking: readStacking(own, entries),
    virtual: readWord(own, entries, "virtual", virtualTerms),
    userMinimum: readCount(own, entries, "userMinimum", maxMinimum),
  }) as MetricRule;
  const cannot = (key: string, reason: string): void =>
    own.fault(placeOf(own, entries.get(key)?.value ?? map), "bad-metric-rule", { reason });
  if (sound && rule.unit === "user" && rule.userMinimum === undefined) cannot("unit", "unit user needs a userMinimum");
  if (sound && rule.rounding?.level === "pack" && rule.packSize === undefined)
    cannot("rounding", "rounding per pack needs a packSize");
  if (sound && rule.count === "processors" && rule.unit === "core")
    cannot("unit", "processors are not counted in cores");
  if (id !== undefined && sound) return { rule, place: id.place };
  if (id !== undefined) faulty.push({ code: id.value });
  return undefined;
}

function readMinimum(reader: Reader, entries: Entries): MetricRule["minimum"] {
  const inner = readNested(reader, entries, "minimum", ["perProcessor", "perVirtualMachine", "perServer"]);
  return (
    inner &&
    withoutAbsent({
      perProcessor: readCount(reader, inner, "perProcessor", maxMinimum),
      perVirtualMachine: readCount(reader, inner, "perVirtualMachine", maxMinimum),
      perServer: readCount(reader, inner, "perServer", maxMinimum),
    })
  );
}

function readRounding(reader: Reader, entries: Entries): MetricRule["rounding"] {
  const inner = readNested(reader, entries, "rounding", ["level", "direction"]);
  return (
    inner &&
    withoutAbsent({
      level: readWord(reader, inner, "level", roundingLevels),
      direction: readWord(reader, inner, "direction", roundingDirections),
    })
  );
}

/** `unlimited` says what leaving it out means. */
function readStacking(reader: Reader, entries: Entries): number | undefined {
  const node = entries.get("stacking")?.value;
  return isScalar(node) && node.value === "unlimited" ? undefined : readCount(reader, entries, "stacking", maxMinimum);
}

function readFactors(reader: Reader, entries: Entries): readonly MetricFactor[] {
  const lines = readList(reader, entries, "factors", (map): MetricFactor | undefined => {
    const line = readMap(reader, map, "factors", ["cpu", "manufacturer", "os", "factor"]);
    const cpu = readText(reader, line, "cpu", { limit: 256 })?.value;
    const manufacturer = readText(reader, line, "manufacturer", { limit: 256 })?.value;
    const os = readText(reader, line, "os", { limit: 256 })?.value;
    const factor = readFactor(reader, line, map);
    return factor === undefined ? undefined : withoutAbsent({ cpu, manufacturer, os, factor });
  });
  if (lines.length > maxMetricFactors) {
    const node = entries.get("factors")?.value;
    if (node != null)
      reader.fault(placeOf(reader, node), "policy-too-large", {
        limit: `${maxMetricFactors} factors in a rule; it has more`,
      });
  }
  return lines;
}

function readFactor(reader: Reader, entries: Entries, required: YAMLMap | undefined): number | undefined {
  const text = readText(reader, entries, "factor", { limit: 64, ...(required !== undefined && { required }) });
  if (text === undefined) return undefined;
  const value = Number(text.value);
  if (/^\d{1,6}(\.\d{1,3})?$/.test(text.value) && value >= 0.001 && value <= maxFactor) return value;
  reader.fault(text.place, "bad-factor", { text: text.value, limit: maxFactor });
  return undefined;
}

function readDay(reader: Reader, entries: Entries, key: string): string | undefined {
  const text = readText(reader, entries, key, { limit: 64 });
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text.value) ? Date.parse(`${text.value}T00:00:00Z`) : Number.NaN;
  // 2026-02-30 would become a day in March.
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text.value)) return text.value;
  reader.fault(text.place, "bad-date", { text: text.value });
  return undefined;
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function withoutAbsent<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Present<T>;
}
