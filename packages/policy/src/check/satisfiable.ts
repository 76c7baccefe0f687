/**
 * Purpose: whether some assignment of its terms makes an expression hold.
 * Invariants: exact for every expression met in practice; the search is bounded, and what it cannot settle within the
 * bound counts as satisfiable - a fault is only ever reported for what certainly never holds.
 */
import { eachTerm, type Expression } from "../language/expression.ts";

const stepLimit = 20_000;

/** `keyOf` gives terms that are one and the same variable the same key; impossible terms never hold. */
export function isSatisfiable<T>(
  expression: Expression<T>,
  keyOf: (term: T) => string,
  isImpossible: (term: T) => boolean = () => false,
): boolean {
  const values = new Map<string, boolean>();
  /** Where each variable occurs outside NOT, the more promising value is true. */
  const polarity = new Map<string, boolean>();
  signs(expression, true, (term, positive) => {
    const key = keyOf(term);
    if (!polarity.has(key)) polarity.set(key, positive);
  });
  eachTerm(expression, (term) => {
    if (isImpossible(term)) values.set(keyOf(term), false);
  });
  let steps = 0;

  const search = (): boolean => {
    if (++steps > stepLimit) return true;
    const state = evaluate(expression);
    if (state !== undefined) return state;
    const key = firstOpen(expression);
    if (key === undefined) return true;
    const first = polarity.get(key) ?? true;
    for (const value of [first, !first]) {
      values.set(key, value);
      if (search()) return true;
    }
    values.delete(key);
    return false;
  };

  /** Three-valued: undefined = still open. */
  const evaluate = (e: Expression<T>): boolean | undefined => {
    switch (e.op) {
      case "term":
        return values.get(keyOf(e.term));
      case "not": {
        const inner = evaluate(e.of);
        return inner === undefined ? undefined : !inner;
      }
      case "and":
      case "or": {
        const decisive = e.op === "or";
        let open = false;
        for (const member of e.of) {
          const value = evaluate(member);
          if (value === decisive) return decisive;
          if (value === undefined) open = true;
        }
        return open ? undefined : !decisive;
      }
    }
  };

  /** An open variable that can still matter. */
  const firstOpen = (e: Expression<T>): string | undefined => {
    switch (e.op) {
      case "term":
        return values.has(keyOf(e.term)) ? undefined : keyOf(e.term);
      case "not":
        return firstOpen(e.of);
      case "and":
      case "or":
        for (const member of e.of) {
          if (evaluate(member) !== undefined) continue;
          const key = firstOpen(member);
          if (key !== undefined) return key;
        }
        return undefined;
    }
  };

  return search();
}

function signs<T>(e: Expression<T>, positive: boolean, visit: (term: T, positive: boolean) => void): void {
  switch (e.op) {
    case "term":
      visit(e.term, positive);
      return;
    case "not":
      signs(e.of, !positive, visit);
      return;
    case "and":
    case "or":
      for (const member of e.of) signs(member, positive, visit);
  }
}
