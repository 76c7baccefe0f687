/**
 * Purpose: the few character tests that every version algorithm shares. By char code, because versions are compared
 * for every title of every report.
 */

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

export function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
}

/** The first index from `at` that is no digit. */
export function skipDigits(text: string, at: number): number {
  let i = at;
  while (isDigit(text.charCodeAt(i))) i++;
  return i;
}

/** Compares two runs of digits as numbers of any length. */
export function compareDigits(a: string, aFrom: number, aTo: number, b: string, bFrom: number, bTo: number): number {
  let i = aFrom;
  let j = bFrom;
  while (i < aTo && a.charCodeAt(i) === 48) i++;
  while (j < bTo && b.charCodeAt(j) === 48) j++;
  const byLength = aTo - i - (bTo - j);
  if (byLength !== 0) return byLength < 0 ? -1 : 1;
  for (; i < aTo; i++, j++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(j);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return 0;
}
