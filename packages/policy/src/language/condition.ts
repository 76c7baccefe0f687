/**
 * Purpose: recognition conditions, `probe(field op value, …)` joined by AND OR NOT ( ), with the short forms
 * `file=NAME` and `registry=KEY` of older policies.
 * Invariants: what parses can be evaluated - fields exist, operators fit, values are of the field's type.
 */
import type { Expression } from "./expression.ts";
import { printExpression } from "./expression.ts";
import { createParser, keywordOf, parseExpression, type Parsed, type Parser } from "./parser.ts";
import {
  fieldType,
  isProbeName,
  makeProbe,
  operatorsOf,
  packageManagers,
  probeNames,
  probeShapes,
  probeTextLimit,
  type Comparison,
  type FieldType,
  type Operator,
  type Probe,
  type ProbeName,
} from "./probes.ts";
import type { Token } from "./tokens.ts";

export type Condition = Expression<Probe>;

export function parseCondition(text: string): Parsed<Condition> {
  const parser = createParser(text);
  const value = parseExpression<Probe>(parser, {
    termName: 'a probe such as package(name = "…")',
    startsTerm: (token) => token.kind === "word" && keywordOf(token) === undefined,
    parseTerm() {
      const at = parser.peek().at;
      const probe = parseProbe(parser);
      return probe === undefined ? undefined : { op: "term", term: probe, at };
    },
  });
  return value === undefined || parser.faults.length > 0 ? { faults: parser.faults } : { value, faults: [] };
}

export function printCondition(condition: Condition): string {
  return printExpression(condition, (probe) => probe.text);
}

function parseProbe(parser: Parser): Probe | undefined {
  const name = parser.take();
  const next = parser.peek();
  if (!isProbeName(name.value)) {
    const meant = probeNames.find((p) => p.toLowerCase() === name.value.toLowerCase());
    parser.report("unknown-probe", name.at, {
      probe: meant === undefined ? name.value : `${name.value} (meant: ${meant})`,
    });
    if (next.kind === "(") skipArguments(parser);
    else if (next.kind === "operator") {
      parser.take();
      parser.takeValue();
    }
    return undefined;
  }
  if (next.kind === "operator") return parseShortForm(parser, name.value, next);
  if (next.kind !== "(") {
    parser.expected(`( after ${name.value}`);
    return undefined;
  }
  parser.take();
  return parseArguments(parser, name.value, name.at, next.at);
}

/** `file=NAME` (a path when it has a separator) and `registry=KEY`. */
function parseShortForm(parser: Parser, probe: ProbeName, operator: Token): Probe | undefined {
  parser.take();
  if ((probe !== "file" && probe !== "registry") || operator.value !== "=") {
    parser.report("unexpected-token", operator.at, { expected: `( after ${probe}`, found: operator.value });
    parser.takeValue();
    return undefined;
  }
  const token = parser.takeValue();
  if (token.kind !== "word" && token.kind !== "string") {
    parser.expected("a value", token);
    return undefined;
  }
  const field = probe === "registry" ? "key" : /[\\/]/.test(token.value) ? "path" : "name";
  const comparison = checkComparison(parser, probe, field, "=", token);
  return comparison === undefined ? undefined : makeProbe(probe, [comparison]);
}

function parseArguments(parser: Parser, probe: ProbeName, at: number, openedAt: number): Probe | undefined {
  const comparisons: Comparison[] = [];
  let whole = true;
  if (parser.peek().kind === ")") {
    parser.take();
    parser.report("empty-probe", at, { probe });
    return undefined;
  }
  for (;;) {
    const comparison = parseComparison(parser, probe);
    if (comparison === undefined) whole = false;
    else comparisons.push(comparison);
    let token = parser.peek();
    if (token.kind !== "," && token.kind !== ")") {
      if (token.kind === "end") {
        if (comparison !== undefined) parser.report("unclosed-parenthesis", openedAt);
        return undefined;
      }
      if (comparison !== undefined) parser.expected(", or )");
      whole = false;
      while (token.kind !== "," && token.kind !== ")" && token.kind !== "end") {
        if (token.kind === "(") skipArguments(parser);
        else parser.take();
        token = parser.peek();
      }
    }
    if (parser.take().kind !== ",") break;
  }
  if (!whole) return undefined;
  const { needs, kind } = probeShapes[probe];
  if (needs.length > 0 && !comparisons.some((c) => needs.includes(c.field) && (c.op === "=" || c.op === "~"))) {
    parser.report("probe-too-wide", at, { probe, needed: needs.join(" or "), thing: kind === "file" ? "file" : "key" });
    return undefined;
  }
  const made = makeProbe(probe, comparisons);
  if (made.text.length > probeTextLimit) {
    parser.report("probe-too-long", at, { limit: probeTextLimit });
    return undefined;
  }
  return made;
}

function parseComparison(parser: Parser, probe: ProbeName): Comparison | undefined {
  const field = parser.peek();
  if (field.kind !== "word") {
    parser.expected(`a field of ${probe}`);
    return undefined;
  }
  parser.take();
  const operator = parser.peek();
  if (operator.kind !== "operator") {
    parser.expected(`an operator after ${field.value}`);
    return undefined;
  }
  parser.take();
  const value = parser.takeValue();
  if (value.kind !== "word" && value.kind !== "string") {
    parser.expected("a value", value);
    return undefined;
  }
  const type = fieldType(probe, field.value);
  if (type === undefined) {
    const known = Object.keys(probeShapes[probe].fields);
    const meant = known.find((k) => k.toLowerCase() === field.value.toLowerCase());
    parser.report("unknown-field", field.at, {
      probe,
      field: meant === undefined ? field.value : `${field.value} (meant: ${meant})`,
      known: known.join(", "),
    });
    return undefined;
  }
  if (!operatorsOf[type].includes(operator.value as Operator)) {
    parser.report("bad-operator", operator.at, {
      operator: operator.value,
      probe,
      field: field.value,
      known: operatorsOf[type].join(" "),
    });
    return undefined;
  }
  return checkComparison(parser, probe, field.value, operator.value as Operator, value);
}

function checkComparison(
  parser: Parser,
  probe: ProbeName,
  field: string,
  op: Operator,
  token: Token,
): Comparison | undefined {
  if (token.value === "") {
    parser.report("empty-value", token.at, { key: `${probe}.${field}` });
    return undefined;
  }
  const reason = faultOfValue(fieldType(probe, field) ?? "text", op, token.value);
  if (reason !== undefined) {
    parser.report("bad-value", token.at, { text: token.value, probe, field, reason });
    return undefined;
  }
  return { field, op, value: token.value };
}

function faultOfValue(type: FieldType, op: Operator, value: string): string | undefined {
  switch (type) {
    case "size":
      return /^[0-9]{1,15}$/.test(value) ? undefined : "a size is a whole number of bytes";
    case "hash":
      return /^[0-9a-fA-F]{64}$/.test(value) ? undefined : "a SHA-256 is 64 hexadecimal digits";
    case "manager":
      return op === "~" || (packageManagers as readonly string[]).includes(value.toLowerCase())
        ? undefined
        : `the managers are ${packageManagers.join(", ")}`;
    case "text":
    case "path":
    case "key":
    case "data":
    case "version":
      return undefined;
  }
}

/** From an opening parenthesis past the one that closes it. */
function skipArguments(parser: Parser): void {
  let open = 0;
  for (;;) {
    const { kind } = parser.take();
    if (kind === "(") open++;
    else if (kind === ")") open--;
    if (open <= 0 || kind === "end") return;
  }
}
