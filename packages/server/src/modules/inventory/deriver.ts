/**
 * Purpose: facts → soft codes → licences for one device (domain.md §2, §5.2), fast enough to run on every report: which title probes a title
 * satisfies is worked out once per title and policy, so a device costs one array look-up per title.
 * Invariants: pure for a given policy; the same function serves ingest, re-evaluation after a policy change, what-if and reconcile.
 */
import { countUnits, createMetricBook, measuredHardware, type CountStep, type MetricBook } from "@daicho/licensing";
import { compileDictionary, compileRules, type Matcher, type Recognizer } from "@daicho/policy";
import type { Dictionary, LicensePolicy, Machine, Metric, ProbeHit, RecognizedCode, Title } from "@daicho/protocol";
import type { Classifier } from "../licenses/classification/index.ts";
import type { TitleTable } from "./title-table.ts";
import type { KnownTitle } from "./titles.ts";

/** A code an imported inventory came with although its titles do not show it; good while the definition stays the same. */
export interface AssertedCode {
  readonly code: string;
  readonly definition: string | null;
}

export interface DeviceFactsInput {
  /** Sorted title ids. */
  readonly titles: Uint32Array;
  readonly hits: readonly ProbeHit[];
  readonly asserted: readonly AssertedCode[];
  /** Read only where a licence is counted by cores or processors. */
  readonly machine: () => Machine | undefined;
}

export interface DerivedLicense {
  readonly license: string;
  readonly count: number;
}

export interface LicenseInfo {
  readonly code: string;
  readonly name: string;
  /** Absent where the policy leaves it open. */
  readonly metric?: Metric;
  /** The metric rule that counts it. */
  readonly count?: string;
}

