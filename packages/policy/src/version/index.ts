/**
 * Purpose: `a` before, with or after `b` in the order of the source that a title came from (contract.md: "the source's
 * own ordering (dpkg's, rpm's, else numeric segments)"; apk's and pacman's are theirs too).
 * Invariants: pure, linear, never throws, answers -1, 0 or 1 for any two texts.
 */
import { compareApk } from "./apk.ts";
import { compareDpkg, epochEnd } from "./dpkg.ts";
import { compareNumeric } from "./numeric.ts";
import { comparePacman } from "./pacman.ts";
import { compareRpm } from "./rpm.ts";

export function compareVersions(source: string, a: string, b: string): number {
  switch (source) {
    case "dpkg":
      return compareDpkg(a, b);
    case "rpm":
      return compareRpm(a, b);
    case "apk":
      return compareApk(a, b);
    case "pacman":
      return comparePacman(a, b);
    default:
      return compareNumeric(a, b);
  }
}

/** Whether versions of this source can carry an epoch (`4:7.4.7`), and where it ends: behind the colon, or 0. */
export function epochLength(source: string, version: string): number {
  return source === "dpkg" || source === "rpm" || source === "pacman" ? epochEnd(version) + 1 : 0;
}
