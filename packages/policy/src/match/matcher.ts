/**
 * Purpose: which licences a device uses, from the soft codes found on it (domain.md §2).
 *
 * Rules are tried once each, in the order of program.ts. A rule holds by its terms:
 *   - a term outside NOT holds when its code is on the device (found, or derived by an earlier rule) and not consumed;
 *   - a term under NOT asks only whether the code is on the device, consumed or not: a suite that was counted still
 *     excludes what its presence excludes.
 * A rule that holds derives its code and consumes the codes of the terms that hold in it (every side of an OR that holds;
 * nothing under NOT; nothing at all with `shares: true`). A licence is a derived code that nothing consumed, or a code
 * that counts as itself. It counts once per device, however many rules yield it.
 *
 * Invariants: the answer does not depend on the order or repetition of the codes. `match` touches only the rules that a
 * code of the device can make hold. Calls do not overlap (one thread), so the scratch arrays are reused.
 */
import type { LicensePolicy, RecognizedCode } from "@daicho/protocol";
import type { Expression } from "../language/expression.ts";
import { explainWith, type Explanation } from "./explain.ts";
import { compileProgram, type CompiledRule, type Program } from "./program.ts";

export interface LicenseHit {
  readonly license: string;
  /** Index of the rule in the licence policy; null for a code that counts as itself. */
  readonly rule: number | null;
  /** Place of that rule; null for a code that counts as itself. */
  readonly place: string | null;
  /** The codes of the terms that held, over all rules that yielded the licence; what was consumed, unless shared. */
  readonly codes: readonly string[];
  /** The codes found on the device that these go back to: `codes` with every derived code followed to its own. */
  readonly derivedFrom: readonly string[];
}

export interface MatchResult {
  /** In the order of the rules, then the codes that count as themselves in document order. */
  readonly licenses: readonly LicenseHit[];
  readonly consumed: readonly string[];
}

export interface Matcher {
  /** The licences that can be counted under this policy: what rules yield, and what counts as itself. */
  readonly licenses: readonly string[];
  match(codes: readonly string[]): MatchResult;
  explain(codes: readonly RecognizedCode[]): Explanation;
}

/** A rule that held, with the codes of its holding terms. */
export interface Firing {
  readonly rule: CompiledRule;
  readonly terms: readonly number[];
}

/** What one evaluation leaves behind; explain.ts reads it. */
export interface Evaluation {
  readonly firings: readonly Firing[];
  /** Each once: what is consumed holds in no later rule. */
  readonly consumed: readonly number[];
  /** The found codes that count as themselves, in document order. */
  readonly selfCounting: readonly number[];
  isPresent(id: number): boolean;
  isConsumed(id: number): boolean;
}

export function compileRules(policy: LicensePolicy): Matcher {
  const program = compileProgram(policy);
  const evaluate = createEvaluator(program);
  const { codes: names, selected } = program;
  const nameOf = (id: number): string => names[id] ?? "";
  const rulesYielding = new Map<number, number>();
  for (const { yields } of program.rules) rulesYielding.set(yields, (rulesYielding.get(yields) ?? 0) + 1);
  const isDerived = (id: number): boolean => rulesYielding.has(id);

  function read(evaluation: Evaluation): MatchResult {
    const { firings } = evaluation;
    const licenses: LicenseHit[] = [];
    for (const firing of firings) {
      const { rule, terms } = firing;
      const license = rule.yields;
      if (selected[license] !== true || evaluation.isConsumed(license)) continue;
      let all: readonly number[] = terms;
      if (rulesYielding.get(license) !== 1) {
        const same = firings.filter((f) => f.rule.yields === license);
        if (same[0] !== firing) continue;
        all = [...new Set(same.flatMap((f) => f.terms))];
      }
      const held = all.map(nameOf);
      licenses.push({
        license: nameOf(license),
        rule: rule.index,
        place: rule.place,
        codes: held,
        derivedFrom: all.some(isDerived) ? originsOf(all, firings).map(nameOf) : held,
      });
    }
    for (const id of evaluation.selfCounting) {
      if (selected[id] !== true) continue;
      const license = nameOf(id);
      const codes = [license];
      licenses.push({ license, rule: null, place: null, codes, derivedFrom: codes });
    }
    return { licenses, consumed: evaluation.consumed.map(nameOf) };
  }

  return {
    licenses: [...rulesYielding.keys(), ...program.selfCounting].filter((id) => selected[id] === true).map(nameOf),
    match: (codes) => read(evaluate(codes)),
    explain(recognized) {
      const codes = recognized.map((c) => c.code);
      const evaluation = evaluate(codes);
      return explainWith(program, evaluation, read(evaluation), recognized);
    },
  };
}

