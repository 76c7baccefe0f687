/**
 * Purpose: globs, `*` any run of characters and `?` exactly one, over folded text - the same in recognition conditions, metric rules and every
 * ordered list of rules; and the folding: Unicode NFKC, then lower case, so that width and case never decide.
 * Invariants: no regular expressions; at worst pattern length × text length steps, no recursion - nothing in a
 * dictionary can make an endpoint slow. A character outside the basic plane is one character for `?`.
 */

export function foldName(text: string): string {
  return isAscii(text) ? text.toLowerCase() : text.normalize("NFKC").toLowerCase().normalize("NFKC");
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

export interface Glob {
  readonly pattern: string;
  /** What every match begins with. */
  readonly prefix: string;
  /** What every match ends with; empty when the pattern is all literal. */
  readonly suffix: string;
  /** The longest run without wildcards between prefix and suffix. */
  readonly inner: string;
  /** Without any wildcard: the text itself. */
  readonly literal: boolean;
}

export function compileGlob(foldedPattern: string): Glob {
  const pattern = squeeze(foldedPattern);
  let first = 0;
  while (first < pattern.length && !isWildcard(pattern[first])) first++;
  if (first === pattern.length) return { pattern, prefix: pattern, suffix: "", inner: "", literal: true };
  let last = pattern.length;
  while (!isWildcard(pattern[last - 1])) last--;
  let inner = "";
  let start = first;
  for (let i = first; i <= last; i++) {
    if (i < last && !isWildcard(pattern[i])) continue;
    if (i - start > inner.length) inner = pattern.slice(start, i);
    start = i + 1;
  }
  return { pattern, prefix: pattern.slice(0, first), suffix: pattern.slice(last), inner, literal: false };
}

export function matchGlob(glob: Glob, foldedText: string): boolean {
  if (glob.literal) return foldedText === glob.pattern;
  if (!foldedText.startsWith(glob.prefix) || !foldedText.endsWith(glob.suffix)) return false;
  const { pattern } = glob;
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < foldedText.length) {
    const c = pattern[p];
    if (c === "*") {
      star = p++;
      resume = t;
    } else if (c === "?") {
      p++;
      t += width(foldedText, t);
    } else if (c !== undefined && c === foldedText[t]) {
      p++;
      t++;
    } else if (star !== -1) {
      // Only the last star needs to give way: what earlier ones took cannot make a difference any more.
      p = star + 1;
      resume += width(foldedText, resume);
      t = resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

function isWildcard(c: string | undefined): boolean {
  return c === "*" || c === "?";
}

function squeeze(pattern: string): string {
  let result = pattern;
  while (result.includes("**")) result = result.replaceAll("**", "*");
  return result;
}

function width(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xd800 && code <= 0xdbff && at + 1 < text.length ? 2 : 1;
}
