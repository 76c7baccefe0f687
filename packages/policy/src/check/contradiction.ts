/**
 * Purpose: probes that no file, key or title can satisfy, whatever it is: `name = "a", name = "b"`, or a version that
 * must be at least 8 and below 7.
 * Invariants: only what certainly never holds. Versions are judged only where every order agrees: digits and points
 * with as many parts.
 */
import { fieldType, type Comparison, type Probe } from "../language/probes.ts";
import { foldField } from "../recognize/compare.ts";
import { compileGlob, matchGlob } from "@daicho/protocol";
import { compareNumeric } from "../version/numeric.ts";

/** The two comparisons that exclude each other, as text; undefined when there are none. */
export function findContradiction(probe: Probe): string | undefined {
  const list = probe.comparisons;
  for (const [i, a] of list.entries()) {
    for (const b of list.slice(i + 1)) {
      if (a.field === b.field && excludes(probe, a, b)) return `${print(a)} and ${print(b)} exclude each other`;
    }
  }
  return undefined;
}

function print(c: Comparison): string {
  return `${c.field} ${c.op} "${c.value}"`;
}

function excludes(probe: Probe, a: Comparison, b: Comparison): boolean {
  const type = fieldType(probe.name, a.field) ?? "text";
  if (type === "version") return plainVersions(a, b) && boundsCross(a, b, compareNumeric);
  if (type === "size") return boundsCross(a, b, (x, y) => Number(x) - Number(y));
  if (type === "data" || type === "key") return false;
  if (a.op === "=") {
    const value = foldField(type, a.value);
    const other = foldField(type, b.value);
    if (b.op === "=") return value !== other;
    if (b.op === "!=") return value === other;
    if (b.op === "~") return !matchGlob(compileGlob(other), value);
  }
  return b.op === "=" && a.op !== "=" ? excludes(probe, b, a) : false;
}

function plainVersions(a: Comparison, b: Comparison): boolean {
  return a.op !== "~" && b.op !== "~" && isPlain(a.value) && isPlain(b.value) && parts(a.value) === parts(b.value);
}

function isPlain(version: string): boolean {
  return /^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$/.test(version);
}

function parts(version: string): number {
  return version.split(".").length;
}

function boundsCross(a: Comparison, b: Comparison, compare: (x: string, y: string) => number): boolean {
  const isLower = (op: string): boolean => op === ">" || op === ">=" || op === "=";
  const isUpper = (op: string): boolean => op === "<" || op === "<=" || op === "=";
  const order = compare(a.value, b.value);
  const strict = (a.op === ">" || a.op === "<" || b.op === ">" || b.op === "<") && order === 0;
  if (a.op === "!=" || b.op === "!=") return order === 0 && (a.op === "=" || b.op === "=");
  if (isLower(a.op) && isUpper(b.op) && (order > 0 || strict)) return true;
  return isUpper(a.op) && isLower(b.op) && (order < 0 || strict);
}
