/**
 * Purpose: what one comparison of a probe means - `field op value` against what was found.
 * Invariants: a comparison on something the thing lacks (absent or empty) is false, `!=` too: what is unknown is no
 * evidence. Text compares folded (names.ts); versions in the order of their source.
 *
 * Epochs: an order with epochs compares them as its manager does, so 1:1.0 is newer than 2.0. But a range
 * (`version >= "7", version < "8"`) of which neither end writes an epoch speaks of upstream versions: there the found
 * epoch is left out, for no version with an epoch could lie between 7 and 8 otherwise (LibreOffice in Debian is 4:7.4.7).
 */
import { fieldType, type Comparison, type FieldType, type Operator, type ProbeName } from "../language/probes.ts";
import { compareNumeric } from "../version/numeric.ts";
import { compareVersions, epochLength } from "../version/index.ts";
import { epochEnd } from "../version/dpkg.ts";
import { compileGlob, matchGlob } from "@daicho/protocol";
import { foldName, foldPath, foldRegistryKey, withoutHive } from "./names.ts";

/** Whether what was found passes. Text-like fields expect it folded by `foldField`, all others as found. */
export type Test = (found: string, source: string) => boolean;

/** The form in which a field of this type compares. */
export function foldField(type: FieldType, found: string): string {
  switch (type) {
    case "path":
      return foldPath(found);
    case "key":
      return foldRegistryKey(found);
    case "version":
    case "size":
      return found;
    case "text":
    case "data":
    case "hash":
    case "manager":
      return foldName(found);
  }
}

/** One test for every comparison of a probe, in their order. */
export function compileComparisons(probe: ProbeName, comparisons: readonly Comparison[]): readonly Test[] {
  const upstream = isUpstreamRange(comparisons);
  return comparisons.map((c) => compileComparison(fieldType(probe, c.field) ?? "text", c.op, c.value, upstream));
}

/** Has a lower and an upper bound, and no version that is compared in order has an epoch. */
export function isUpstreamRange(comparisons: readonly Comparison[]): boolean {
  const versions = comparisons.filter((c) => c.field === "version" && c.op !== "~");
  return (
    versions.some((c) => c.op.startsWith(">")) &&
    versions.some((c) => c.op.startsWith("<")) &&
    versions.every((c) => epochEnd(c.value) === -1)
  );
}

function compileComparison(type: FieldType, op: Operator, value: string, upstream: boolean): Test {
  if (op === "~") return compileGlobTest(type, value);
  switch (type) {
    case "version":
      return (found, source) => {
        const version = upstream ? found.slice(epochLength(source, found)) : found;
        return decide(op, compareVersions(source, version, value));
      };
    case "size": {
      const bytes = Number(value);
      return (found) => {
        const size = Number(found);
        return Number.isFinite(size) && decide(op, Math.sign(size - bytes));
      };
    }
    case "data":
      if (op !== "=" && op !== "!=") return (found) => decide(op, compareNumeric(found, value));
      break;
    case "key": {
      const wanted = foldRegistryKey(value);
      const sameKey = (found: string): boolean => found === wanted || withoutHive(found) === wanted;
      return op === "=" ? sameKey : (found) => !sameKey(found);
    }
    case "text":
    case "path":
    case "hash":
    case "manager":
      break;
  }
  const wanted = foldField(type, value);
  return op === "=" ? (found) => found === wanted : (found) => found !== wanted;
}

function compileGlobTest(type: FieldType, value: string): Test {
  if (type === "version") {
    const glob = compileGlob(foldName(value));
    return (found) => matchGlob(glob, foldName(found));
  }
  const glob = compileGlob(foldField(type, value));
  if (type === "key") return (found) => matchGlob(glob, found) || matchGlob(glob, withoutHive(found));
  return (found) => matchGlob(glob, found);
}

function decide(op: Operator, order: number): boolean {
  switch (op) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    case "~":
      return false;
  }
}
