/**
 * Purpose: tokens of the policy language, read one at a time from any offset. The parser decides whether it wants a
 * token of the expression or a value (after an operator), because a bare value may hold characters that are operators
 * elsewhere (`version >= 1.0~rc1`, `path ~ C:\*`).
 * Invariants: reading a token is linear in its length and always moves on; nothing throws - what is not a token comes
 * back as kind `bad` together with the fault.
 */
import type { FaultCode, FaultDetails } from "../faults.ts";

export type TokenKind = "(" | ")" | "," | "operator" | "word" | "code" | "string" | "end" | "bad";

export interface Token {
  readonly kind: TokenKind;
  /** What it says: operator, word, code with its @, or the string without quotes and escapes. */
  readonly value: string;
  readonly at: number;
  readonly end: number;
  /** With kind `bad`: why. With another kind: a look-alike stands here; it is a fault, and is read as what it is meant for. */
  readonly fault?: { readonly code: FaultCode; readonly at: number; readonly details: FaultDetails };
}

export function isSpace(c: string | undefined): boolean {
  return c === " " || c === "\t" || c === "\n" || c === "\r" || c === "\u3000" || c === "\u00a0" || c === "\ufeff";
}

/** A letter or digit of any script, or one of `- _ .` */
export function isCodeCharacter(c: string): boolean {
  const x = c.charCodeAt(0);
  if (x < 128)
    return (x >= 48 && x <= 57) || (x >= 65 && x <= 90) || (x >= 97 && x <= 122) || x === 45 || x === 46 || x === 95;
  return /^[\p{L}\p{N}\p{M}]$/u.test(c);
}

export const codeLimit = 64;

export function isCode(text: string): boolean {
  if (text.length < 2 || text.length > codeLimit || text[0] !== "@") return false;
  for (const c of text.slice(1)) if (!isCodeCharacter(c)) return false;
  return true;
}

const wordEnds = new Set(["(", ")", ",", "=", "!", "<", ">", "~", '"', "@", "'"]);
const valueEnds = new Set(["(", ")", ",", '"']);

/** The full-width and typographic look-alikes that Japanese input methods and word processors leave behind. */
const lookalikes: Readonly<Record<string, string>> = {
  "（": "(",
  "）": ")",
  "＝": "=",
  "＜": "<",
  "＞": ">",
  "～": "~",
  "〜": "~",
  "！": "!",
  "，": ",",
  "、": ",",
  "＠": "@",
  "”": '"',
  "“": '"',
  "„": '"',
  "＂": '"',
  "‘": '"',
  "’": '"',
  "'": '"',
  "&": "AND",
  "|": "OR",
  "!": "NOT",
};

export function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text[at])) at++;
  return at;
}

/** The next token of an expression. `end` stands right behind the last character that is not white space. */
export function nextToken(text: string, from: number): Token {
  const at = skipSpace(text, from);
  const c = text[at];
  if (c === undefined) return endToken(text);
  switch (c) {
    case "(":
    case ")":
    case ",":
      return { kind: c, value: c, at, end: at + 1 };
    case "=":
    case "~":
      return { kind: "operator", value: c, at, end: at + 1 };
    case "<":
    case ">": {
      const end = text[at + 1] === "=" ? at + 2 : at + 1;
      return { kind: "operator", value: text.slice(at, end), at, end };
    }
    case "!":
      if (text[at + 1] === "=") return { kind: "operator", value: "!=", at, end: at + 2 };
      return unexpected(text, at);
    case '"':
      return readString(text, at);
    case "@":
      return readCode(text, at);
  }
  const meant = readLookalike(text, at);
  if (meant !== undefined) return meant;
  const end = runOf(text, at, (x) => !isSpace(x) && !wordEnds.has(x) && lookalikes[x] === undefined);
  if (end === at || c < " " || c === "\u007f") return unexpected(text, at);
  return { kind: "word", value: text.slice(at, end), at, end };
}

