/** Purpose: at a group: `/api/v1/price-tiers`, `/api/v1/group-orders…`, and `/ingest/v1/company-orders` for the companies. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { ListQuery, listOf, sendList, sendPage, wantsCsv } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { Key, limits, Text } from "../../http/text.ts";
import { currencies, maxAmount, maxQuantity } from "../licenses/index.ts";
import { PeriodName, runStates, type RunState } from "../purchases/index.ts";
import type { GroupOrder } from "./answer.ts";
import { groupSkipReasons } from "./order.ts";
import type { Pooling } from "./service.ts";
import type { PriceTiers } from "./tiers.ts";

const Money = Type.Integer({ minimum: 0, description: "Minor units of `currency`" });
const Tier = Type.Object(
  {
    from: Type.Integer({ minimum: 1, maximum: maxQuantity, description: "First quantity that has this price" }),
    unitPrice: Type.Integer({ minimum: 0, maximum: maxAmount, description: "Of each, whole minor units" }),
  },
  { additionalProperties: false },
);
const strict = { additionalProperties: false };
const tierFields = {
  currency: Type.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217" }),
  tiers: Type.Array(Tier, { minItems: 1, maxItems: 100, description: "From quantity 1 upward, never dearer" }),
};
const Tiers = Type.Object({ license: Type.String(), ...tierFields });
const License = Type.Object({ license: Key(limits.license) });
const sums = { quantity: Type.Integer(), amount: Money, alone: Money, saving: Money };
const State = Type.Unsafe<RunState>({ type: "string", enum: [...runStates] });
const Order = Type.Object({
  id: Type.Optional(Type.String({ description: "This and `order` are absent while it is only planned" })),
  order: Type.Optional(Type.String({ description: "Our order number" })),
  period: Type.String(),
  license: Type.String(),
  state: State,
  unitPrice: Money,
  currency: Type.String(),
  ...sums,
  at: Type.String(),
  supplierOrder: Type.Optional(Type.String({ description: "The supplier's number, once placed" })),
  shares: Type.Array(
    Type.Object({
      company: Type.String(),
      ...sums,
      booked: Type.Boolean({ description: "The company has it in its books" }),
    }),
  ),
});
const Name = Type.Object({ order: Key(256, "Id or order number; a `/` within is written %2F") });

export function poolingRoutes(
  app: FastifyInstance,
  deps: {
    readonly pooling: Pooling;
    readonly authorize: Authorize;
    readonly role: "corporate" | "group" | "both";
    /** Id of the server that is enrolled for the company. */
    readonly serverOf: (company: string) => Promise<string | undefined>;
  },
): void {
  const { pooling, authorize } = deps;
  const read = { onRequest: authorize.role("auditor") };
  const write = { onRequest: authorize.role("manager") };
  const tags = ["group orders"];
  const requireGroup = (): void => {
    if (deps.role === "corporate")
      throw serverErrors.make("wrong-role", {
        role: deps.role,
        what: "an order for several companies",
        needed: "group",
      });
  };

  app.get<{ Querystring: ListQuery }>(
    "/api/v1/price-tiers",
    {
      ...read,
      schema: {
        tags,
        summary: "What licences cost by quantity",
        querystring: ListQuery,
        response: { 200: listOf(Tiers) },
      },
    },
    async (request, reply) => {
      requireGroup();
      return sendPage(request, reply, await pooling.tiers(request.query));
    },
  );

  app.get<{ Params: { license: string } }>(
    "/api/v1/price-tiers/:license",
    {
      ...read,
      schema: { tags, summary: "What a licence costs by quantity", params: License, response: { 200: Tiers } },
    },
    async (request) => {
      requireGroup();
      const found = await pooling.tiersOf(request.params.license);
      if (found === undefined)
        throw serverErrors.make("not-found", { what: "price tiers of", id: request.params.license });
      return found;
    },
  );

  app.put<{ Params: { license: string }; Body: Omit<PriceTiers, "license"> }>(
    "/api/v1/price-tiers/:license",
    {
      ...write,
      schema: {
        tags,
        summary: "Say what a licence costs by quantity; the whole quantity has the price of the tier it reaches",
        params: License,
        body: Type.Object(tierFields, strict),
        response: { 200: Tiers },
      },
    },
    async (request) => {
      requireGroup();
      if (!currencies.has(request.body.currency))
        throw inputInvalid([{ path: "/currency", message: "is no ISO 4217 currency" }]);
      return pooling.setTiers({ license: request.params.license, ...request.body });
    },
  );

  app.delete<{ Params: { license: string } }>(
    "/api/v1/price-tiers/:license",
    { ...write, schema: { tags, summary: "Order this licence for all no longer", params: License } },
    async (request, reply) => {
      requireGroup();
      if (!(await pooling.removeTiers(request.params.license)))
        throw serverErrors.make("not-found", { what: "price tiers of", id: request.params.license });
      return reply.code(204).send();
    },
  );

  app.post<{
    Body: { dryRun?: boolean; period?: string; licenses?: string[] } | null;
    Headers: { "idempotency-key"?: string };
  }>(
    "/api/v1/group-orders",
    {
      ...write,
      schema: {
        tags,
        summary:
          "Order what all companies lack that leave it to the group, one order per licence; a licence that was ordered this period answers with it",
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Type.Union([
          Type.Object(
            {
              dryRun: Type.Optional(Type.Boolean()),
              period: Type.Optional(PeriodName),
              licenses: Type.Optional(
                Type.Array(Key(limits.license), { maxItems: 10_000, description: "Absent = all that are lacking" }),
              ),
            },
            strict,
          ),
          Type.Null(),
        ]),
        response: {
          200: Type.Object({
            period: Type.String(),
            dryRun: Type.Boolean(),
            orders: Type.Array(Order),
            skipped: Type.Array(
              Type.Object({
                license: Type.String(),
                quantity: Type.Integer(),
                reason: Type.Unsafe<string>({ type: "string", enum: [...groupSkipReasons] }),
                company: Type.Optional(Type.String({ description: "Where that one buys for itself" })),
              }),
              { description: "Lacking, but not ordered" },
            ),
          }),
        },
      },
    },
    async (request) => {
      requireGroup();
      const key = request.headers["idempotency-key"];
      return pooling.order({
        ...request.body,
        ...(key !== undefined && { idempotency: `${request.caller?.tokenId ?? ""}\n${key}` }),
      });
    },
  );

  app.get<{ Querystring: ListQuery & { period?: string; license?: string; state?: string } }>(
    "/api/v1/group-orders",
    {
      ...read,
      schema: {
        tags,
        summary: "What was ordered for all companies, and each one's part; as text/csv one line per part",
        querystring: Type.Object({
          ...ListQuery.properties,
          period: Type.Optional(Text(64)),
          license: Type.Optional(Text(limits.license)),
          state: Type.Optional(State),
        }),
        response: { 200: listOf(Order) },
      },
    },
    async (request, reply) => {
      requireGroup();
      const listed = await pooling.orders(request.query);
      return wantsCsv(request)
        ? sendPage(request, reply, { ...listed, rows: listed.rows.flatMap(lines) }, lineColumns)
        : sendPage(request, reply, listed);
    },
  );

  app.get<{ Params: { order: string } }>(
    "/api/v1/group-orders/:order",
    {
      ...read,
      schema: { tags, summary: "One order; as text/csv one line per part", params: Name, response: { 200: Order } },
    },
    async (request, reply) => {
      requireGroup();
      const { order: id } = request.params;
      const found = await pooling.orderNamed(id);
      if (found === undefined) throw serverErrors.make("not-found", { what: "group order", id });
      return wantsCsv(request) ? sendList(request, reply, { items: lines(found) }, lineColumns) : found;
    },
  );

  app.post<{ Params: { order: string }; Body: { order?: string } | null }>(
    "/api/v1/group-orders/:order/place",
    {
      ...write,
      schema: {
        tags,
        summary: "The order went to the supplier, under this number",
        params: Name,
        body: Type.Union([Type.Object({ order: Type.Optional(Key(limits.text)) }, strict), Type.Null()]),
        response: { 200: Order },
      },
    },
    async (request) => {
      requireGroup();
      return pooling.place(request.params.order, request.body?.order);
    },
  );

  app.post<{ Params: { order: string } }>(
    "/api/v1/group-orders/:order/reverse",
    {
      ...write,
      schema: {
        tags,
        summary: "Take an order back, as long as it is not placed: companies take their parts out of their books",
        params: Name,
        response: { 200: Order },
      },
    },
    async (request) => {
      requireGroup();
      return pooling.reverse(request.params.order);
    },
  );

  app.get<{ Querystring: { after?: string; reversed?: string; version?: number } }>(
    "/ingest/v1/company-orders",
    {
      onRequest: authorize.node("server"),
      schema: {
        hide: true,
        querystring: Type.Object({
          after: Type.Optional(Type.String({ maxLength: 64, pattern: "^[0-9a-z]*$" })),
          reversed: Type.Optional(Type.String({ maxLength: 64, pattern: "^[0-9a-z]*$" })),
          version: Type.Optional(Type.Integer({ minimum: 0 })),
        }),
      },
    },
    async (request) => {
      requireGroup();
      const { node } = request;
      if (node === undefined) throw serverErrors.make("credential-missing");
      // The one enrolled under this name - not one that was removed or replaced.
      if ((await deps.serverOf(node.name)) !== node.id)
        throw serverErrors.make("not-allowed", { role: "removed server", needed: "enrolled server" });
      const { after = "", reversed, version = 0 } = request.query;
      return pooling.fetch(node.name, { after, version, ...(reversed !== undefined && { reversed }) });
    },
  );
}

const lineColumns = [
  ...["order", "period", "license", "state", "company", "quantity", "unitPrice", "amount", "currency"],
  ...["alone", "saving", "booked", "at", "supplierOrder"],
];

/** An order as a table: each company's part with what the parts share. */
function lines({ shares, ...order }: GroupOrder): object[] {
  const { order: number, period, license, state, unitPrice, currency, at, supplierOrder } = order;
  return shares.map(({ company, quantity, amount, alone, saving, booked }) => ({
    order: number,
    period,
    license,
    state,
    company,
    quantity,
    unitPrice,
    amount,
    currency,
    alone,
    saving,
    booked,
    at,
    supplierOrder,
  }));
}
