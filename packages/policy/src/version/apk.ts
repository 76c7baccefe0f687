/**
 * Purpose: Alpine's version order (apk-package(5)): number{.number}{letter}{_suffix{number}}{-rN}.
 * A part that follows makes a version newer, and the earlier in that grammar the kind of part, the newer:
 * 1.2.1 > 1.2b > 1.2_p1 > 1.2-r1 > 1.2 - except the suffixes of pre-releases (alpha beta pre rc), which make it older.
 * A number after a point with leading zeros is a fraction: 1.02 < 1.1, 1.010 > 1.01.
 * Invariants: never throws. What is no such version is compared as text from the point where it stops being one.
 */
import { compareDigits, isDigit, isLetter, skipDigits } from "./characters.ts";

const suffixes: Readonly<Record<string, number>> = {
  alpha: -4,
  beta: -3,
  pre: -2,
  rc: -1,
  cvs: 0,
  svn: 1,
  git: 2,
  hg: 3,
  p: 4,
};

// Kinds in the order of the grammar; where two versions first differ in kind, the smaller kind is newer.
const number = 0;
const letter = 1;
const suffix = 2;
const suffixNumber = 3;
const revision = 4;
const end = 5;
const other = 6;

interface Part {
  readonly kind: number;
  readonly from: number;
  readonly to: number;
  readonly rank: number;
}

export function compareApk(a: string, b: string): number {
  let x = firstPart(a);
  let y = firstPart(b);
  for (;;) {
    if (x.kind !== y.kind) {
      if (x.kind === suffix && x.rank < 0) return -1;
      if (y.kind === suffix && y.rank < 0) return 1;
      return x.kind < y.kind ? 1 : -1;
    }
    if (x.kind === end) return 0;
    if (x.kind === other) return compareText(a.slice(x.from), b.slice(y.from));
    const result = comparePart(a, x, b, y);
    if (result !== 0) return result;
    x = nextPart(a, x);
    y = nextPart(b, y);
  }
}

function comparePart(a: string, x: Part, b: string, y: Part): number {
  switch (x.kind) {
    case letter:
      return compareText(a.slice(x.from, x.to), b.slice(y.from, y.to));
    case suffix:
      return Math.sign(x.rank - y.rank);
    case number:
      if (isFraction(a, x) || isFraction(b, y)) return compareFractions(a, x, b, y);
      return compareDigits(a, x.from, x.to, b, y.from, y.to);
    default:
      return compareDigits(a, x.from, x.to, b, y.from, y.to);
  }
}

function isFraction(text: string, part: Part): boolean {
  return part.from > 0 && text[part.from - 1] === "." && text[part.from] === "0";
}

/** More leading zeros are less; with as many, the rest compares as a number, and having a rest is more. */
function compareFractions(a: string, x: Part, b: string, y: Part): number {
  const zerosA = leadingZeros(a, x);
  const zerosB = leadingZeros(b, y);
  if (zerosA !== zerosB) return zerosA > zerosB ? -1 : 1;
  return compareDigits(a, x.from, x.to, b, y.from, y.to);
}

function leadingZeros(text: string, part: Part): number {
  let at = part.from;
  while (at < part.to && text.charCodeAt(at) === 48) at++;
  return at - part.from;
}

function firstPart(text: string): Part {
  if (text === "") return { kind: end, from: 0, to: 0, rank: 0 };
  const to = skipDigits(text, 0);
  return to > 0 ? { kind: number, from: 0, to, rank: 0 } : { kind: other, from: 0, to: text.length, rank: 0 };
}

function nextPart(text: string, last: Part): Part {
  const at = last.to;
  const rest: Part = { kind: other, from: at, to: text.length, rank: 0 };
  if (at >= text.length) return { ...rest, kind: end };
  const code = text.charCodeAt(at);
  if (last.kind === number && text[at] === ".") {
    const to = skipDigits(text, at + 1);
    return to > at + 1 ? { kind: number, from: at + 1, to, rank: 0 } : rest;
  }
  if (last.kind === number && code >= 97 && code <= 122) return { kind: letter, from: at, to: at + 1, rank: 0 };
  if (last.kind === suffix && isDigit(code)) return { kind: suffixNumber, from: at, to: skipDigits(text, at), rank: 0 };
  if (last.kind < revision && text[at] === "_") {
    let to = at + 1;
    while (isLetter(text.charCodeAt(to))) to++;
    const name = text.slice(at + 1, to);
    const rank = Object.hasOwn(suffixes, name) ? suffixes[name] : undefined;
    return rank === undefined ? rest : { kind: suffix, from: at + 1, to, rank };
  }
  if (last.kind < revision && text.startsWith("-r", at)) {
    const to = skipDigits(text, at + 2);
    return to > at + 2 ? { kind: revision, from: at + 2, to, rank: 0 } : rest;
  }
  return rest;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
