import { Type as Library } from "@sinclair/typebox";
import { describe, expect, it } from "vitest";
import { Type } from "./type.ts";

type Fields = Record<string | symbol, unknown>;

/** Everything a value holds, symbols included and in its own order of keys, so that documents made from it are the same text. */
function laidOut(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(laidOut);
  return Reflect.ownKeys(value).map((key) => [String(key), laidOut((value as Fields)[key])]);
}

const samples: Record<keyof typeof Type, (t: typeof Type) => unknown> = {
  Array: (t) => [t.Array(t.String()), t.Array(t.Integer(), { maxItems: 3, description: "x" })],
  Boolean: (t) => [t.Boolean(), t.Boolean({ default: true })],
  Integer: (t) => [t.Integer(), t.Integer({ minimum: 0 })],
  Intersect: (t) => t.Intersect([t.Object({ a: t.String() }), t.Object({ b: t.Optional(t.String()) })], { $id: "x" }),
  Literal: (t) => [t.Literal("a"), t.Literal(1), t.Literal(true, { title: "x" })],
  Number: (t) => [t.Number(), t.Number({ minimum: 0 })],
  Object: (t) => [
    t.Object({}),
    t.Object({ a: t.Optional(t.String()) }, { additionalProperties: false }),
    t.Object({ z: t.String(), a: t.Optional(t.Integer()), m: t.Unknown() }, { $id: "x" }),
  ],
  Optional: (t) => [t.Optional(t.String({ maxLength: 1 })), t.Optional(t.Optional(t.Object({})))],
  Partial: (t) => [
    t.Partial(t.Object({ a: t.String(), b: t.Optional(t.Boolean()) }, { $id: "x", additionalProperties: false })),
    t.Partial(t.Object({ a: t.String() }, { additionalProperties: false }), { additionalProperties: true }),
  ],
  Record: (t) => [t.Record(t.String({ maxLength: 64 }), t.String()), t.Record(t.String(), t.Integer(), { title: "x" })],
  String: (t) => [t.String(), t.String({ minLength: 1, maxLength: 2, pattern: "^a" })],
  Union: (t) => t.Union([t.Object({ a: t.Literal("x") }), t.String()], { description: "x" }),
  Unknown: (t) => [t.Unknown(), t.Unknown({ description: "x" })],
  Unsafe: (t) => [t.Unsafe<"a">({ type: "string", enum: ["a"] }), t.Unsafe<string>({})],
};

describe("the builders of schemas", () => {
  it.each(Object.entries(samples))("%s makes what TypeBox makes", (_name, sample) => {
    expect(laidOut(sample(Type))).toEqual(laidOut(sample(Library)));
  });

  it("make schemas that stand inside TypeBox's own", () => {
    const inner = Type.Object({ a: Type.String() });
    const outer = Library.Object({ must: inner, may: Type.Optional(inner) });
    expect(outer.required).toEqual(["must"]);
  });
});
