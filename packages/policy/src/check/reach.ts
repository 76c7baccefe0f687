/**
 * Purpose: licence rules that hold on no device because of what the codes they mention are derived from: `@A AND NOT @B = @D` leaves
 * `@D AND @B = @E` without a device.
 * Invariants: a rule is named only when no set of found codes makes it hold, by the very semantics of match/matcher.ts, and
 * none would if nothing were ever consumed either: that an earlier rule takes a code first is precedence, no contradiction.
 * The search is bounded in rules, codes and steps; what it cannot settle counts as possible.
 */
import { eachTerm, type Expression } from "../language/expression.ts";

const maxRules = 200;
const maxCodes = 400;
const stepLimit = 2_000;

/** undefined: not known yet. */
type Known = boolean | undefined;

export interface ReachRule {
  readonly yields: string;
  readonly shares: boolean;
  readonly expression: Expression<string>;
}

/** `rules` in the order in which they are tried; none of them depends on itself. */
export function findUnreachable<R extends ReachRule>(rules: readonly R[]): readonly R[] {
  const relations = relationsOf(rules);
  return rules.filter(
    (_, position) => !canHold(rules, relations, position, false) && !canHold(rules, relations, position, true),
  );
}

interface Relations {
  /** Per code: positions of the rules that yield it; of those that consume it. */
  readonly yieldedBy: ReadonlyMap<string, readonly number[]>;
  readonly consumedBy: ReadonlyMap<string, readonly number[]>;
}

function relationsOf(rules: readonly ReachRule[]): Relations {
  const yieldedBy = new Map<string, number[]>();
  const consumedBy = new Map<string, number[]>();
  const add = (map: Map<string, number[]>, code: string, position: number): void => {
    const list = map.get(code);
    if (list === undefined) map.set(code, [position]);
    else if (list.at(-1) !== position) list.push(position);
  };
  for (const [position, rule] of rules.entries()) {
    add(yieldedBy, rule.yields, position);
    if (rule.shares) continue;
    eachTerm(rule.expression, (code, negated) => {
      if (!negated) add(consumedBy, code, position);
    });
  }
  return { yieldedBy, consumedBy };
}

function canHold(all: readonly ReachRule[], relations: Relations, position: number, consuming: boolean): boolean {
  const cone = coneOf(all, relations, position, consuming);
  if (cone === undefined) return true;
  const { rules, wanted } = cone;
  const codes = [...wanted.keys()];
  const found = new Map(wanted);
  if (holdsOn(rules, found, consuming) === true) return true;

  found.clear();
  let steps = 0;
  const search = (at: number): boolean => {
    if (++steps > stepLimit) return true;
    const known = holdsOn(rules, found, consuming);
    const code = codes[at];
    if (known !== undefined || code === undefined) return known ?? true;
    const first = wanted.get(code) ?? false;
    for (const value of [first, !first]) {
      found.set(code, value);
      if (search(at + 1)) return true;
    }
    found.delete(code);
    return false;
  };
  return search(0);
}

interface Cone {
  /** All rules that bear on the last one, in the order in which they are tried. */
  readonly rules: readonly ReachRule[];
  /** The codes to be found on a device, nearest to the last rule first, with the more promising value of each. */
  readonly wanted: ReadonlyMap<string, boolean>;
}

function coneOf(
  all: readonly ReachRule[],
  { yieldedBy, consumedBy }: Relations,
  last: number,
  consuming: boolean,
): Cone | undefined {
  const wanted = new Map<string, boolean>();
  const promising = new Map([[last, true]]);
  for (const [position, promise] of promising) {
    const rule = all[position];
    if (rule === undefined) continue;
    eachTerm(rule.expression, (code, negated) => {
      const sources = yieldedBy.get(code);
      if (sources === undefined && !wanted.has(code)) wanted.set(code, promise && !negated);
      for (const source of sources ?? []) if (!promising.has(source)) promising.set(source, promise && !negated);
      if (!consuming || negated) return;
      for (const consumer of consumedBy.get(code) ?? [])
        if (consumer < position && !promising.has(consumer)) promising.set(consumer, false);
    });
    if (promising.size > maxRules || wanted.size > maxCodes) return undefined;
  }
  const rules = [...promising.keys()].sort((a, b) => a - b).flatMap((position) => all[position] ?? []);
  return { rules, wanted };
}

/** Whether the last rule holds on a device of which only so much is known. */
function holdsOn(rules: readonly ReachRule[], found: ReadonlyMap<string, boolean>, consuming: boolean): Known {
  const derived = new Map<string, Known>(rules.map((rule) => [rule.yields, false]));
  const consumed = new Map<string, Known>();
  const isPresent = (code: string): Known => (derived.has(code) ? derived.get(code) : found.get(code));
  const isFree = (code: string): Known => not(consumed.has(code) ? consumed.get(code) : false);

  const meets = (e: Expression<string>, negated: boolean): Known => {
    switch (e.op) {
      case "term":
        return negated ? isPresent(e.term) : and(isPresent(e.term), isFree(e.term));
      case "not":
        return not(meets(e.of, true));
      case "and":
        return e.of.reduce<Known>((all, member) => (all === false ? false : and(all, meets(member, negated))), true);
      case "or":
        return e.of.reduce<Known>((any, member) => (any === true ? true : or(any, meets(member, negated))), false);
    }
  };
  /** Of an expression that holds as far as `holding` says: what it consumes. */
  const consume = (e: Expression<string>, holding: Known, into: [string, Known][]): void => {
    if (holding === false || e.op === "not") return;
    if (e.op === "term") into.push([e.term, holding]);
    else
      for (const member of e.of) consume(member, e.op === "and" ? holding : and(holding, meets(member, false)), into);
  };

  let holding: Known = false;
  for (const rule of rules) {
    holding = meets(rule.expression, false);
    derived.set(rule.yields, or(derived.get(rule.yields), holding));
    if (!consuming || rule.shares) continue;
    const taken: [string, Known][] = [];
    consume(rule.expression, holding, taken);
    for (const [code, sure] of taken) consumed.set(code, or(consumed.has(code) ? consumed.get(code) : false, sure));
  }
  return holding;
}

function not(a: Known): Known {
  return a === undefined ? undefined : !a;
}

function and(a: Known, b: Known): Known {
  return a === false || b === false ? false : a === undefined || b === undefined ? undefined : true;
}

function or(a: Known, b: Known): Known {
  return a === true || b === true ? true : a === undefined || b === undefined ? undefined : false;
}
