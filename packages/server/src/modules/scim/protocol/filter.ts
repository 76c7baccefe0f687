/**
 * Purpose: filters (RFC 7644 §3.4.2.2) and the paths of PATCH (§3.5.2), which contain filters: read once, with every name resolved against the schema.
 * Pure. Invariants: any text either gives a filter or one error that names the character; length, depth and number of terms are bounded, so
 * nothing a client sends can keep the server busy or overflow its stack.
 */
import type { DaichoError } from "@daicho/kernel";
import { scimErrors } from "./errors.ts";
import {
  foreignExtension,
  resolve,
  subAttribute,
  type Attribute,
  type ResourceType,
  type ScimSchema,
  type Target,
} from "./schema.ts";

export const filterLimits = { length: 16_384, depth: 24, terms: 400 } as const;

const comparisons = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"] as const;
export type Comparison = (typeof comparisons)[number];
export type Literal = string | number | boolean | null;

/** Where a term looks: in the resource, or in an element of a multi-valued attribute. */
export type Place = Target | { readonly element: Attribute };

export type Filter =
  | { readonly op: "and" | "or"; readonly terms: readonly Filter[] }
  | { readonly op: "not"; readonly term: Filter }
  | { readonly op: "pr"; readonly place: Place }
  | { readonly op: Comparison; readonly place: Place; readonly value: Literal }
  /** Some element of the attribute fits. */
  | { readonly op: "has"; readonly place: Target; readonly term: Filter };

export type Path =
  | {
      readonly extension: ScimSchema | undefined;
      readonly attribute: Attribute | undefined;
      readonly filter: Filter | undefined;
      readonly sub: Attribute | undefined;
      readonly foreign?: undefined;
    }
  | { readonly foreign: { readonly urn: string; readonly attribute: string } };

interface Token {
  readonly kind: "(" | ")" | "[" | "]" | "word" | "string" | "end";
  readonly text: string;
  readonly at: number;
}

type Fail = (at: number, reason: string) => DaichoError;
/** Names are looked up in a resource's schemas, or - within brackets - among an attribute's own. */
type Scope = { readonly type: ResourceType } | { readonly within: Attribute };

/** @throws scim-filter-invalid */
export function parseFilter(type: ResourceType, text: string): Filter {
  const fail: Fail = (at, reason) => scimErrors.make("scim-filter-invalid", { at: at + 1, reason });
  const reader = createReader(text, fail);
  const filter = reader.disjunction({ type }, 0);
  reader.end();
  return filter;
}

/** @throws scim-path-invalid */
export function parsePath(type: ResourceType, text: string, place: string): Path {
  const fail: Fail = (at, reason) => scimErrors.make("scim-path-invalid", { place, at: at + 1, reason });
  const reader = createReader(text.trim(), fail);
  const path = reader.path(type);
  reader.end();
  return path;
}

