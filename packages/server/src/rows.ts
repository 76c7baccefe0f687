/**
 * Purpose: writing rows of the ledger. One row from the API and 100,000 from a file go the same way, through the context that owns
 * them: it checks all rows against what is there and against each other, then writes them or says what is wrong with which.
 * Invariants: all or nothing - a result with faults has written nothing, and the caller rolls its transaction back; a field that is absent is left
 * as it is, null clears it.
 */
import { defineErrors, type DaichoError } from "@daicho/kernel";
import { serverErrors } from "./errors.ts";
import { inputInvalid } from "./http/problem.ts";

/** create: none may exist · change: all must exist · upsert: as it comes. */
export type WriteMode = "create" | "change" | "upsert";

/** What can be wrong with a row or with the file it came in. */
export const rowFaults = defineErrors({
  "file-empty": { status: 422, message: "the file has no header row", action: "Begin it with the column names." },
  "bytes-undecodable": {
    status: 422,
    message: "these bytes are not {encoding}",
    action: "Save the file as UTF-8, or name its encoding.",
  },
  "row-malformed": { status: 422, message: "{reason}", action: "Correct the row's quotes or its number of cells." },
  "row-limit": { status: 422, message: "the file has more than {limit} rows", action: "Split the file." },
  "column-unknown": {
    status: 422,
    message: "unknown column {column}; known are {known}",
    action: "Correct or remove it.",
  },
  "column-duplicate": { status: 422, message: "column {column} is there twice", action: "Keep one of them." },
  "column-missing": { status: 422, message: "column {column} is missing; known are {known}", action: "Add it." },
  "value-required": { status: 422, message: "a value is required", action: "Fill the cell." },
  "value-invalid": { status: 422, message: "{reason}", action: "Correct the value." },
  "row-duplicate": { status: 422, message: "the same key is in line {line} already", action: "Keep one of them." },
  "reference-unknown": {
    status: 422,
    message: "there is no {what} {id}",
    action: "Import it first, or correct the value.",
  },
  "code-reserved": {
    status: 422,
    message: "the code {code} is reserved",
    action: "Choose another code; it stands for what belongs to no department.",
  },
  "department-cycle": {
    status: 422,
    message: "a department cannot be above itself: {cycle}",
    action: "Change the parent of one of them.",
  },
  "employee-left": {
    status: 409,
    message: "{id} has left; a row cannot change that",
    action: "Remove the row, or bring the person back with a `hire` (`POST /api/v1/org-changes`).",
  },
  "already-exists": { status: 409, message: "{what} {id} exists already", action: "Change it instead." },
  "not-found": { status: 404, message: "there is no {what} {id}", action: "Create it first." },
});
export type RowFaultCode = keyof typeof rowFaults.table;

export interface RowFault {
  /** Index of the row. */
  readonly row: number;
  /** Field of the API = column of the file. */
  readonly field: string;
  readonly code: RowFaultCode;
  readonly message: string;
}

export function rowFault(
  row: number,
  field: string,
  code: RowFaultCode,
  details: Readonly<Record<string, string | number>> = {},
): RowFault {
  return { row, field, code, message: rowFaults.make(code, details).message };
}

/** Of one kind, in one answer. */
export const mostWarnings = 100;

export interface WriteResult {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly faults: readonly RowFault[];
  /** Worth a look, but no reason to refuse. */
  readonly warnings: readonly RowFault[];
}

/** For the API, where the one row is the request: its faults as an error. */
export function errorOfRow(fault: RowFault, what: string, id: string): DaichoError {
  if (fault.code === "already-exists") return serverErrors.make("already-exists", { what, id });
  if (fault.code === "not-found") return serverErrors.make("not-found", { what, id });
  if (fault.code === "employee-left") return serverErrors.make("conflict", { reason: fault.message });
  return inputInvalid([{ path: `/${fault.field}`, message: fault.message }]);
}

/** What a write throws to have its transaction rolled back; `result` says why. */
export class RolledBack extends Error {
  readonly result: WriteResult;
  constructor(result: WriteResult) {
    super("rolled back");
    this.result = result;
  }
}
