/** Purpose: RFC 9457 problem documents; `code` is what callers match on. */
import { Type, type Static } from "./type.ts";

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.Optional(Type.String()),
    /** What the caller should do. */
    action: Type.Optional(Type.String()),
    /** Places that are wrong, for invalid input. */
    faults: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }, { additionalProperties: true })),
    ),
    /** The answering node's time, RFC 3339; given with `clock-skew`. */
    time: Type.Optional(Type.String()),
  },
  { additionalProperties: true },
);
export type Problem = Static<typeof Problem>;
export const problemContentType = "application/problem+json";
