/**
 * Purpose: from an offset in a YAML value back to the line and column of the file, whatever the style it was written
 * in: plain, 'single', "double" with escapes, folded > or literal |.
 * Invariants: never throws; an offset behind the value's end is the place behind its last character. YAML only ever
 * changes white space, quotes and escapes, so walking value and source side by side finds every character again.
 */
import { isScalar, type Node, type Scalar } from "yaml";
import type { Place } from "../faults.ts";

export interface Lines {
  placeOf(offset: number): Place;
}

/** Answers in logarithmic time, however long the lines: a minified policy is one line. */
export function createLines(text: string): Lines {
  const starts = [text.startsWith("\ufeff") ? 1 : 0];
  for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  /** Second halves of characters outside the basic plane: they are no columns of their own. */
  const halves: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xdc00 && unit <= 0xdfff) halves.push(i);
  }
  return {
    placeOf(offset) {
      const at = Math.max(0, Math.min(offset, text.length));
      const line = Math.max(0, countBelow(starts, at + 1) - 1);
      const start = Math.min(starts[line] ?? 0, at);
      return { line: line + 1, column: at - start + 1 - (countBelow(halves, at) - countBelow(halves, start)) };
    },
  };
}

/** The text of a file without its byte order mark, or where in it the first byte stands that is not UTF-8. */
export function decodeText(bytes: Uint8Array): string | { readonly invalidAt: Place } {
  const sound = decodeStrictly(bytes, false);
  if (sound !== undefined) return sound;
  // The longest beginning that is sound; a character that only breaks off there may still be completed.
  let [low, high] = [0, bytes.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (decodeStrictly(bytes.subarray(0, middle), true) === undefined) high = middle - 1;
    else low = middle;
  }
  const before = decodeStrictly(bytes.subarray(0, low), true) ?? "";
  return { invalidAt: createLines(before).placeOf(before.length) };
}

function decodeStrictly(bytes: Uint8Array, unfinished: boolean): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: unfinished });
  } catch {
    return undefined;
  }
}

/** How many of the ascending numbers are smaller than the limit. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? limit) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For a scalar of the source: offset in its value → offset in the file. The walk is made once, when first asked. */
export function offsetsOf(source: string, node: Node): (offset: number) => number {
  if (!isScalar(node) || typeof node.value !== "string") {
    const start = node.range?.[0] ?? 0;
    return () => start;
  }
  const text = node.value;
  let map: readonly number[] | undefined;
  return (offset) => {
    map ??= align(source, node, text);
    return map[Math.max(0, Math.min(offset, text.length))] ?? node.range?.[0] ?? 0;
  };
}

function align(source: string, node: Scalar, value: string): readonly number[] {
  const [from, to] = node.range ?? [0, source.length];
  const map: number[] = [];
  let at = from;
  const isDouble = node.type === "QUOTE_DOUBLE";
  const isSingle = node.type === "QUOTE_SINGLE";
  if (isDouble || isSingle) at++;
  else if (node.type === "BLOCK_FOLDED" || node.type === "BLOCK_LITERAL") {
    const header = source.indexOf("\n", from);
    at = header === -1 || header >= to ? to : header + 1;
  }
  let last = at;
  for (let i = 0; i < value.length; i++) {
    const c = value[i] ?? "";
    if (isBlank(c)) {
      const escape = isDouble ? readEscape(source, at) : undefined;
      if (escape !== undefined && escape.text === c) {
        map.push(at);
        at = last = escape.end;
      } else {
        map.push(at);
        if (at < to && isBlank(source[at] ?? "") && (c !== "\n" || source[at] === "\n")) at++;
      }
      continue;
    }
    while (at < to) {
      const escape = isDouble ? readEscape(source, at) : undefined;
      if (isBlank(source[at] ?? "")) at++;
      else if (escape !== undefined && escape.text !== c && isBlank(escape.text)) at = escape.end;
      else break;
    }
    map.push(at);
    const escape = isDouble ? readEscape(source, at) : undefined;
    if (escape !== undefined) {
      // A character outside the basic plane is two units in the value and one escape in the file.
      for (let extra = 1; extra < escape.text.length; extra++) {
        map.push(at);
        i++;
      }
      at = escape.end;
    } else at += isSingle && c === "'" ? 2 : 1;
    at = Math.min(at, to);
    last = at;
  }
  // The end of the value, and with it the white space a block scalar trails, is behind the last character.
  for (let i = value.length; i > 0 && isBlank(value[i - 1] ?? ""); i--) map[i - 1] = last;
  map[value.length] = last;
  return map;
}

function isBlank(text: string): boolean {
  return text === "" || text === " " || text === "\t" || text === "\n" || text === "\r";
}

const simpleEscapes: Readonly<Record<string, string>> = {
  "0": "\0",
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  N: "\u0085",
  _: "\u00a0",
  L: "\u2028",
  P: "\u2029",
  " ": " ",
  '"': '"',
  "/": "/",
  "\\": "\\",
  "\t": "\t",
};

function readEscape(source: string, at: number): { readonly text: string; readonly end: number } | undefined {
  if (source[at] !== "\\") return undefined;
  const kind = source[at + 1] ?? "";
  const digits = kind === "x" ? 2 : kind === "u" ? 4 : kind === "U" ? 8 : 0;
  if (digits > 0) {
    const point = Number.parseInt(source.slice(at + 2, at + 2 + digits), 16);
    const text = Number.isInteger(point) && point >= 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "";
    return { text, end: at + 2 + digits };
  }
  // A backslash before a line break joins the lines: it stands for nothing.
  return { text: simpleEscapes[kind] ?? "", end: at + 2 };
}
