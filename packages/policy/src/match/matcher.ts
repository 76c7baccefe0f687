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
  isPresent(id: number): boolean;
  isConsumed(id: number): boolean;
}

export function compileRules(policy: LicensePolicy): Matcher {
  const program = compileProgram(policy);
  const evaluate = createEvaluator(program);
  const { codes: names, selected } = program;
  const nameOf = (id: number): string => names[id] ?? "";
  const yielded = new Set(program.rules.map((r) => r.yields));
  const selfRank = new Map(program.selfCounting.map((id, rank) => [id, rank]));

  function read(codes: readonly string[], evaluation: Evaluation): MatchResult {
    const licenses: LicenseHit[] = [];
    const byLicense = new Map<number, Firing[]>();
    for (const firing of evaluation.firings) {
      const list = byLicense.get(firing.rule.yields);
      if (list === undefined) byLicense.set(firing.rule.yields, [firing]);
      else list.push(firing);
    }
    const consumed = new Set<string>();
    for (const [license, firings] of byLicense) {
      const terms = new Set<number>();
      for (const { rule, terms: held } of firings) {
        for (const id of held) {
          terms.add(id);
          if (!rule.shares) consumed.add(nameOf(id));
        }
      }
      const [first] = firings;
      if (first === undefined || evaluation.isConsumed(license) || selected[license] !== true) continue;
      licenses.push({
        license: nameOf(license),
        rule: first.rule.index,
        place: first.rule.place,
        codes: [...terms].map(nameOf),
        derivedFrom: originsOf(terms, byLicense).map(nameOf),
      });
    }
    const own: number[] = [];
    for (const code of codes) {
      const id = program.idOf.get(code);
      if (id !== undefined && selfRank.has(id) && selected[id] === true && !own.includes(id)) own.push(id);
    }
    own.sort((a, b) => (selfRank.get(a) ?? 0) - (selfRank.get(b) ?? 0));
    for (const id of own) {
      const license = nameOf(id);
      licenses.push({ license, rule: null, place: null, codes: [license], derivedFrom: [license] });
    }
    return { licenses, consumed: [...consumed] };
  }

  return {
    licenses: [...yielded, ...program.selfCounting].filter((id) => selected[id] === true).map(nameOf),
    match: (codes) => read(codes, evaluate(codes)),
    explain(recognized) {
      const codes = recognized.map((c) => c.code);
      const evaluation = evaluate(codes);
      return explainWith(program, evaluation, read(codes, evaluation), recognized);
    },
  };
}

function originsOf(terms: ReadonlySet<number>, byLicense: ReadonlyMap<number, readonly Firing[]>): readonly number[] {
  const origins = new Set<number>();
  const seen = new Set<number>();
  const waiting = [...terms].reverse();
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const firings = byLicense.get(id);
    if (firings === undefined) origins.add(id);
    else for (const firing of firings) waiting.push(...firing.terms);
  }
  return [...origins];
}

/** Tries the rules that can hold. Generation stamps make clearing the scratch arrays free. */
function createEvaluator(program: Program): (codes: readonly string[]) => Evaluation {
  const { rules, helps, idOf, unconditional } = program;
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
    for (const code of codes) {
      const id = idOf.get(code);
      if (id !== undefined) setPresent(id);
    }
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
        if (!rule.shares) for (const id of terms) consumedAt[id] = generation;
        setPresent(rule.yields);
      }
    }
    return { firings, isPresent, isConsumed };
  };
}
