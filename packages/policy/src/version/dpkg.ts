/**
 * Purpose: dpkg's version order (deb-version(7)): epoch, then upstream version, then revision; `~` sorts before
 * everything, even the end; letters sort before other characters.
 * Checked against `dpkg --compare-versions`.
 */
import { compareDigits, isDigit, isLetter, skipDigits } from "./characters.ts";

export function compareDpkg(a: string, b: string): number {
  const colonA = epochEnd(a);
  const colonB = epochEnd(b);
  const epochs = compareDigits(a, 0, Math.max(colonA, 0), b, 0, Math.max(colonB, 0));
  if (epochs !== 0) return epochs;
  const dashA = a.lastIndexOf("-");
  const dashB = b.lastIndexOf("-");
  const endA = dashA > colonA ? dashA : a.length;
  const endB = dashB > colonB ? dashB : b.length;
  const upstream = comparePart(a, colonA + 1, endA, b, colonB + 1, endB);
  return upstream !== 0 ? upstream : comparePart(a, endA + 1, a.length, b, endB + 1, b.length);
}

/** The index of the colon behind a numeric epoch, -1 where there is none. */
export function epochEnd(version: string): number {
  const colon = version.indexOf(":");
  return colon > 0 && skipDigits(version, 0) === colon ? colon : -1;
}

function order(text: string, at: number, end: number): number {
  if (at >= end) return 0;
  const code = text.charCodeAt(at);
  if (isDigit(code)) return 0;
  if (code === 126) return -1;
  return isLetter(code) ? code : code + 256;
}

function comparePart(a: string, aFrom: number, aTo: number, b: string, bFrom: number, bTo: number): number {
  let i = aFrom;
  let j = bFrom;
  while (i < aTo || j < bTo) {
    while ((i < aTo && !isDigit(a.charCodeAt(i))) || (j < bTo && !isDigit(b.charCodeAt(j)))) {
      const difference = order(a, i, aTo) - order(b, j, bTo);
      if (difference !== 0) return difference < 0 ? -1 : 1;
      i++;
      j++;
    }
    const endA = Math.min(skipDigits(a, i), Math.max(aTo, i));
    const endB = Math.min(skipDigits(b, j), Math.max(bTo, j));
    const numbers = compareDigits(a, i, Math.max(endA, i), b, j, Math.max(endB, j));
    if (numbers !== 0) return numbers;
    i = Math.max(endA, i);
    j = Math.max(endB, j);
  }
  return 0;
}
