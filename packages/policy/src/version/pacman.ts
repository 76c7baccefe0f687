/**
 * Purpose: pacman's version order (vercmp): epoch:version-pkgrel, parts compared in runs of digits and letters; a run of
 * letters left over makes a version older (1.0rc1 < 1.0), more separators make it newer (1..0 > 1.0).
 * Invariants: pkgrel is compared only where both have one. Checked against recorded verdicts of pacman's own vercmp.
 */
import { compareDigits, isDigit, isLetter } from "./characters.ts";

export function comparePacman(a: string, b: string): number {
  if (a === b) return 0;
  const x = split(a);
  const y = split(b);
  return (
    compareParts(x.epoch, y.epoch) ||
    compareParts(x.version, y.version) ||
    (x.release === undefined || y.release === undefined ? 0 : compareParts(x.release, y.release))
  );
}

function split(text: string): { epoch: string; version: string; release: string | undefined } {
  let digits = 0;
  while (isDigit(text.charCodeAt(digits))) digits++;
  const hasEpoch = text[digits] === ":";
  const rest = hasEpoch ? digits + 1 : 0;
  const dash = text.lastIndexOf("-");
  const hasRelease = dash >= rest;
  return {
    epoch: hasEpoch && digits > 0 ? text.slice(0, digits) : "0",
    version: text.slice(rest, hasRelease ? dash : text.length),
    release: hasRelease ? text.slice(dash + 1) : undefined,
  };
}

function isAlphanumeric(code: number): boolean {
  return isDigit(code) || isLetter(code);
}

function compareParts(a: string, b: string): number {
  if (a === b) return 0;
  let i = 0;
  let j = 0;
  let lastA = 0;
  let lastB = 0;
  while (i < a.length && j < b.length) {
    while (i < a.length && !isAlphanumeric(a.charCodeAt(i))) i++;
    while (j < b.length && !isAlphanumeric(b.charCodeAt(j))) j++;
    if (i >= a.length || j >= b.length) break;
    if (i - lastA !== j - lastB) return i - lastA < j - lastB ? -1 : 1;
    const numeric = isDigit(a.charCodeAt(i));
    const inRun = numeric ? isDigit : isLetter;
    let endA = i;
    let endB = j;
    while (endA < a.length && inRun(a.charCodeAt(endA))) endA++;
    while (endB < b.length && inRun(b.charCodeAt(endB))) endB++;
    if (endB === j) return numeric ? 1 : -1;
    const result = numeric ? compareDigits(a, i, endA, b, j, endB) : compareText(a.slice(i, endA), b.slice(j, endB));
    if (result !== 0) return result;
    i = lastA = endA;
    j = lastB = endB;
  }
  if (i >= a.length && j >= b.length) return 0;
  const leftoverLetters = isLetter(a.charCodeAt(i));
  return (i >= a.length && !isLetter(b.charCodeAt(j))) || leftoverLetters ? -1 : 1;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
