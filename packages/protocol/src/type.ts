/**
 * Purpose: the few TypeBox builders that our schemas are written with. The types are TypeBox's own; the values are made here, for
 * loading the library costs a process 12 MB and a tenth of a second, which an agent's scan does not have.
 * Invariants: every value is what TypeBox would have made, symbols included (type.test.ts compares), so a schema from here can
 * stand inside one that a server builds with the library.
 */
import type { Static, Type as Library } from "@sinclair/typebox";

type Builders = Pick<
  typeof Library,
  | "Array"
  | "Boolean"
  | "Integer"
  | "Intersect"
  | "Literal"
  | "Number"
  | "Object"
  | "Optional"
  | "Partial"
  | "Record"
  | "String"
  | "Union"
  | "Unknown"
  | "Unsafe"
>;
type Fields = Readonly<Record<string | symbol, unknown>>;

const kind = Symbol.for("TypeBox.Kind");
const optional = Symbol.for("TypeBox.Optional");

const plain =
  (name: string, type: string) =>
  (options?: Fields): Fields => ({ ...options, [kind]: name, type });
const asOptional = (schema: Fields): Fields => ({ ...schema, [optional]: "Optional" });

function objectOf(properties: Readonly<Record<string, Fields>>, options?: Fields): Fields {
  const required = Object.keys(properties).filter((key) => properties[key]?.[optional] !== "Optional");
  return { ...options, [kind]: "Object", type: "object", ...(required.length > 0 && { required }), properties };
}

/** Of objects only. */
function partialOf(schema: Fields, options?: Fields): Fields {
  const {
    required: _,
    properties,
    $id: __,
    ...rest
  } = schema as { readonly properties: Record<string, Fields> } & Fields;
  const all = Object.entries(properties).map(([key, value]) => [key, asOptional(value)] as const);
  return { ...objectOf(Object.fromEntries(all), rest), ...options };
}

const builders = {
  Array: (items: Fields, options?: Fields) => ({ ...options, [kind]: "Array", type: "array", items }),
  Boolean: plain("Boolean", "boolean"),
  Integer: plain("Integer", "integer"),
  /** Of two and more objects only. */
  Intersect: (allOf: readonly Fields[], options?: Fields) => ({
    ...options,
    [kind]: "Intersect",
    type: "object",
    allOf,
  }),
  Literal: (value: string | number | boolean, options?: Fields) => ({
    ...options,
    [kind]: "Literal",
    const: value,
    type: typeof value,
  }),
  Number: plain("Number", "number"),
  Object: objectOf,
  Optional: asOptional,
  Partial: partialOf,
  /** With string keys only. */
  Record: (_key: Fields, value: Fields, options?: Fields) => ({
    ...options,
    [kind]: "Record",
    type: "object",
    patternProperties: { "^(.*)$": value },
  }),
  String: plain("String", "string"),
  /** Of two and more schemas only. */
  Union: (anyOf: readonly Fields[], options?: Fields) => ({ ...options, [kind]: "Union", anyOf }),
  Unknown: (options?: Fields) => ({ ...options, [kind]: "Unknown" }),
  Unsafe: (options?: Fields) => ({ ...options, [kind]: "Unsafe" }),
};

export const Type = builders as unknown as Builders;
export type { Static };
