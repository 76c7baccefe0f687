/**
 * Purpose: licence rules, `expression = @CODE`: which soft codes are really a licence (domain.md §2).
 */
import { printExpression, type Expression } from "./expression.ts";
import { createParser, keywordOf, nameOf, parseExpression, type Parsed } from "./parser.ts";
import type { Token } from "./tokens.ts";

export interface Rule {
  readonly expression: Expression<string>;
  /** The code on the right. */
  readonly yields: string;
  /** Offset of that code in the text. */
  readonly yieldsAt: number;
}

export function parseRule(text: string): Parsed<Rule> {
  const parser = createParser(text);
  const isEquals = (token: Token): boolean => token.kind === "operator" && token.value === "=";
  const expression = parseExpression<string>(parser, {
    termName: "a code (@…)",
    stop: isEquals,
    startsTerm: (token) => token.kind === "code",
    parseTerm() {
      const token = parser.take();
      return { op: "term", term: token.value, at: token.at };
    },
  });
  if (!isEquals(parser.peek())) {
    parser.report("rule-without-result", parser.peek().at);
    return { faults: parser.faults };
  }
  parser.take();
  const result = parser.peek();
  if (result.kind !== "code") {
    parser.expected("one code (@…)");
    return { faults: parser.faults };
  }
  parser.take();
  const rest = parser.peek();
  if (rest.kind !== "end") {
    if (keywordOf(rest) === undefined && rest.fault !== undefined) parser.expected("the end");
    else
      parser.report("unexpected-token", rest.at, { expected: "the end (a rule yields one code)", found: nameOf(rest) });
  }
  if (expression === undefined || parser.faults.length > 0) return { faults: parser.faults };
  return { value: { expression, yields: result.value, yieldsAt: result.at }, faults: [] };
}

export function printRule(rule: Pick<Rule, "expression" | "yields">): string {
  return `${printExpression(rule.expression, (code) => code)} = ${rule.yields}`;
}
