/**
 * Purpose: the checks that need the whole policy - enterprise and local editions together: codes that nobody defines or
 * that two define, circles, what can never hold, versions that do not rise.
 * Invariants: pure; reports everything it finds, in the order of the files given; a local edition never wins over the
 * enterprise edition. Policies with faults of their own may be passed in (`partial`): the codes of their faulty entries
 * count as known.
 */
import { byPlace, makeFault, type FaultCode, type FaultDetails, type Place, type PolicyFault } from "../faults.ts";
import { eachTerm } from "../language/expression.ts";
import { dependencyOrder } from "../match/program.ts";
import type { ParsedPolicy, ParsedRule } from "../policy/types.ts";
import { findContradiction } from "./contradiction.ts";
import { findCycles } from "./cycles.ts";
import { findUnreachable } from "./reach.ts";
import { isSatisfiable } from "./satisfiable.ts";

export interface CheckOptions {
  /** The versions that are in force; a policy of the same id must come after its own. */
  readonly previous?: readonly { readonly id: string; readonly version: number }[];
}

interface Located {
  readonly policy: ParsedPolicy;
  readonly place: Place;
}

interface LocatedRule extends Located {
  readonly rule: ParsedRule;
}

export function checkPolicies(policies: readonly ParsedPolicy[], options: CheckOptions = {}): PolicyFault[] {
  const faults = new Map<ParsedPolicy, PolicyFault[]>(policies.map((p) => [p, []]));
  const report = ({ policy, place }: Located, code: FaultCode, details: FaultDetails): void => {
    faults.get(policy)?.push(makeFault(policy.file, place, code, details));
  };
  // Enterprise first, whatever the order given: it is the local edition that must give way.
  const ordered = inEditionOrder(policies);
  const rules: LocatedRule[] = ordered.flatMap((policy) =>
    policy.licenses.map((rule) => ({ policy, rule, place: rule.place })),
  );
  checkIds(ordered, options, report);
  checkCodes(ordered, rules, report);
  checkMetrics(rules, report);
  checkMetricRules(ordered, rules, report);
  checkCycles(rules, report);
  checkSatisfiable(ordered, rules, report);
  return policies.flatMap((p) => (faults.get(p) ?? []).sort(byPlace));
}

export function inEditionOrder(policies: readonly ParsedPolicy[]): readonly ParsedPolicy[] {
  return [...policies.filter((p) => p.edition === "enterprise"), ...policies.filter((p) => p.edition === "local")];
}

type Report = (at: Located, code: FaultCode, details: FaultDetails) => void;

function placeText({ policy, place }: Located): string {
  return `${policy.file}:${place.line}:${place.column}`;
}

function checkIds(policies: readonly ParsedPolicy[], options: CheckOptions, report: Report): void {
  const seen = new Map<string, ParsedPolicy>();
  for (const policy of policies) {
    const other = seen.get(policy.id);
    const at = { policy, place: policy.place.id };
    if (other === undefined) seen.set(policy.id, policy);
    else if (policy.id !== "") report(at, "duplicate-policy", { id: policy.id, other: other.file });
    const previous = options.previous?.find((p) => p.id === policy.id);
    if (previous !== undefined && policy.version > 0 && policy.version <= previous.version) {
      const details = { id: policy.id, version: policy.version, previous: previous.version };
      report({ policy, place: policy.place.version }, "version-not-risen", details);
    }
  }
}

/** One code, one meaning: defined by one software entry, or yielded by rules of one edition. */
function checkCodes(policies: readonly ParsedPolicy[], rules: readonly LocatedRule[], report: Report): void {
  const defined = new Map<string, Located>();
  for (const policy of policies) {
    for (const { code, place } of definitionsOf(policy)) {
      const at = { policy, place };
      const other = defined.get(code);
      if (other === undefined) defined.set(code, at);
      else report(at, clash(at, other), { code, other: placeText(other) });
    }
  }
  const yielded = new Map<string, Located>();
  for (const { policy, rule } of rules) {
    const code = rule.parsed.yields;
    const at = { policy, place: rule.placeInRule(rule.parsed.yieldsAt) };
    const software = defined.get(code);
    const other = yielded.get(code);
    if (software !== undefined) {
      // The software entry is the younger one when a local edition defines what an enterprise rule yields.
      const [late, early] = clash(software, at) === "redefined-code" ? [software, at] : [at, software];
      report(late, clash(late, early), { code, other: placeText(early) });
    } else if (other !== undefined && clash(at, other) === "redefined-code") {
      report(at, "redefined-code", { code, other: placeText(other) });
    }
    if (other === undefined) yielded.set(code, at);
  }
  const known = new Set([...defined.keys(), ...yielded.keys(), ...faultyCodesOf(policies)]);
  // The enterprise edition stands by itself: it is the same in companies with other local editions.
  const isEnterprise = (policy: ParsedPolicy): boolean => policy.edition === "enterprise";
  const ofEnterprise = new Set([
    ...policies.filter(isEnterprise).flatMap((p) => definitionsOf(p).map(({ code }) => code)),
    ...rules.filter(({ policy }) => isEnterprise(policy)).map(({ rule }) => rule.parsed.yields),
    ...faultyCodesOf(policies.filter(isEnterprise)),
  ]);
  for (const { policy, rule } of rules) {
    const usable = isEnterprise(policy) ? ofEnterprise : known;
    eachTerm(rule.parsed.expression, (code, _negated, at) => {
      if (!usable.has(code)) report({ policy, place: rule.placeInRule(at) }, "unknown-code", { code });
    });
  }
}

function faultyCodesOf(policies: readonly ParsedPolicy[]): readonly string[] {
  return policies.flatMap((p) => p.faultyCodes.map(({ code }) => code));
}