function createReader(text: string, fail: Fail) {
  if (text.length > filterLimits.length)
    throw fail(filterLimits.length, `longer than ${filterLimits.length} characters`);
  const tokens = tokensOf(text, fail);
  let index = 0;
  let terms = 0;
  const peek = (): Token => tokens[index] as Token;
  const next = (): Token => tokens[index++] as Token;
  const isWord = (token: Token, word: string): boolean => token.kind === "word" && token.text.toLowerCase() === word;
  const expect = (kind: Token["kind"], what: string): Token => {
    const token = next();
    if (token.kind !== kind) throw fail(token.at, `${what} is expected here`);
    return token;
  };

  const several = (op: "and" | "or", one: (scope: Scope, depth: number) => Filter) => (scope: Scope, depth: number) => {
    const found = [one(scope, depth)];
    while (isWord(peek(), op)) {
      next();
      found.push(one(scope, depth));
    }
    return found.length === 1 ? (found[0] as Filter) : ({ op, terms: found } as const);
  };

  const term = (scope: Scope, depth: number): Filter => {
    const token = next();
    if (depth > filterLimits.depth) throw fail(token.at, `nested deeper than ${filterLimits.depth}`);
    if (++terms > filterLimits.terms) throw fail(token.at, `more than ${filterLimits.terms} terms`);
    if (token.kind === "(") {
      const inner = disjunction(scope, depth + 1);
      expect(")", "a closing parenthesis");
      return inner;
    }
    if (token.kind !== "word") throw fail(token.at, "the name of an attribute is expected here");
    if (isWord(token, "not") && (peek().kind === "(" || (peek().kind === "word" && !isOperator(peek().text))))
      return { op: "not", term: term(scope, depth + 1) };
    if (peek().kind === "[") return bracketed(scope, token, depth);
    return comparison(placeOf(scope, token), token);
  };

  const bracketed = (scope: Scope, token: Token, depth: number): Filter => {
    const place = placeOf(scope, token);
    if ("element" in place || place.attribute?.subAttributes === undefined || place.sub !== undefined)
      throw fail(token.at, `${token.text} has no parts to choose by`);
    next();
    const inner = disjunction({ within: place.attribute }, depth + 1);
    expect("]", "a closing bracket");
    const after = peek();
    if (after.kind !== "word" || !after.text.startsWith(".")) return { op: "has", place, term: inner };
    next();
    const sub = comparison(placeOf({ within: place.attribute }, { ...after, text: after.text.slice(1) }), after);
    return { op: "has", place, term: { op: "and", terms: [inner, sub] } };
  };

  const comparison = (place: Place, named: Token): Filter => {
    const token = next();
    const op = token.text.toLowerCase();
    if (token.kind === "word" && op === "pr") return { op: "pr", place };
    if (token.kind !== "word" || !isComparison(op))
      throw fail(token.at, "an operator is expected here (eq, co, sw, pr, …)");
    const literal = next();
    const value = literalOf(literal, fail);
    const attribute = leafOf(place);
    if (attribute === undefined) throw fail(named.at, `${named.text} has no value to compare`);
    if (attribute.type === "boolean" && op !== "eq" && op !== "ne")
      throw fail(token.at, `${op} cannot be used with the boolean ${named.text}`);
    if ((op === "co" || op === "sw" || op === "ew") && typeof value !== "string")
      throw fail(literal.at, `${op} needs a text in quotes`);
    return { op, place, value };
  };

  const placeOf = (scope: Scope, { text: name, at }: Token): Place => {
    if ("within" in scope) {
      const element = subAttribute(scope.within, name);
      if (element === undefined) throw fail(at, `${scope.within.name} has no ${shown(name)}`);
      return { element };
    }
    const target = resolve(scope.type, name);
    if (target?.attribute === undefined) throw fail(at, `a ${scope.type.name} has no ${shown(name)}`);
    return target;
  };

  const conjunction = several("and", term);
  const disjunction: (scope: Scope, depth: number) => Filter = several("or", conjunction);

  return {
    disjunction,
    end() {
      const token = peek();
      if (token.kind !== "end") throw fail(token.at, "nothing more is expected here");
    },
    path(type: ResourceType): Path {
      const token = expect("word", "the name of an attribute");
      const foreign = foreignExtension(type, token.text);
      if (foreign !== undefined) return { foreign };
      const target = resolve(type, token.text);
      if (target === undefined) throw fail(token.at, `a ${type.name} has no ${shown(token.text)}`);
      if (peek().kind !== "[") return { ...target, filter: undefined };
      const { attribute } = target;
      if (attribute?.multiValued !== true || attribute.subAttributes === undefined || target.sub !== undefined)
        throw fail(peek().at, `${shown(token.text)} has not several values to choose from`);
      next();
      const filter = disjunction({ within: attribute }, 1);
      expect("]", "a closing bracket");
      const after = peek();
      if (after.kind !== "word" || !after.text.startsWith(".")) return { ...target, filter };
      next();
      const sub = subAttribute(attribute, after.text.slice(1));
      if (sub === undefined) throw fail(after.at, `${attribute.name} has no ${shown(after.text.slice(1))}`);
      return { ...target, filter, sub };
    },
  };
}

/** The attribute whose values a comparison sees: a complex one is compared by its `value`. */
export function leafOf(place: Place): Attribute | undefined {
  const attribute = "element" in place ? place.element : (place.sub ?? place.attribute);
  return attribute?.type === "complex" ? subAttribute(attribute, "value") : attribute;
}

function isComparison(op: string): op is Comparison {
  return (comparisons as readonly string[]).includes(op);
}

function isOperator(word: string): boolean {
  const lower = word.toLowerCase();
  return lower === "pr" || isComparison(lower);
}

function literalOf(token: Token, fail: Fail): Literal {
  if (token.kind === "string") return token.text;
  const word = token.kind === "word" ? token.text : "";
  const lower = word.toLowerCase();
  if (lower === "true" || lower === "false") return lower === "true";
  if (lower === "null") return null;
  if (/^-?\d{1,17}(\.\d{1,17})?$/.test(word)) return Number(word);
  throw fail(token.at, "a value is expected here: a text in quotes, a number, true, false or null");
}

function shown(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}

function tokensOf(text: string, fail: Fail): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at] as string;
    if (/\s/.test(char)) at++;
    else if (char === "(" || char === ")" || char === "[" || char === "]")
      tokens.push({ kind: char, text: char, at: at++ });
    else if (char === '"') {
      let end = at + 1;
      while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
      if (end >= text.length) throw fail(at, "the text has no closing quote");
      tokens.push({ kind: "string", text: unquoted(text.slice(at, end + 1), at, fail), at });
      at = end + 1;
    } else {
      let end = at;
      while (end < text.length && !/[\s()[\]"]/.test(text[end] as string)) end++;
      tokens.push({ kind: "word", text: text.slice(at, end), at });
      at = end;
    }
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function unquoted(quoted: string, at: number, fail: Fail): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw fail(at, "the text in quotes is not written as JSON writes texts");
  }
}
