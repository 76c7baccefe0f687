/** Purpose: `/api/v1/positions/changes`: what changed between two moments, why, and the single events behind it. */
import { Type } from "@sinclair/typebox";
import type { Clock } from "@daicho/kernel";
import { differenceCauses, measures } from "@daicho/licensing";
import type { FastifyInstance } from "fastify";
import type { Authorize } from "../../../http/authorize.ts";
import type { ItemKey } from "../../../http/first-ones.ts";
import { pageOfItems, sendItems } from "../../../http/items.ts";
import { columnsOf, decodeCursor, encodeCursor, sendList, Unlimited, type ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { limits, Text } from "../../../http/text.ts";
import type { ChangeItem, ChangeQuery, Changes } from "./changes.ts";
import { momentOf } from "./moment.ts";

const moment = (description: string) => Type.String({ maxLength: 40, description });
const Amounts = Type.Object(Object.fromEntries(measures.map((measure) => [measure, Type.Integer()])));
const Cause = Type.Unsafe<string>({ type: "string", enum: [...differenceCauses] });
const Item = Type.Object({
  license: Type.String(),
  name: Type.String(),
  metric: Type.String(),
  department: Type.Optional(Type.String()),
  from: Amounts,
  to: Amounts,
  causes: Type.Array(
    Type.Object({
      cause: Cause,
      count: Type.Integer({ description: "Single changes that the cause is made of" }),
      ...Amounts.properties,
    }),
  ),
  unexplained: Amounts,
});
const Place = Type.Object({
  department: Type.String(),
  employee: Type.Optional(Type.String()),
  count: Type.Integer(),
});
const Event = Type.Object({
  at: Type.String(),
  cause: Cause,
  measure: Type.Unsafe<string>({ type: "string", enum: [...measures] }),
  license: Type.String(),
  department: Type.Optional(Type.String()),
  by: Type.Integer(),
  device: Type.Optional(Type.String()),
  entitlement: Type.Optional(Type.String()),
  before: Type.Optional(Place),
  after: Type.Optional(Place),
});

interface Query extends ListQuery {
  readonly from: string;
  readonly to?: string;
  readonly license?: string;
  readonly department?: string;
  readonly rollup?: boolean;
  readonly by?: "department";
  readonly detail?: boolean;
}

export function changeRoutes(
  app: FastifyInstance,
  deps: { readonly changes: Changes; readonly authorize: Authorize; readonly clock: Clock },
): void {
  const { changes, clock } = deps;
  app.get<{ Querystring: Query }>(
    "/api/v1/positions/changes",
    {
      onRequest: deps.authorize.role("auditor"),
      schema: {
        tags: ["positions"],
        summary:
          "What changed between two moments, by cause: the causes of an item add up to its difference, and what none explains is `unexplained`. With `detail` the single events, by time",
        querystring: Type.Object({
          from: moment("RFC 3339, or a date, which stands for the end of that day (UTC)"),
          to: Type.Optional(moment("The same; now, unless given")),
          license: Type.Optional(Text(limits.license)),
          department: Type.Optional(Text(limits.code)),
          rollup: Type.Optional(
            Type.Boolean({ default: false, description: "The department's whole subtree, as it was at each moment" }),
          ),
          by: Type.Optional(Type.Unsafe<"department">({ type: "string", enum: ["department"] })),
          detail: Type.Optional(Type.Boolean({ default: false })),
          ...Unlimited.properties,
        }),
        response: {
          200: Type.Object({
            from: Type.String(),
            to: Type.String(),
            department: Type.Optional(Type.String()),
            items: Type.Array(Type.Union([Item, Event])),
            nextCursor: Type.Optional(Type.String()),
          }),
        },
      },
      // Items of two kinds in one list: what is sent is made here and needs no sieve.
      serializerCompiler: () => (data) => JSON.stringify(data),
    },
    async (request, reply) => {
      const { query } = request;
      const asked = askedOf(query, clock.now());
      const head = {
        from: new Date(asked.from).toISOString(),
        to: new Date(asked.to).toISOString(),
        ...(query.department !== undefined && { department: query.department }),
      };
      if (query.detail === true) {
        if (query.sort !== undefined)
          throw inputInvalid([{ path: "querystring/sort", message: "events come by time; leave it out" }]);
        const { items, next } = await changes.events({
          ...asked,
          after: cursorOf(query.cursor),
          limit: query.limit ?? 100,
        });
        const page = {
          items: items.map((event) => ({ ...event, at: new Date(event.at).toISOString() })),
          ...(next !== undefined && { nextCursor: encodeCursor(next) }),
        };
        return sendList(request, reply, { ...head, ...page }, columnsOf(Event));
      }
      const items = await changes.between(asked);
      if (query.limit === undefined && query.cursor === undefined && query.sort === undefined)
        return sendItems(request, reply, head, items, columnsOf(Item));
      const page = await pageOfItems<ChangeItem>(items, query, {
        fields: ["license", "name", "metric"],
        keyOf: (item) => `${item.department ?? ""}\u0000${item.license}`,
      });
      return sendList(request, reply, { ...head, ...page }, columnsOf(Item));
    },
  );
}

/** @throws input-invalid */
function askedOf(query: Query, now: number): ChangeQuery {
  const from = momentOf("from", query.from, now) ?? now;
  const to = momentOf("to", query.to, now) ?? now;
  if (from > to) throw inputInvalid([{ path: "querystring/from", message: "lies after `to`" }]);
  if (query.department !== undefined && query.by !== undefined)
    throw inputInvalid([{ path: "querystring/by", message: "cannot be combined with department" }]);
  if (query.rollup === true && query.department === undefined)
    throw inputInvalid([{ path: "querystring/rollup", message: "needs a department" }]);
  const { license, department, rollup } = query;
  return { from, to, license, department, rollup, byDepartment: query.by === "department" };
}

/** @throws input-invalid */
function cursorOf(cursor: string | undefined): ItemKey | undefined {
  if (cursor === undefined) return undefined;
  const key = decodeCursor(cursor);
  if (key?.length === 5 && key.slice(0, 4).every((part) => typeof part === "number")) return key;
  throw inputInvalid([{ path: "querystring/cursor", message: "is not a cursor of this list" }]);
}
