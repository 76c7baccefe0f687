/**
 * Purpose: the shape of a parsed boolean expression, the same for recognition conditions (terms are probes) and
 * licence rules (terms are codes), with the few walks everything else needs.
 * Invariants: `and`/`or` have two or more members, in the order written; depth is bounded by the parser, so every
 * walk may recurse.
 */

export type Expression<T> =
  | { readonly op: "term"; readonly term: T; /** Offset in the text it was read from. */ readonly at: number }
  | { readonly op: "not"; readonly of: Expression<T>; readonly at: number }
  | { readonly op: "and" | "or"; readonly of: readonly Expression<T>[]; readonly at: number };

/** Whether the expression holds when `has` says which terms do. */
export function holds<T>(expression: Expression<T>, has: (term: T) => boolean): boolean {
  switch (expression.op) {
    case "term":
      return has(expression.term);
    case "not":
      return !holds(expression.of, has);
    case "and":
      return expression.of.every((e) => holds(e, has));
    case "or":
      return expression.of.some((e) => holds(e, has));
  }
}

/** Calls back for every term from left to right; `negated` = somewhere under a NOT. */
export function eachTerm<T>(
  expression: Expression<T>,
  visit: (term: T, negated: boolean, at: number) => void,
  negated = false,
): void {
  switch (expression.op) {
    case "term":
      visit(expression.term, negated, expression.at);
      return;
    case "not":
      eachTerm(expression.of, visit, true);
      return;
    case "and":
    case "or":
      for (const e of expression.of) eachTerm(e, visit, negated);
  }
}

/**
 * The terms that make a holding expression hold: every member of an AND, every side of an OR that holds, nothing
 * under a NOT (domain.md §2). Call only with an expression that holds.
 */
export function holdingTerms<T>(expression: Expression<T>, has: (term: T) => boolean, into: T[] = []): T[] {
  switch (expression.op) {
    case "term":
      into.push(expression.term);
      break;
    case "not":
      break;
    case "and":
      for (const e of expression.of) holdingTerms(e, has, into);
      break;
    case "or":
      for (const e of expression.of) if (holds(e, has)) holdingTerms(e, has, into);
      break;
  }
  return into;
}

export function mapTerms<A, B>(expression: Expression<A>, map: (term: A) => B): Expression<B> {
  switch (expression.op) {
    case "term":
      return { op: "term", term: map(expression.term), at: expression.at };
    case "not":
      return { op: "not", of: mapTerms(expression.of, map), at: expression.at };
    case "and":
    case "or":
      return { op: expression.op, of: expression.of.map((e) => mapTerms(e, map)), at: expression.at };
  }
}

/** Prints with the fewest parentheses; parsing the result gives the same expression again. */
export function printExpression<T>(expression: Expression<T>, print: (term: T) => string): string {
  switch (expression.op) {
    case "term":
      return print(expression.term);
    case "not": {
      const inner = printExpression(expression.of, print);
      return expression.of.op === "and" || expression.of.op === "or" ? `NOT (${inner})` : `NOT ${inner}`;
    }
    case "and":
      return expression.of
        .map((e) => (e.op === "or" || e.op === "and" ? `(${printExpression(e, print)})` : printExpression(e, print)))
        .join(" AND ");
    case "or":
      return expression.of
        .map((e) => (e.op === "or" ? `(${printExpression(e, print)})` : printExpression(e, print)))
        .join(" OR ");
  }
}
