/**
 * Purpose: why. For every licence on a device the rule, its place, the codes and the evidence they came from; for every
 * rule that gave no licence, the first term that failed (contract.md, `policy explain --json`).
 * Invariants: reads the evaluation that `match` made, so the two cannot disagree.
 */
import type { Evidence, RecognizedCode } from "@daicho/protocol";
import type { Expression } from "../language/expression.ts";
import type { Evaluation, Firing, MatchResult } from "./matcher.ts";
import type { CompiledRule, Program } from "./program.ts";

export interface ExplainedLicense {
  readonly license: string;
  /** The rule as written; null for a code that counts as itself. */
  readonly rule: string | null;
  readonly place: string | null;
  readonly codes: readonly string[];
  readonly derivedFrom: readonly string[];
  readonly evidence: readonly Evidence[];
  /** Other rules that held and yield the same licence: it counts once. */
  readonly also?: readonly { readonly rule: string; readonly place: string }[];
}

/**
 * Why a rule gave no licence. `absent`: the code is not on the device. `consumed`: another rule used it up.
 * `excluded`: it is there and a NOT forbids it. `used`: the rule held, and a later rule used up what it yields.
 * `unselected`: the rule held, and the licence is not among those this company manages.
 */
export type Reason = "absent" | "consumed" | "excluded" | "used" | "unselected";

export interface NotMatched {
  readonly license: string;
  readonly rule: string;
  readonly place: string;
  /** The term that decided. */
  readonly term: string;
  readonly reason: Reason;
  readonly because: string;
}

export interface Explanation {
  readonly codes: readonly RecognizedCode[];
  readonly licenses: readonly ExplainedLicense[];
  /** In document order. */
  readonly notMatched: readonly NotMatched[];
}

export function explainWith(
  program: Program,
  evaluation: Evaluation,
  result: MatchResult,
  recognized: readonly RecognizedCode[],
): Explanation {
  const nameOf = (id: number): string => program.codes[id] ?? "";
  const evidenceOf = new Map<string, readonly Evidence[]>();
  for (const { code, evidence } of recognized) if (!evidenceOf.has(code)) evidenceOf.set(code, evidence);
  const firingOf = new Map<CompiledRule, Firing>(evaluation.firings.map((f) => [f.rule, f]));
  const positionOf = new Map(program.rules.map((rule, position) => [rule, position]));
  const consumers = new Map<number, CompiledRule>();
  for (const { rule, terms } of evaluation.firings) {
    if (!rule.shares) for (const id of terms) if (!consumers.has(id)) consumers.set(id, rule);
  }

  const licenses = result.licenses.map((hit): ExplainedLicense => {
    const holding = evaluation.firings.filter((f) => nameOf(f.rule.yields) === hit.license);
    const also = holding.slice(1).map(({ rule }) => ({ rule: rule.text, place: rule.place }));
    const evidence = new Map<string, Evidence>();
    for (const code of hit.derivedFrom) {
      for (const e of evidenceOf.get(code) ?? []) evidence.set(JSON.stringify(e), e);
    }
    return {
      license: hit.license,
      rule: holding[0]?.rule.text ?? null,
      place: hit.place,
      codes: hit.codes,
      derivedFrom: hit.derivedFrom,
      evidence: [...evidence.values()],
      ...(also.length === 0 ? {} : { also }),
    };
  });

  const notMatched: NotMatched[] = [];
  for (const rule of [...program.rules].sort((a, b) => a.index - b.index)) {
    const license = nameOf(rule.yields);
    const say = (term: number, reason: Reason, because: string): void => {
      notMatched.push({ license, rule: rule.text, place: rule.place, term: nameOf(term), reason, because });
    };
    if (firingOf.has(rule)) {
      const user = consumers.get(rule.yields);
      if (user !== undefined) {
        say(rule.yields, "used", `${license} was consumed by ${nameOf(user.yields)} (${user.place}: ${user.text})`);
      } else if (program.selected[rule.yields] !== true) {
        say(rule.yields, "unselected", `${license} is not selected as a licence`);
      }
      continue;
    }
    const before = positionOf.get(rule) ?? 0;
    const consumerBefore = (id: number): CompiledRule | undefined => {
      const consumer = consumers.get(id);
      return consumer !== undefined && (positionOf.get(consumer) ?? 0) < before ? consumer : undefined;
    };
    const failure = firstFailure(rule.expression, evaluation, (id) => consumerBefore(id) !== undefined);
    if (failure === undefined) continue;
    const code = nameOf(failure.term);
    const consumer = consumerBefore(failure.term);
    if (failure.negated) say(failure.term, "excluded", `excluded by NOT ${code}: ${code} is on the device`);
    else if (consumer !== undefined) {
      say(
        failure.term,
        "consumed",
        `${code} was consumed by ${nameOf(consumer.yields)} (${consumer.place}: ${consumer.text})`,
      );
    } else say(failure.term, "absent", `${code} is not on the device`);
  }
  return { codes: recognized, licenses, notMatched };
}

interface Failure {
  readonly term: number;
  readonly negated: boolean;
}

/** The leftmost term to blame for an expression that does not hold; undefined for one that does. */
function firstFailure(
  expression: Expression<number>,
  evaluation: Evaluation,
  isConsumed: (id: number) => boolean,
): Failure | undefined {
  const isMet = (e: Expression<number>, negated: boolean): boolean => {
    switch (e.op) {
      case "term":
        return evaluation.isPresent(e.term) && (negated || !isConsumed(e.term));
      case "not":
        return !isMet(e.of, true);
      case "and":
        return e.of.every((m) => isMet(m, negated));
      case "or":
        return e.of.some((m) => isMet(m, negated));
    }
  };
  /** A term that makes `e` come out as it did, `wanted` being what it should have been. */
  const blame = (e: Expression<number>, wanted: boolean, negated: boolean): Failure => {
    switch (e.op) {
      case "term":
        return { term: e.term, negated: !wanted };
      case "not":
        return blame(e.of, !wanted, true);
      case "and":
      case "or": {
        const guilty = e.of.find((m) => isMet(m, negated) !== wanted) ?? e.of[0];
        return guilty === undefined ? { term: -1, negated } : blame(guilty, wanted, negated);
      }
    }
  };
  return isMet(expression, false) ? undefined : blame(expression, true, false);
}
