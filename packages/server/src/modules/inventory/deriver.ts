/**
 * Purpose: facts → soft codes → licences for one device (domain.md §2, §5.2), fast enough to run on every report: which title probes a title
 * satisfies is worked out once per title and policy, so a device costs one array look-up per title.
 * Invariants: pure for a given policy; the same function serves ingest, re-evaluation after a policy change, what-if and reconcile.
 */
import { compileDictionary, compileRules, type Matcher, type Recognizer } from "@daicho/policy";
import type { Dictionary, LicensePolicy, Machine, Metric, ProbeHit, RecognizedCode, Title } from "@daicho/protocol";
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
}

export interface Deriver {
  readonly generation: number;
  readonly recognizer: Recognizer;
  readonly matcher: Matcher;
  /** Every licence this policy can count. */
  readonly licenses: readonly LicenseInfo[];
  learn(titles: readonly KnownTitle[]): void;
  /** Metrics in force, where the policy left them open. */
  setMetrics(metrics: ReadonlyMap<string, Metric>): void;
  codes(facts: Pick<DeviceFactsInput, "titles" | "hits" | "asserted">): readonly string[];
  licensesOf(facts: DeviceFactsInput): readonly DerivedLicense[];
}

export function createDeriver(policy: {
  readonly generation: number;
  readonly dictionary: Dictionary | undefined;
  readonly licensePolicy: LicensePolicy | undefined;
}): Deriver {
  const recognizer = compileDictionary(policy.dictionary?.software ?? []);
  const licensePolicy = policy.licensePolicy ?? { daicho: "license-policy/v1", version: 0, rules: [], software: [] };
  const matcher = compileRules(licensePolicy);
  const infos = licenseInfos(matcher, licensePolicy);
  let metrics: ReadonlyMap<string, Metric> = new Map(
    infos.flatMap((i) => (i.metric === undefined ? [] : [[i.code, i.metric]])),
  );
  /** Title id → the probes it satisfies; most titles satisfy none and have no entry. */
  const probesOf: (readonly number[] | undefined)[] = [];

  const codes: Deriver["codes"] = (facts) => {
    const holding = new Set<number>();
    for (let i = 0; i < facts.titles.length; i++) {
      const probes = probesOf[facts.titles[i] as number];
      if (probes !== undefined) for (const probe of probes) holding.add(probe);
    }
    for (const hit of facts.hits) {
      const probe = recognizer.probeIndex(hit.probe);
      if (probe !== undefined) holding.add(probe);
    }
    const recognized = recognizer.recognize(holding);
    if (facts.asserted.length === 0) return recognized;
    const all = new Set(recognized);
    for (const { code, definition } of facts.asserted)
      if (definition === null || definition === recognizer.definitionDigest(code)) all.add(code);
    return [...all];
  };

  return {
    generation: policy.generation,
    recognizer,
    matcher,
    licenses: infos,
    learn(titles) {
      for (const title of titles) {
        const probes = recognizer.matchTitle(title);
        if (probes.length > 0) probesOf[title.id] = probes;
      }
    },
    setMetrics: (inForce) => void (metrics = inForce),
    codes,
    licensesOf(facts) {
      return matcher.match(codes(facts)).licenses.map(({ license }) => ({
        license,
        count: countFor(metrics.get(license) ?? "device", facts.machine),
      }));
    },
  };
}

/** domain.md §5 "Metrics": cores and processors count per device, everything else once. Core factors come with entitlement rules. */
function countFor(metric: Metric, machine: () => Machine | undefined): number {
  if (metric === "core") return Math.max(1, machine()?.hardware?.cpu?.cores ?? 1);
  if (metric === "processor") return Math.max(1, machine()?.hardware?.cpu?.sockets ?? 1);
  return 1;
}

function licenseInfos(matcher: Matcher, policy: LicensePolicy): readonly LicenseInfo[] {
  const software = new Map(policy.software.map((s) => [s.code, s]));
  const named = new Map<string, { name?: string; metric?: Metric }>();
  for (const rule of policy.rules) {
    const code = rule.rule.slice(rule.rule.lastIndexOf("=") + 1).trim();
    const known = named.get(code) ?? {};
    named.set(code, {
      ...known,
      ...(known.name === undefined && rule.name !== undefined && { name: rule.name }),
      ...(known.metric === undefined && rule.metric !== undefined && { metric: rule.metric }),
    });
  }
  return matcher.licenses.map((code) => {
    const metric = named.get(code)?.metric ?? (software.get(code)?.metric as Metric | undefined);
    return {
      code,
      name: named.get(code)?.name ?? software.get(code)?.name ?? code,
      ...(metric !== undefined && { metric }),
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
