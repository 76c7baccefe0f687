/**
 * Purpose: the order for everything without a version algorithm of its own (Windows, macOS, Homebrew, flatpak, snap,
 * SWID, version resources): numeric segments.
 *
 * A version is cut into runs of digits and runs of letters; everything else only separates. Runs compare one by one:
 *
 *   pre-release word (alpha beta rc pre preview dev …)  <  nothing = 0  <  any other word  <  1 < 2 < …
 *
 * Invariants: a total order (each version is an endless list of runs padded with "nothing"), so 7 = 7.0 = 7.0.0,
 * 7.0rc1 < 7.0 < 7.0a < 7.0.1. A leading `v` or `version` does not count. Words compare without regard to case.
 */
import { compareDigits, isDigit, skipDigits } from "./characters.ts";

const preReleases = new Set([
  "alpha",
  "beta",
  "rc",
  "pre",
  "preview",
  "prerelease",
  "dev",
  "snapshot",
  "nightly",
  "insider",
  "insiders",
  "canary",
  "eap",
  "cr",
]);

export function compareNumeric(left: string, right: string): number {
  const a = narrow(left);
  const b = narrow(right);
  let i = start(a);
  let j = start(b);
  while (i < a.length || j < b.length) {
    i = skipSeparators(a, i);
    j = skipSeparators(b, j);
    const endA = runEnd(a, i);
    const endB = runEnd(b, j);
    const rankA = rank(a, i, endA);
    const rankB = rank(b, j, endB);
    if (rankA !== rankB) return rankA < rankB ? -1 : 1;
    const result =
      rankA === number
        ? compareDigits(a, i, endA, b, j, endB)
        : rankA === nothing
          ? 0
          : compareWords(a.slice(i, endA).toLowerCase(), b.slice(j, endB).toLowerCase());
    if (result !== 0) return result;
    i = endA;
    j = endB;
  }
  return 0;
}

const preRelease = 0;
const nothing = 1;
const word = 2;
const number = 3;

function rank(text: string, from: number, to: number): number {
  if (from === to) return nothing;
  if (isDigit(text.charCodeAt(from))) {
    for (let i = from; i < to; i++) if (text.charCodeAt(i) !== 48) return number;
    return nothing;
  }
  return to - from <= 10 && preReleases.has(text.slice(from, to).toLowerCase()) ? preRelease : word;
}

function start(text: string): number {
  let at = 0;
  while (at < text.length && isSeparator(text.charCodeAt(at))) at++;
  const first = runEnd(text, at);
  const lead = text.slice(at, first).toLowerCase();
  if (lead !== "v" && lead !== "ver" && lead !== "version") return at;
  const next = skipSeparators(text, first);
  return isDigit(text.charCodeAt(next)) ? next : at;
}

/** Full-width digits and points are digits and points. */
function narrow(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return text.normalize("NFKC");
  return text;
}

/** Whatever is neither a digit nor a letter of some script. */
function isSeparator(code: number): boolean {
  if (code >= 128) return false;
  return !(isDigit(code) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90));
}

function skipSeparators(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSeparator(text.charCodeAt(at))) at++;
  return at;
}

function runEnd(text: string, from: number): number {
  if (from >= text.length) return from;
  if (isDigit(text.charCodeAt(from))) return skipDigits(text, from);
  let at = from;
  while (at < text.length && !isSeparator(text.charCodeAt(at)) && !isDigit(text.charCodeAt(at))) at++;
  return at;
}

function compareWords(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