/** The value after an operator: a string, or a bare run up to white space, comma or parenthesis. */
export function nextValue(text: string, from: number): Token {
  const at = skipSpace(text, from);
  const c = text[at];
  if (c === undefined) return endToken(text);
  if (c === '"') return readString(text, at);
  if (c === "(" || c === ")" || c === ",") return { kind: c, value: c, at, end: at + 1 };
  if (lookalikes[c] === '"') return unexpected(text, at);
  const end = runOf(text, at, (x) => !isSpace(x) && !valueEnds.has(x));
  for (let i = at; i < end; i++) if (isControl(text.charCodeAt(i))) return unexpected(text, i);
  return { kind: "word", value: text.slice(at, end), at, end };
}

/** Quotes `value` so that it reads back as it was. */
export function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function endToken(text: string): Token {
  let at = text.length;
  while (at > 0 && isSpace(text[at - 1])) at--;
  return { kind: "end", value: "", at, end: text.length };
}

function runOf(text: string, from: number, accept: (c: string) => boolean): number {
  let at = from;
  for (;;) {
    const c = text[at];
    if (c === undefined || !accept(c)) return at;
    at++;
  }
}

function readCode(text: string, at: number): Token {
  let end = at + 1;
  while (end < text.length) {
    const c = String.fromCodePoint(text.codePointAt(end) ?? 0);
    if (!isCodeCharacter(c)) break;
    end += c.length;
  }
  const value = text.slice(at, end);
  if (!isCode(value)) return { kind: "bad", value, at, end, fault: { code: "bad-code", at, details: { text: value } } };
  return { kind: "code", value, at, end };
}

/** A full-width `（ ） ， ＝ ～ ＜ ＞ ＠`: one fault, not one for everything around it. */
function readLookalike(text: string, at: number): Token | undefined {
  const meant = lookalikes[text[at] ?? ""];
  if (meant === undefined || !/^[(),=~<>@]$/.test(meant)) return undefined;
  const { fault } = unexpected(text, at);
  const { kind, end } = nextToken(meant + text.slice(at + 1, at + 2 * codeLimit), 0);
  return kind === "bad" ? undefined : { kind, value: meant + text.slice(at + 1, at + end), at, end: at + end, fault };
}

function readString(text: string, at: number): Token {
  const parts: string[] = [];
  let i = at + 1;
  let start = i;
  let fault: Token["fault"];
  for (;;) {
    const c = text[i];
    if (c === undefined) {
      return { kind: "bad", value: "", at, end: text.length, fault: { code: "unclosed-string", at, details: {} } };
    }
    if (c === '"') break;
    if (c === "\\") {
      const next = text[i + 1];
      if (next === '"' || next === "\\") {
        parts.push(text.slice(start, i), next);
        i += 2;
        start = i;
        continue;
      }
      // Any other backslash is itself: authors write registry keys and Windows paths as they see them.
    } else if (isControl(c.charCodeAt(0))) {
      fault ??= unexpected(text, i).fault;
    }
    i++;
  }
  parts.push(text.slice(start, i));
  const value = parts.join("");
  return fault === undefined
    ? { kind: "string", value, at, end: i + 1 }
    : { kind: "bad", value, at, end: i + 1, fault };
}

function isControl(code: number): boolean {
  return code < 32 || code === 127;
}

function unexpected(text: string, at: number): Token & { readonly fault: NonNullable<Token["fault"]> } {
  const c = String.fromCodePoint(text.codePointAt(at) ?? 0);
  const instead = lookalikes[c];
  const shown = isControl(c.charCodeAt(0)) ? `U+${c.charCodeAt(0).toString(16).padStart(4, "0")}` : c;
  const hint = instead === undefined ? 'Put values in "double quotes".' : `Write ${instead} instead.`;
  return {
    kind: "bad",
    value: c,
    at,
    end: at + c.length,
    fault: { code: "unexpected-character", at, details: { text: shown, hint } },
  };
}
