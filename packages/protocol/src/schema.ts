/**
 * Purpose: one way from a JSON Schema to a validator. Schemas are TypeBox values, so the TypeScript type, the
 * validator and the OpenAPI document come from the same lines.
 * Invariants: a validator never changes its input and reports every fault it sees (bounded) with a JSON pointer,
 * never with the offending value - values may be personal data.
 */
import { createRequire } from "node:module";
import type { Ajv, ErrorObject, ValidateFunction } from "ajv";
import type { Static, TSchema } from "@sinclair/typebox";

let ajv: Ajv | undefined;

/** Loaded at the first use: an agent's scan validates nothing, and has no memory to spare for a compiler. */
function compiler(): Ajv {
  if (ajv !== undefined) return ajv;
  const require = createRequire(import.meta.url);
  const { Ajv: Compiler } = require("ajv") as { Ajv: new (options: object) => Ajv };
  const addFormats = require("ajv-formats") as (target: Ajv) => Ajv;
  // The schemas are our own: to check them against the schema of schemas would be most of the work of the first use.
  ajv = addFormats(new Compiler({ allErrors: false, strict: false, allowUnionTypes: true, validateSchema: false }));
  return ajv;
}

const compilations: (() => void)[] = [];

/** Servers compile all schemas before they listen: the first report of a kind, and whatever else there is to do, would wait for it. */
export function loadValidation(): void {
  for (const compile of compilations.splice(0)) compile();
}

export interface Fault {
  /** JSON pointer of the place, `""` for the document itself. */
  readonly path: string;
  readonly message: string;
}

export type Validated<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly Fault[] };

function toFault(error: ErrorObject): Fault {
  const detail =
    error.keyword === "additionalProperties"
      ? ` (${String((error.params as { additionalProperty: string }).additionalProperty)})`
      : error.keyword === "enum"
        ? ` (${(error.params as { allowedValues: unknown[] }).allowedValues.join(", ")})`
        : "";
  return { path: error.instancePath, message: `${error.message ?? "is not valid"}${detail}` };
}

/** Compiles a schema once, at its first use (a short-lived process pays only for what it reads); the returned function answers with the typed value or with the places that are wrong. */
export function validator<S extends TSchema>(schema: S): (value: unknown) => Validated<Static<S>> {
  let compiled: ValidateFunction | undefined;
  const compile = (): ValidateFunction => (compiled ??= compiler().compile(schema));
  compilations.push(compile);
  return (value) => {
    const check = compile();
    return check(value)
      ? { ok: true, value: value as Static<S> }
      : { ok: false, faults: (check.errors ?? []).slice(0, 20).map(toFault) };
  };
}