/** Follows derived codes back to the codes they came from, left to right. */
function originsOf(terms: readonly number[], firings: readonly Firing[]): readonly number[] {
  const origins = new Set<number>();
  const seen = new Set<number>();
  const waiting = [...terms].reverse();
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const from = firings.filter((f) => f.rule.yields === id);
    if (from.length === 0) origins.add(id);
    for (const firing of from.reverse()) waiting.push(...[...firing.terms].reverse());
  }
  return [...origins];
}

/** Tries the rules that can hold. Generation stamps make clearing the scratch arrays free. */
function createEvaluator(program: Program): (codes: readonly string[]) => Evaluation {
  const { rules, helps, idOf, unconditional } = program;
  const countsAsItself = new Uint8Array(program.codes.length);
  for (const id of program.selfCounting) countsAsItself[id] = 1;
  const size = program.codes.length;
  const presentAt = new Uint32Array(size);
  const consumedAt = new Uint32Array(size);
  const pending = new Uint32Array((rules.length + 31) >>> 5);
  let generation = 0;

  const isPresent = (id: number): boolean => presentAt[id] === generation;
  const isConsumed = (id: number): boolean => consumedAt[id] === generation;

  function setPresent(id: number): void {
    if (presentAt[id] === generation) return;
    presentAt[id] = generation;
    for (const position of helps[id] ?? []) pend(position);
  }
  function pend(position: number): void {
    const word = position >>> 5;
    pending[word] = (pending[word] ?? 0) | (1 << (position & 31));
  }

  function isMet(expression: Expression<number>, negated: boolean): boolean {
    switch (expression.op) {
      case "term":
        return isPresent(expression.term) && (negated || !isConsumed(expression.term));
      case "not":
        return !isMet(expression.of, true);
      case "and":
        for (const e of expression.of) if (!isMet(e, negated)) return false;
        return true;
      case "or":
        for (const e of expression.of) if (isMet(e, negated)) return true;
        return false;
    }
  }

  /** Of an expression that holds: every member of an AND, every holding side of an OR, nothing under NOT. */
  function collect(expression: Expression<number>, into: number[]): void {
    switch (expression.op) {
      case "term":
        if (!into.includes(expression.term)) into.push(expression.term);
        return;
      case "not":
        return;
      case "and":
        for (const e of expression.of) collect(e, into);
        return;
      case "or":
        for (const e of expression.of) if (isMet(e, false)) collect(e, into);
    }
  }

  return (codes) => {
    generation = generation === 0xffffffff ? 1 : generation + 1;
    if (generation === 1) {
      presentAt.fill(0);
      consumedAt.fill(0);
    }
    const firings: Firing[] = [];
    const consumed: number[] = [];
    const selfCounting: number[] = [];
    for (const code of codes) {
      const id = idOf.get(code);
      if (id === undefined || isPresent(id)) continue;
      setPresent(id);
      if (countsAsItself[id] === 1) selfCounting.push(id);
    }
    // Ids of such codes were given in document order, after those of all rules.
    selfCounting.sort((a, b) => a - b);
    for (const position of unconditional) pend(position);
    // A rule only ever derives codes for rules behind it, so one pass in order is enough.
    for (let word = 0; word < pending.length; word++) {
      for (let bits = pending[word] ?? 0; bits !== 0; bits = pending[word] ?? 0) {
        const lowest = bits & -bits;
        pending[word] = bits & ~lowest;
        const rule = rules[word * 32 + (31 - Math.clz32(lowest))];
        if (rule === undefined || !isMet(rule.expression, false)) continue;
        const terms: number[] = [];
        collect(rule.expression, terms);
        firings.push({ rule, terms });
        if (!rule.shares) {
          for (const id of terms) {
            consumedAt[id] = generation;
            consumed.push(id);
          }
        }
        setPresent(rule.yields);
      }
    }
    return { firings, consumed, selfCounting, isPresent, isConsumed };
  };
}