/** Down the page, the faulty ones too: a fault in a definition does not hide that its code is taken. */
function definitionsOf({ software, faultyCodes }: ParsedPolicy): readonly { code: string; place: Place }[] {
  const sound = software.map(({ definition, place }) => ({ code: definition.code, place }));
  const faulty = faultyCodes.flatMap(({ code, definedAt }) => (definedAt ? [{ code, place: definedAt }] : []));
  if (faulty.length === 0) return sound;
  return [...sound, ...faulty].sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

function clash(at: Located, other: Located): "redefined-code" | "duplicate-code" {
  return at.policy.edition === "local" && other.policy.edition === "enterprise" ? "redefined-code" : "duplicate-code";
}

function checkMetrics(rules: readonly LocatedRule[], report: Report): void {
  const first = new Map<string, LocatedRule>();
  for (const located of rules) {
    const { policy, rule } = located;
    const { metric } = rule.rule;
    if (metric === undefined) continue;
    const code = rule.parsed.yields;
    const other = first.get(code);
    if (other === undefined) first.set(code, located);
    else if (other.rule.rule.metric !== metric) {
      const details = { code, metric, otherMetric: other.rule.rule.metric ?? "", other: placeText(other) };
      report({ policy, place: rule.metricPlace ?? rule.place }, "metric-conflict", details);
    }
  }
}

/** A metric rule is known by its id and the day it begins; what a licence is counted by is known, and the same in all its rules. */
function checkMetricRules(policies: readonly ParsedPolicy[], rules: readonly LocatedRule[], report: Report): void {
  const defined = new Map<string, Located>();
  const firstOf = new Map<string, Located>();
  for (const policy of policies)
    for (const { rule, place } of policy.metrics) {
      const at = { policy, place };
      const key = `${rule.id} ${rule.validFrom ?? ""}`;
      const first = firstOf.get(rule.id);
      const other = defined.get(key);
      if (first !== undefined && clash(at, first) === "redefined-code")
        report(at, "redefined-metric-rule", { id: rule.id, other: placeText(first) });
      else if (other !== undefined) report(at, "duplicate-metric-rule", { id: rule.id, other: placeText(other) });
      if (first === undefined) firstOf.set(rule.id, at);
      if (other === undefined) defined.set(key, at);
    }
  const known = new Map<string, { readonly enterprise: boolean }>();
  for (const policy of policies)
    for (const id of [...policy.metrics.map((m) => m.rule.id), ...faultyCodesOf([policy])])
      if (!known.has(id)) known.set(id, { enterprise: policy.edition === "enterprise" });

  const metricOf = new Map<string, string>();
  for (const { rule } of rules)
    if (rule.rule.metric !== undefined && !metricOf.has(rule.parsed.yields))
      metricOf.set(rule.parsed.yields, rule.rule.metric);
  const counted = new Map<string, LocatedRule>();
  for (const located of rules) {
    const { policy, rule } = located;
    const id = rule.rule.count;
    if (id === undefined) continue;
    const at = { policy, place: rule.countPlace ?? rule.place };
    const code = rule.parsed.yields;
    const found = known.get(id);
    if (found === undefined || (policy.edition === "enterprise" && !found.enterprise))
      report(at, "unknown-metric-rule", { id });
    const metric = metricOf.get(code);
    if (metric !== undefined && metric !== "core" && metric !== "processor")
      report(at, "count-needs-units", { metric });
    const other = counted.get(code);
    if (other === undefined) counted.set(code, located);
    else if (other.rule.rule.count !== id)
      report(at, "count-conflict", { code, id, otherId: other.rule.rule.count ?? "", other: placeText(other) });
  }
}

function checkCycles(rules: readonly LocatedRule[], report: Report): void {
  const edges = rules.map(({ rule }) => {
    const needs = new Set<string>();
    eachTerm(rule.parsed.expression, (code) => needs.add(code));
    return { yields: rule.parsed.yields, needs: [...needs] };
  });
  for (const cycle of findCycles(edges)) {
    const at = rules[cycle.rule];
    if (at !== undefined) report(at, "cycle", { codes: cycle.codes.join(" → ") });
  }
}

function checkSatisfiable(policies: readonly ParsedPolicy[], rules: readonly LocatedRule[], report: Report): void {
  const sound = rules.filter(({ policy, rule }) => {
    if (isSatisfiable(rule.parsed.expression, (code) => code)) return true;
    report({ policy, place: rule.place }, "never-holds", { reason: "its terms contradict each other" });
    return false;
  });
  // What a faulty rule would have yielded is not known: its code counts as one that may be found.
  const faulty = new Set(faultyCodesOf(policies));
  const tried = sound
    .filter(({ rule }) => !faulty.has(rule.parsed.yields))
    .map((located) => ({ ...located.rule.parsed, shares: located.rule.rule.shares === true, located }));
  for (const { located } of findUnreachable(dependencyOrder(tried).order)) {
    const reason = "the codes that its terms are derived from contradict each other";
    report({ policy: located.policy, place: located.rule.place }, "never-holds", { reason });
  }
  for (const policy of policies) {
    for (const software of policy.software) {
      let reason: string | undefined;
      const isImpossible = (contradiction: string | undefined): boolean => {
        reason ??= contradiction;
        return contradiction !== undefined;
      };
      const possible = isSatisfiable(
        software.condition,
        (probe) => probe.text,
        (probe) => isImpossible(findContradiction(probe)),
      );
      if (possible) continue;
      const place = software.placeInCondition(leading(software.definition.detect));
      report({ policy, place }, "never-holds", { reason: reason ?? "its probes contradict each other" });
    }
  }
}

function leading(text: string): number {
  return text.length - text.trimStart().length;
}
