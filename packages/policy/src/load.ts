/**
 * Purpose: policy files to checked policies in one step - what the command line and the server call.
 * Invariants: `policies` is there only when nothing is wrong with any of them: all or nothing.
 */
import type { PolicyFault } from "./faults.ts";
import { checkPolicies, type CheckOptions } from "./check/check.ts";
import { parsePolicy } from "./policy/parse.ts";
import type { ParsedPolicy } from "./policy/types.ts";

export interface LoadedPolicies {
  readonly policies?: readonly ParsedPolicy[];
  readonly faults: readonly PolicyFault[];
}

export function loadPolicies(
  files: readonly { readonly file: string; readonly text: string | Uint8Array }[],
  options: CheckOptions = {},
): LoadedPolicies {
  const readings = files.map(({ file, text }) => parsePolicy(text, { file }));
  const readable = readings.flatMap((r) => (r.partial === undefined ? [] : [r.partial]));
  // With a file that cannot be read at all, unknown codes would only say that its codes are missing.
  const across = readable.length === readings.length ? checkPolicies(readable, options) : [];
  const order = new Map(files.map(({ file }, i) => [file, i]));
  const faults = [...readings.flatMap((r) => r.faults), ...across].sort(
    (a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line || a.column - b.column,
  );
  return faults.length > 0 ? { faults } : { policies: readable, faults };
}