export interface Deriver {
  readonly generation: number;
  readonly recognizer: Recognizer;
  readonly matcher: Matcher;
  /** Every licence this policy can count. */
  readonly licenses: readonly LicenseInfo[];
  /** Metric rules of every date. */
  readonly metricRules: MetricBook;
  learn(titles: readonly KnownTitle[]): void;
  /** Metrics in force, where the policy left them open. */
  setMetrics(metrics: ReadonlyMap<string, Metric>): void;
  codes(facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">): readonly string[];
  licensesOf(facts: DeviceFactsInput): readonly DerivedLicense[];
  /** The same without counts. */
  licenseCodes(facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">): readonly string[];
  /** Whether a title satisfies any probe, as far as it has been learnt. */
  tells(title: number): boolean;
  /** How many units of a licence a machine counts as, and how that comes about. */
  unitsOf(license: string, machine: () => Machine | undefined): DerivedUnits;
  /** The titles that show that each licence is used. */
  titlesBehind(facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">): ReadonlyMap<string, readonly number[]>;
  /** undefined where nothing decides about installations: all are managed. */
  readonly classifier: Classifier | undefined;
  readonly titleTable: TitleTable;
}

export interface DerivedUnits {
  readonly metric: Metric;
  readonly units: number;
  /** The metric rule, where one is in force, with what it did step by step. */
  readonly rule?: string;
  readonly steps?: readonly CountStep[];
}

const maxSeen = 20_000;

/** The rest is worked out when it is first asked for. */
interface Seen {
  readonly codes: readonly string[];
  licenses?: readonly string[];
  probesBehind?: ProbesBehind;
}

/** Each licence with the probes that show that it is used. */
type ProbesBehind = readonly (readonly [license: string, probes: ReadonlySet<number>])[];

export function createDeriver(policy: {
  readonly generation: number;
  readonly dictionary: Dictionary | undefined;
  readonly licensePolicy: LicensePolicy | undefined;
  /** The time whose metric rules count, milliseconds. */
  readonly at: number;
  readonly classifier?: Classifier | undefined;
  readonly titleTable: TitleTable;
  /** Of the dictionary, where it was compiled before (in steps). */
  readonly recognizer?: Recognizer;
  readonly matcher?: Matcher;
}): Deriver {
  const recognizer = policy.recognizer ?? compileDictionary(policy.dictionary?.software ?? []);
  const licensePolicy = policy.licensePolicy ?? { daicho: "license-policy/v1", version: 0, rules: [], software: [] };
  const matcher = policy.matcher ?? compileRules(licensePolicy);
  const infos = licenseInfos(matcher, licensePolicy);
  const metricRules = createMetricBook(licensePolicy.metrics ?? []);
  const countedBy = new Map(
    infos.flatMap(({ code, count }) => {
      const metric = count === undefined ? undefined : metricRules.at(count, policy.at);
      return metric === undefined ? [] : [[code, metric]];
    }),
  );
  let metrics: ReadonlyMap<string, Metric> = new Map(
    infos.flatMap((i) => (i.metric === undefined ? [] : [[i.code, i.metric]])),
  );
  /** Title id → the probes it satisfies; most titles satisfy none and have no entry. */
  const probesOf = new Map<number, readonly number[]>();
  /** 1 where a title has an entry: a device asks for hundreds of titles and finds twenty. */
  let marked = new Uint8Array(1 << 16);
  /** What a set of probes amounts to: devices are many, sets are few. */
  const seen = new Map<string, Seen>();

  const recognize = (facts: Pick<DeviceFactsInput, "titles" | "hits">) => {
    const holding: number[] = [];
    const { titles } = facts;
    for (let i = 0; i < titles.length; i++) {
      const title = titles[i] as number;
      if (marked[title] === 1) holding.push(...(probesOf.get(title) as readonly number[]));
    }
    for (const hit of facts.hits) {
      const probe = recognizer.probeIndex(hit.probe);
      if (probe !== undefined) holding.push(probe);
    }
    const key = Uint32Array.from(new Set(holding)).sort().join();
    let known = seen.get(key);
    if (known === undefined) {
      if (seen.size >= maxSeen) seen.clear();
      seen.set(key, (known = { codes: recognizer.recognize(new Set(holding)) }));
    }
    return known;
  };

  const codes: Deriver["codes"] = (facts) => {
    const recognized = recognize(facts).codes;
    if (facts.asserted.length === 0) return recognized;
    const all = new Set(recognized);
    for (const { code, definition } of facts.asserted)
      if (definition === null || definition === recognizer.definitionDigest(code)) all.add(code);
    return [...all];
  };

  const matched = (facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">): readonly string[] => {
    if (facts.asserted.length > 0) return matcher.match(codes(facts)).licenses.map((hit) => hit.license);
    const known = recognize(facts);
    return (known.licenses ??= matcher.match(known.codes).licenses.map((hit) => hit.license));
  };

  const probesBehind = (codes: readonly string[]): ProbesBehind =>
    matcher
      .match(codes)
      .licenses.map(({ license, derivedFrom }) => [
        license,
        new Set(derivedFrom.flatMap((code) => [...recognizer.titleProbesOf(code)])),
      ]);

  const unitsOf: Deriver["unitsOf"] = (license, machine) => {
    const metric = metrics.get(license) ?? "device";
    const rule = metric === "core" || metric === "processor" ? countedBy.get(license) : undefined;
    if (rule === undefined) return { metric, units: countFor(metric, machine) };
    const { units, steps } = countUnits(rule, measuredHardware(machine()?.hardware));
    return { metric, units, rule: rule.rule.id, steps };
  };

  return {
    generation: policy.generation,
    recognizer,
    matcher,
    licenses: infos,
    metricRules,
    learn(titles) {
      for (const title of titles) {
        const probes = recognizer.matchTitle(title);
        if (probes.length === 0) continue;
        probesOf.set(title.id, probes);
        if (title.id >= marked.length) {
          const wider = new Uint8Array(Math.max(title.id + 1, marked.length * 2));
          wider.set(marked);
          marked = wider;
        }
        marked[title.id] = 1;
      }
    },
    setMetrics: (inForce) => void (metrics = inForce),
    classifier: policy.classifier,
    titleTable: policy.titleTable,
    codes,
    titlesBehind(facts) {
      const known = recognize(facts);
      const behind =
        facts.asserted.length > 0 ? probesBehind(codes(facts)) : (known.probesBehind ??= probesBehind(known.codes));
      const telling = Array.from(facts.titles.filter((id) => marked[id] === 1));
      return new Map(
        behind.map(([license, probes]) => [
          license,
          telling.filter((id) => probesOf.get(id)?.some((probe) => probes.has(probe))),
        ]),
      );
    },
    licensesOf(facts) {
      return matched(facts).map((license) => ({ license, count: unitsOf(license, facts.machine).units }));
    },
    licenseCodes: matched,
    tells: (title) => marked[title] === 1,
    unitsOf,
  };
}

/** domain.md §5 "Metrics", where no metric rule is in force: physical cores and sockets as they are, everything else once. */
function countFor(metric: Metric, machine: () => Machine | undefined): number {
  if (metric === "core") return Math.max(1, machine()?.hardware?.cpu?.cores ?? 1);
  if (metric === "processor") return Math.max(1, machine()?.hardware?.cpu?.sockets ?? 1);
  return 1;
}

function licenseInfos(matcher: Matcher, policy: LicensePolicy): readonly LicenseInfo[] {
  const software = new Map(policy.software.map((s) => [s.code, s]));
  const named = new Map<string, { name?: string; metric?: Metric; count?: string }>();
  for (const rule of policy.rules) {
    const code = rule.rule.slice(rule.rule.lastIndexOf("=") + 1).trim();
    const known = named.get(code) ?? {};
    named.set(code, {
      ...known,
      ...(known.name === undefined && rule.name !== undefined && { name: rule.name }),
      ...(known.metric === undefined && rule.metric !== undefined && { metric: rule.metric }),
      ...(known.count === undefined && rule.count !== undefined && { count: rule.count }),
    });
  }
  return matcher.licenses.map((code) => {
    const metric = named.get(code)?.metric ?? (software.get(code)?.metric as Metric | undefined);
    return {
      code,
      name: named.get(code)?.name ?? software.get(code)?.name ?? code,
      ...(metric !== undefined && { metric }),
      ...(named.get(code)?.count !== undefined && { count: named.get(code)?.count as string }),
    };
  });
}

/** Codes with their evidence, for showing a device: the same facts, told at length. */
export function explainCodes(
  deriver: Deriver,
  titles: readonly Title[],
  hits: readonly ProbeHit[],
  asserted: readonly AssertedCode[],
): RecognizedCode[] {
  const codes = deriver.recognizer.recognizeInventory({ titles, hits });
  const known = new Set(codes.map((c) => c.code));
  for (const { code, definition } of asserted)
    if (!known.has(code) && (definition === null || definition === deriver.recognizer.definitionDigest(code)))
      codes.push({ code, evidence: [] });
  return codes;
}
