/**
 * Purpose: the recursive descent both languages share: OR over AND over NOT over parentheses and terms.
 *
 *   or      := and { OR and }          AND binds tighter than OR, NOT tightest
 *   and     := not { AND not }
 *   not     := NOT not | "(" or ")" | term
 *
 * Invariants: several faults per run - after a fault the parser goes on at the next AND, OR or parenthesis; depth is
 * bounded; every loop consumes a token, so parsing is linear in the text. Nothing throws.
 */
import type { FaultCode, FaultDetails } from "../faults.ts";
import type { Expression } from "./expression.ts";
import { nextToken, nextValue, type Token } from "./tokens.ts";

export const depthLimit = 64;

/** One fault in an expression; `at` is an offset in its text. */
export interface TextFault {
  readonly code: FaultCode;
  readonly at: number;
  readonly details: FaultDetails;
}

export interface Parsed<T> {
  /** Absent when there are faults. */
  readonly value?: T;
  readonly faults: readonly TextFault[];
}

export interface Parser {
  readonly text: string;
  /** The token not yet taken. */
  peek(): Token;
  take(): Token;
  /** Takes the next token as a value, see nextValue. */
  takeValue(): Token;
  report(code: FaultCode, at: number, details?: FaultDetails): void;
  /** Reports that something else was expected here (or why the token is none). */
  expected(what: string, token?: Token): void;
  readonly faults: readonly TextFault[];
}

const faultLimit = 50;

export function createParser(text: string): Parser {
  const faults: TextFault[] = [];
  let token = nextToken(text, 0);
  const report: Parser["report"] = (code, at, details = {}) => {
    // What else is wrong in one place follows from the first: it would be said twice.
    if (faults.length < faultLimit && !faults.some((f) => f.at === at)) faults.push({ code, at, details });
  };
  return {
    text,
    faults,
    report,
    peek: () => token,
    take() {
      const taken = token;
      if (taken.kind !== "bad" && taken.fault !== undefined)
        report(taken.fault.code, taken.fault.at, taken.fault.details);
      if (taken.kind !== "end") token = nextToken(text, taken.end);
      return taken;
    },
    takeValue() {
      const taken = nextValue(text, token.at);
      // Brackets and commas are no values; they stay for whoever opened them.
      if (taken.kind === "word" || taken.kind === "string" || taken.kind === "bad") token = nextToken(text, taken.end);
      return taken;
    },
    expected(what, found = token) {
      if (found.fault !== undefined) report(found.fault.code, found.fault.at, found.fault.details);
      else report("unexpected-token", found.at, { expected: what, found: nameOf(found) });
    },
  };
}

export function keywordOf(token: Token): "AND" | "OR" | "NOT" | undefined {
  if (token.kind !== "word" || token.value.length > 3) return undefined;
  const word = token.value.toUpperCase();
  return word === "AND" || word === "OR" || word === "NOT" ? word : undefined;
}

/**
 * Reads an expression up to `stop` (or the end). `parseTerm` is called with the parser at a token that begins no
 * keyword and no parenthesis; it takes at least one token, and answers undefined after reporting a fault.
 */
export function parseExpression<T>(
  parser: Parser,
  options: {
    readonly parseTerm: () => Expression<T> | undefined;
    readonly startsTerm: (token: Token) => boolean;
    readonly termName: string;
    readonly stop?: (token: Token) => boolean;
  },
): Expression<T> | undefined {
  const { parseTerm, startsTerm, termName } = options;
  const stops = (token: Token): boolean => token.kind === "end" || options.stop?.(token) === true;
  let tooDeep = false;

  const parseOr = (depth: number): Expression<T> | undefined => parseChain("OR", (d) => parseAnd(d), depth);
  const parseAnd = (depth: number): Expression<T> | undefined => parseChain("AND", (d) => parseNot(d), depth);

  function parseChain(
    op: "OR" | "AND",
    parseMember: (depth: number) => Expression<T> | undefined,
    depth: number,
  ): Expression<T> | undefined {
    const at = parser.peek().at;
    const members: Expression<T>[] = [];
    let whole = true;
    const add = (member: Expression<T> | undefined): void => {
      if (member === undefined) whole = false;
      else members.push(member);
    };
    add(parseMember(depth));
    for (;;) {
      const token = parser.peek();
      if (keywordOf(token) === op) {
        parser.take();
        add(parseMember(depth));
      } else if (op === "AND" && (startsTerm(token) || token.kind === "(" || keywordOf(token) === "NOT")) {
        // Two terms side by side: say so once and go on as if AND stood there.
        if (whole) parser.expected("AND or OR");
        whole = false;
        parseMember(depth);
      } else break;
    }
    if (!whole) return undefined;
    const [first] = members;
    return members.length === 1 ? first : { op: op === "OR" ? "or" : "and", of: members, at };
  }

  function parseNot(depth: number): Expression<T> | undefined {
    const token = parser.peek();
    if (depth >= depthLimit) {
      if (!tooDeep) parser.report("too-deep", token.at, { limit: depthLimit });
      tooDeep = true;
      skipRest();
      return undefined;
    }
    if (keywordOf(token) === "NOT") {
      parser.take();
      const of = parseNot(depth + 1);
      return of === undefined ? undefined : { op: "not", of, at: token.at };
    }
    if (token.kind === "(") {
      parser.take();
      const inner = parseOr(depth + 1);
      if (parser.peek().kind === ")") parser.take();
      else if (!tooDeep) {
        if (stops(parser.peek())) parser.report("unclosed-parenthesis", token.at);
        else parser.expected("AND, OR or )");
        skipPastClosing();
        return undefined;
      }
      return inner;
    }
    if (startsTerm(token)) return parseTerm();
    if (!tooDeep) parser.expected(termName);
    // A keyword, closing parenthesis or stop is left for whoever waits for it; anything else would stand in the way.
    if (!stops(token) && token.kind !== ")" && keywordOf(token) === undefined) parser.take();
    return undefined;
  }

  function skipRest(): void {
    while (!stops(parser.peek())) parser.take();
  }

  function skipPastClosing(): void {
    let open = 1;
    while (!stops(parser.peek())) {
      const { kind } = parser.take();
      if (kind === "(") open++;
      else if (kind === ")" && --open === 0) return;
    }
  }

  let result = parseOr(0);
  while (!stops(parser.peek())) {
    // What is left over at the top: a stray closing parenthesis, a comma, a character of nothing.
    result = undefined;
    const token = parser.peek();
    if (!tooDeep) parser.expected("AND or OR");
    parser.take();
    const after = parser.peek();
    const keyword = keywordOf(after);
    if (keyword === "AND" || keyword === "OR") parser.take();
    else if (token.kind !== ")") continue;
    if (!stops(parser.peek())) parseOr(0);
  }
  return result;
}

export function nameOf(token: Token): string {
  return token.kind === "end" ? "the end" : token.kind === "string" ? `"${token.value}"` : token.value;
}
