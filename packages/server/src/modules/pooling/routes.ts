/** Purpose: at a group: `/api/v1/price-tiers`, `/api/v1/group-orders`, and `/ingest/v1/company-orders` for the companies. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import type { Clock } from "@daicho/kernel";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { ListQuery, listOf, sendPage } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { Key, limits, Text } from "../../http/text.ts";
import { currencies, maxAmount, maxQuantity } from "../licenses/index.ts";
import { periodOf, PeriodName } from "../purchases/index.ts";
import type { Pooling, PriceTiers } from "./service.ts";

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
const Order = Type.Object({
  order: Type.Optional(Type.String({ description: "Absent while it is only planned" })),
  period: Type.String(),
  license: Type.String(),
  unitPrice: Money,
  currency: Type.String(),
  ...sums,
  at: Type.String(),
  shares: Type.Array(
    Type.Object({
      company: Type.String(),
      ...sums,
      booked: Type.Boolean({ description: "The company has it in its books" }),
    }),
  ),
});

export function poolingRoutes(
  app: FastifyInstance,
  deps: {
    readonly pooling: Pooling;
    readonly authorize: Authorize;
    readonly role: "corporate" | "group" | "both";
    readonly clock: Clock;
    readonly timezone: string;
    /** Id of the server that is enrolled for the company. */
    readonly serverOf: (company: string) => Promise<string | undefined>;
  },
): void {
  const { pooling, authorize } = deps;
  const read = { preHandler: authorize.role("auditor") };
  const write = { preHandler: authorize.role("manager") };
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

  app.post<{ Body: { dryRun?: boolean; period?: string; licenses?: string[] } | null }>(
    "/api/v1/group-orders",
    {
      ...write,
      schema: {
        tags,
        summary:
          "Order what all companies lack, one order per licence; a licence that was ordered this period answers with it",
        body: Type.Union([
          Type.Object(
            {
              dryRun: Type.Optional(Type.Boolean()),
              period: Type.Optional(PeriodName),
              licenses: Type.Optional(
                Type.Array(Key(limits.license), {
                  maxItems: 10_000,
                  description: "Absent = all that have price tiers",
                }),
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
            skipped: Type.Array(Type.Object({ license: Type.String(), reason: Type.String() })),
          }),
        },
      },
    },
    async (request) => {
      requireGroup();
      const { period = periodOf(deps.clock.now(), deps.timezone), ...options } = request.body ?? {};
      return pooling.order({ period, ...options });
    },
  );

  app.get<{ Querystring: ListQuery & { period?: string; license?: string } }>(
    "/api/v1/group-orders",
    {
      ...read,
      schema: {
        tags,
        summary: "What was ordered for all companies, and each one's part",
        querystring: Type.Object({
          ...ListQuery.properties,
          period: Type.Optional(Text(64)),
          license: Type.Optional(Text(limits.license)),
        }),
        response: { 200: listOf(Order) },
      },
    },
    async (request, reply) => {
      requireGroup();
      return sendPage(request, reply, await pooling.orders(request.query));
    },
  );

  app.get<{ Querystring: { after?: string; version?: number } }>(
    "/ingest/v1/company-orders",
    {
      onRequest: authorize.node("server"),
      schema: {
        hide: true,
        querystring: Type.Object({
          after: Type.Optional(Type.String({ maxLength: 64, pattern: "^[0-9a-z]*$" })),
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
      const { after = "", version = 0 } = request.query;
      return pooling.fetch(node.name, { after, version });
    },
  );
}
