/**
 * Purpose: licence rules compiled to numbers: codes are dense ids, rules stand in the order in which they are tried.
 *
 * The order (domain.md §2, "dependency order, then document order"): a rule depends on the rules that yield a code it
 * mentions, positively or under NOT. Among the rules whose dependencies have been tried, the one that stands first in the
 * document is next. So independent rules keep document order and nothing else decides.
 *
 * Fails with PolicyError on text that does not parse or goes in a circle; checkPolicies refuses both before.
 */
import type { LicensePolicy } from "@daicho/protocol";
import { makeFault, PolicyError, type PolicyFault } from "../faults.ts";
import { eachTerm, holds, mapTerms, type Expression } from "../language/expression.ts";
import { parseRule } from "../language/rule.ts";

export interface CompiledRule {
  /** Index in the document. */
  readonly index: number;
  readonly text: string;
  readonly place: string;
  readonly shares: boolean;
  readonly yields: number;
  readonly expression: Expression<number>;
}

export interface Program {
  /** In the order in which they are tried. */
  readonly rules: readonly CompiledRule[];
  readonly codes: readonly string[];
  readonly idOf: ReadonlyMap<string, number>;
  /** Per code: positions (in `rules`) of the rules that it can make hold, ascending. */
  readonly helps: readonly (readonly number[])[];
  /** Positions of the rules that hold on a device with no code at all. */
  readonly unconditional: readonly number[];
  /** Ids of the codes that count as themselves: no rule mentions them. Ascending, which is document order. */
  readonly selfCounting: readonly number[];
  /** Per code: whether it is selected as a licence. */
  readonly selected: readonly boolean[];
}

export function compileProgram(policy: LicensePolicy): Program {
  const codes: string[] = [];
  const idOf = new Map<string, number>();
  const intern = (code: string): number => {
    let id = idOf.get(code);
    if (id === undefined) idOf.set(code, (id = codes.push(code) - 1));
    return id;
  };

  const faults: PolicyFault[] = [];
  const written: CompiledRule[] = [];
  for (const [index, rule] of policy.rules.entries()) {
    const parsed = parseRule(rule.rule);
    if (parsed.value === undefined) {
      for (const f of parsed.faults)
        faults.push(makeFault(rule.place, { line: 1, column: f.at + 1 }, f.code, f.details));
      continue;
    }
    written.push({
      index,
      text: rule.rule,
      place: rule.place,
      shares: rule.shares === true,
      yields: intern(parsed.value.yields),
      expression: mapTerms(parsed.value.expression, intern),
    });
  }
  const rules = inOrder(written, codes, faults);
  if (faults.length > 0) throw new PolicyError(faults);

  const mentioned = new Set<number>();
  for (const rule of written) {
    mentioned.add(rule.yields);
    eachTerm(rule.expression, (id) => mentioned.add(id));
  }
  const selfCounting: number[] = [];
  for (const { code } of policy.software) {
    const id = intern(code);
    if (!mentioned.has(id)) {
      mentioned.add(id);
      selfCounting.push(id);
    }
  }
  const helps: number[][] = codes.map(() => []);
  const unconditional: number[] = [];
  for (const [position, rule] of rules.entries()) {
    eachHelpingTerm(rule.expression, true, (id) => {
      const list = helps[id];
      if (list !== undefined && list[list.length - 1] !== position) list.push(position);
    });
    if (holds(rule.expression, () => false)) unconditional.push(position);
  }
  const selection = policy.selected === undefined ? undefined : new Set(policy.selected);
  return {
    rules,
    codes,
    idOf,
    helps,
    unconditional,
    selfCounting,
    selected: codes.map((code) => selection === undefined || selection.has(code)),
  };
}

/** The terms whose presence can turn the expression true: those under an even number of NOTs. */
function eachHelpingTerm(e: Expression<number>, helpful: boolean, visit: (id: number) => void): void {
  switch (e.op) {
    case "term":
      if (helpful) visit(e.term);
      return;
    case "not":
      eachHelpingTerm(e.of, !helpful, visit);
      return;
    case "and":
    case "or":
      for (const member of e.of) eachHelpingTerm(member, helpful, visit);
  }
}

function inOrder(written: readonly CompiledRule[], codes: readonly string[], faults: PolicyFault[]): CompiledRule[] {
  const { order, stuck } = dependencyOrder(written);
  if (stuck.length > 0) {
    const names = [...new Set(stuck.map((r) => codes[r.yields] ?? ""))].join(", ");
    faults.push(makeFault(stuck[0]?.place ?? "", { line: 1, column: 1 }, "cycle", { codes: names }));
  }
  return order;
}

/** The order in which rules are tried, and those that wait for each other in a circle. */
export function dependencyOrder<C, R extends { readonly yields: C; readonly expression: Expression<C> }>(
  written: readonly R[],
): { readonly order: R[]; readonly stuck: R[] } {
  const yieldedBy = new Map<C, number[]>();
  for (const [i, rule] of written.entries()) {
    const list = yieldedBy.get(rule.yields);
    if (list === undefined) yieldedBy.set(rule.yields, [i]);
    else list.push(i);
  }
  const waitingFor = written.map(() => 0);
  const dependents: number[][] = written.map(() => []);
  for (const [i, rule] of written.entries()) {
    const terms = new Set<C>();
    eachTerm(rule.expression, (id) => terms.add(id));
    for (const id of terms) {
      for (const source of yieldedBy.get(id) ?? []) {
        dependents[source]?.push(i);
        waitingFor[i] = (waitingFor[i] ?? 0) + 1;
      }
    }
  }
  const ready = createHeap();
  for (const [i, count] of waitingFor.entries()) if (count === 0) ready.push(i);
  const order: R[] = [];
  for (let i = ready.pop(); i !== undefined; i = ready.pop()) {
    const rule = written[i];
    if (rule !== undefined) order.push(rule);
    for (const d of dependents[i] ?? []) {
      const left = (waitingFor[d] ?? 0) - 1;
      waitingFor[d] = left;
      if (left === 0) ready.push(d);
    }
  }
  return { order, stuck: order.length === written.length ? [] : written.filter((_, i) => (waitingFor[i] ?? 0) > 0) };
}

/** A smallest-first heap of numbers. */
function createHeap(): { push(value: number): void; pop(): number | undefined } {
  const heap: number[] = [];
  const at = (i: number): number => heap[i] ?? Infinity;
  const swap = (i: number, j: number): void => {
    [heap[i], heap[j]] = [at(j), at(i)];
  };
  return {
    push(value) {
      let i = heap.push(value) - 1;
      for (let parent = (i - 1) >> 1; i > 0 && at(i) < at(parent); i = parent, parent = (i - 1) >> 1) swap(i, parent);
    },
    pop() {
      const top = heap[0];
      const last = heap.pop();
      if (heap.length === 0 || last === undefined) return top;
      heap[0] = last;
      for (let i = 0; ;) {
        const child = at(2 * i + 2) < at(2 * i + 1) ? 2 * i + 2 : 2 * i + 1;
        if (at(child) >= at(i)) return top;
        swap(i, child);
        i = child;
      }
    },
  };
}
