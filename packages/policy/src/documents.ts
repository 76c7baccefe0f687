/**
 * Purpose: from the enterprise and local policies and a company's selection to the two documents of domain.md §2: the
 * software dictionary (agents get it) and the licence policy (stays on the server).
 *
 * Selection. A company counts only the licences it selects, but leaving a licence out must not change what the others
 * count. So the documents keep, besides the selected codes, everything that has a bearing on them:
 *   - the rules that yield a needed code, and every code they mention (under NOT too);
 *   - the rules that would consume a needed code - a suite that is not managed still takes its word processor.
 * What is left has no bearing; dropping it changes neither the order of the rest nor what it counts.
 *
 * Invariants: pure and deterministic; rules stand in document order, enterprise before local.
 */
import type { Dictionary, LicensePolicy, Metric, MetricRule, SoftwareDefinition } from "@daicho/protocol";
import { inEditionOrder } from "./check/check.ts";
import { eachTerm } from "./language/expression.ts";
import type { ParsedPolicy, ParsedRule } from "./policy/types.ts";

export interface BuildInput {
  readonly enterprise?: ParsedPolicy | readonly ParsedPolicy[];
  readonly local?: ParsedPolicy | readonly ParsedPolicy[];
  /** Codes selected as licences; absent = all. */
  readonly selected?: readonly string[];
  readonly company: string;
  /** Both documents carry it. */
  readonly dictionaryVersion: number;
  /** RFC 3339. */
  readonly generatedAt: string;
}

export interface BuiltDocuments {
  readonly dictionary: Dictionary;
  readonly licensePolicy: LicensePolicy;
  /** Selected codes that are no licence of these policies (any more); they are left out. */
  readonly unknownSelected: readonly string[];
}

interface PlacedRule {
  readonly rule: ParsedRule;
  readonly place: string;
  readonly positive: ReadonlySet<string>;
  readonly mentioned: ReadonlySet<string>;
}

export function buildDocuments(input: BuildInput): BuiltDocuments {
  const policies = inEditionOrder([...listOf(input.enterprise), ...listOf(input.local)]);
  const software = policies.flatMap((p) => p.software.map((s) => s.definition));
  const metrics = policies.flatMap((p) => p.metrics.map((m) => m.rule));
  const rules = placedRules(policies);
  const licenses = licensesOf(software, rules);

  const selected = input.selected === undefined ? undefined : new Set(input.selected);
  const isSelected = (code: string): boolean => selected === undefined || selected.has(code);
  const needed =
    selected === undefined
      ? undefined
      : closure(
          licenses.filter((l) => selected.has(l.code)),
          rules,
        );

  const dictionary: Dictionary = {
    daicho: "dictionary/v1",
    company: input.company,
    version: input.dictionaryVersion,
    generatedAt: input.generatedAt,
    software: needed === undefined ? software : software.filter((d) => needed.codes.has(d.code)),
  };
  const chosen = licenses.filter((l) => isSelected(l.code));
  const licensePolicy: LicensePolicy = {
    daicho: "license-policy/v1",
    version: input.dictionaryVersion,
    rules: rules
      .filter((r) => needed === undefined || needed.rules.has(r))
      .map(({ rule, place }) => ({ ...rule.rule, place })),
    software: chosen,
    ...(metrics.length === 0 ? {} : { metrics }),
    ...(selected === undefined ? {} : { selected: chosen.map((l) => l.code) }),
  };
  const known = new Set(licenses.map((l) => l.code));
  return { dictionary, licensePolicy, unknownSelected: [...(selected ?? [])].filter((code) => !known.has(code)) };
}

export interface SelectableLicense {
  readonly code: string;
  readonly name: string;
  readonly metric?: Metric;
}

/** Every licence that can be selected: what rules yield, and the software that no rule mentions. In document order. */
export function listLicenses(policies: readonly ParsedPolicy[]): readonly SelectableLicense[] {
  const ordered = inEditionOrder(policies);
  return licensesOf(
    ordered.flatMap((p) => p.software.map((s) => s.definition)),
    placedRules(ordered),
  );
}

function licensesOf(software: readonly SoftwareDefinition[], rules: readonly PlacedRule[]): SelectableLicense[] {
  const yielded = new Map<string, { name?: string; metric?: Metric }>();
  const mentioned = new Set<string>();
  for (const { rule, mentioned: codes } of rules) {
    const code = rule.parsed.yields;
    const known = yielded.get(code) ?? {};
    const name = known.name ?? rule.rule.name;
    const metric = known.metric ?? rule.rule.metric;
    yielded.set(code, { ...(name === undefined ? {} : { name }), ...(metric === undefined ? {} : { metric }) });
    for (const c of codes) mentioned.add(c);
  }
  return [
    ...[...yielded].map(([code, { name, metric }]) => ({
      code,
      name: name ?? code,
      ...(metric === undefined ? {} : { metric }),
    })),
    ...software.filter((d) => !mentioned.has(d.code) && !yielded.has(d.code)).map(({ code, name }) => ({ code, name })),
  ];
}

function placedRules(policies: readonly ParsedPolicy[]): PlacedRule[] {
  const metricRules = new Map(policies.flatMap((p) => p.metrics.map((m) => [m.rule.id, m.rule])));
  return policies.flatMap((policy) =>
    policy.licenses.map((rule) => placed(policy, withMetric(rule, metricRules.get(rule.rule.count ?? "")))),
  );
}

/** A licence that a metric rule counts has the metric that the rule's units say, unless the author says which. */
function withMetric(rule: ParsedRule, counting: MetricRule | undefined): ParsedRule {
  if (counting === undefined || rule.rule.metric !== undefined) return rule;
  const metric = counting.unit === "processor" || counting.count === "processors" ? "processor" : "core";
  return { ...rule, rule: { ...rule.rule, metric } };
}

function placed(policy: ParsedPolicy, rule: ParsedRule): PlacedRule {
  const positive = new Set<string>();
  const mentioned = new Set<string>();
  eachTerm(rule.parsed.expression, (code, negated) => {
    mentioned.add(code);
    if (!negated) positive.add(code);
  });
  const place = `${policy.id}:${rule.place.line}:${rule.place.column}`;
  return { rule, place, positive, mentioned };
}

function closure(
  from: readonly SelectableLicense[],
  rules: readonly PlacedRule[],
): { readonly codes: ReadonlySet<string>; readonly rules: ReadonlySet<PlacedRule> } {
  const concerns = new Map<string, PlacedRule[]>();
  const concern = (code: string, rule: PlacedRule): void => {
    const list = concerns.get(code);
    if (list === undefined) concerns.set(code, [rule]);
    else list.push(rule);
  };
  for (const rule of rules) {
    concern(rule.rule.parsed.yields, rule);
    if (rule.rule.rule.shares !== true) for (const code of rule.positive) concern(code, rule);
  }
  const codes = new Set<string>();
  const kept = new Set<PlacedRule>();
  const waiting = from.map((l) => l.code);
  for (let code = waiting.pop(); code !== undefined; code = waiting.pop()) {
    if (codes.has(code)) continue;
    codes.add(code);
    for (const rule of concerns.get(code) ?? []) {
      if (kept.has(rule)) continue;
      kept.add(rule);
      // What it yields needs no other rules that yield it, but whoever consumes that yield decides whether it counts.
      waiting.push(...rule.mentioned, rule.rule.parsed.yields);
    }
  }
  return { codes, rules: kept };
}

function listOf(policies: ParsedPolicy | readonly ParsedPolicy[] | undefined): readonly ParsedPolicy[] {
  return policies === undefined ? [] : "software" in policies ? [policies] : policies;
}
