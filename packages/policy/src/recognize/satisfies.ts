/**
 * Purpose: whether one thing - a file, a registry value, a title - satisfies a probe, given what is known of it as flat
 * text fields. The agent answers `file` and `registry` probes with it.
 * Invariants: one thing must satisfy all comparisons of the probe.
 */
import { fieldType, type Probe } from "../language/probes.ts";
import { compileComparisons, foldField, type Test } from "./compare.ts";

interface CompiledField {
  readonly field: string;
  readonly test: Test;
  readonly fold: (found: string) => string;
}

/** Compiled once per probe; the cache lives as long as the probe does. */
const compiled = new WeakMap<Probe, readonly CompiledField[]>();

export function satisfies(probe: Probe, fields: Readonly<Record<string, string | undefined>>): boolean {
  return unmetField(probe, fields) === undefined;
}

/** The first field whose comparison fails; with it, a reader of costly fields (hash, version) knows what to read next. */
export function unmetField(probe: Probe, fields: Readonly<Record<string, string | undefined>>): string | undefined {
  let tests = compiled.get(probe);
  if (tests === undefined) {
    const made = compileComparisons(probe.name, probe.comparisons);
    tests = probe.comparisons.map((c, i) => {
      const type = fieldType(probe.name, c.field) ?? "text";
      return { field: c.field, test: made[i] ?? (() => false), fold: (found: string) => foldField(type, found) };
    });
    compiled.set(probe, tests);
  }
  const source = fields["manager"] ?? "";
  for (const { field, test, fold } of tests) {
    const found = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (found === undefined || found === "" || !test(fold(found), source)) return field;
  }
  return undefined;
}
