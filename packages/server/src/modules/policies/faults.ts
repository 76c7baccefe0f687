/** Purpose: what is wrong with a policy, as the API answers it and as it travels upward. */
import type { PolicyFault } from "@daicho/policy";
import { serverErrors } from "../../errors.ts";
import type { EditionName } from "./store.ts";

/** A stable code and words: travels upward as a node's `reason`. */
export interface Fault {
  readonly code: string;
  readonly message: string;
}

/** The first fault with its place, and how many more there are. Bounded. */
export function describeFaults(faults: readonly PolicyFault[]): string {
  const first = faults[0];
  if (first === undefined) return "the editions do not fit together";
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  return `${first.file}:${first.line}:${first.column}: ${first.message}`.slice(0, 480) + more;
}

export function policyInvalid(edition: EditionName, faults: readonly PolicyFault[]): Error {
  return invalid(edition, faults, describeFaults(faults));
}

export function wrongEdition(edition: EditionName, found: string): Error {
  const message = `this is a policy of the ${found} edition; it was sent as the ${edition} edition.`;
  return invalid(edition, [{ file: edition, line: 1, column: 1, code: "wrong-edition", message }], message);
}

function invalid(
  edition: EditionName,
  faults: readonly (Omit<PolicyFault, "code"> & { readonly code: string })[],
  first: string,
): Error {
  const error = serverErrors.make("policy-invalid", { edition, count: faults.length, first });
  return Object.assign(error, { faults: faults.map((f) => ({ ...f, path: `${f.file}:${f.line}:${f.column}` })) });
}
