/**
 * Purpose: rpm's version order: epoch:version-release, each part by rpmvercmp - runs of digits against runs of letters,
 * separators do not count, digits are newer than letters, `~` sorts before the end, `^` after it but before anything more.
 * Invariants: the verdicts are rpm's own for whole versions (`rpm.ver`): a version without a release comes before the same
 * one with a release. Checked against recorded verdicts of rpm 4.18.
 */
import { compareDigits, isDigit, isLetter } from "./characters.ts";
import { epochEnd } from "./dpkg.ts";

export function compareRpm(a: string, b: string): number {
  const colonA = epochEnd(a);
  const colonB = epochEnd(b);
  const epochs = compareDigits(a, 0, Math.max(colonA, 0), b, 0, Math.max(colonB, 0));
  if (epochs !== 0) return epochs;
  const dashA = a.lastIndexOf("-");
  const dashB = b.lastIndexOf("-");
  const hasA = dashA > colonA;
  const hasB = dashB > colonB;
  const versions = rpmvercmp(
    a.slice(colonA + 1, hasA ? dashA : a.length),
    b.slice(colonB + 1, hasB ? dashB : b.length),
  );
  if (versions !== 0) return versions;
  if (hasA !== hasB) return hasA ? 1 : -1;
  if (!hasA) return 0;
  return rpmvercmp(a.slice(dashA + 1), b.slice(dashB + 1));
}

const tilde = 126;
const caret = 94;

function isAlphanumeric(code: number): boolean {
  return isDigit(code) || isLetter(code);
}

/** rpm's own comparison of one part, without epoch and release. */
export function rpmvercmp(a: string, b: string): number {
  if (a === b) return 0;
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while (i < a.length && !isSegment(a.charCodeAt(i))) i++;
    while (j < b.length && !isSegment(b.charCodeAt(j))) j++;
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(j);
    if (x === tilde || y === tilde) {
      if (x !== tilde) return 1;
      if (y !== tilde) return -1;
      i++;
      j++;
      continue;
    }
    if (x === caret || y === caret) {
      if (i >= a.length) return -1;
      if (j >= b.length) return 1;
      if (x !== caret) return 1;
      if (y !== caret) return -1;
      i++;
      j++;
      continue;
    }
    if (i >= a.length || j >= b.length) break;
    const numeric = isDigit(x);
    const inRun = numeric ? isDigit : isLetter;
    const endA = runEnd(a, i, inRun);
    const endB = runEnd(b, j, inRun);
    // Different kinds: digits are newer than letters.
    if (endB === j) return numeric ? 1 : -1;
    const result = numeric ? compareDigits(a, i, endA, b, j, endB) : compareText(a.slice(i, endA), b.slice(j, endB));
    if (result !== 0) return result;
    i = endA;
    j = endB;
  }
  if (i >= a.length && j >= b.length) return 0;
  return i < a.length ? 1 : -1;
}

function isSegment(code: number): boolean {
  return isAlphanumeric(code) || code === tilde || code === caret;
}

function runEnd(text: string, from: number, inRun: (code: number) => boolean): number {
  let at = from;
  while (at < text.length && inRun(text.charCodeAt(at))) at++;
  return at;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
