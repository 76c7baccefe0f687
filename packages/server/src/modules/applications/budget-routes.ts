/** Purpose: `/api/v1/budgets`: what a cost centre may spend in a year or a month, and what of it is spent, committed and left. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { ListQuery, listOf, sendList } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { Key, limits, Text } from "../../http/text.ts";
import { currencies } from "../licenses/index.ts";
import type { Budgets } from "./budgets.ts";

const Period = Type.String({
  pattern: "^[0-9]{4}(-(0[1-9]|1[0-2]))?$",
  description: "A year, `2026`, or a month, `2026-11`",
});
const Amount = { description: "Whole minor units of `currency`" };
const Item = Type.Object({
  costCentre: Type.String(),
  period: Type.String(),
  amount: Type.Integer(Amount),
  currency: Type.String(),
  spent: Type.Integer({ description: "Charged to the cost centre by the purchase runs of the period" }),
  committed: Type.Integer({ description: "Approved and not granted, at contract prices; in running periods" }),
  left: Type.Integer(),
  otherCurrencies: Type.Optional(
    Type.Array(Type.Object({ currency: Type.String(), spent: Type.Integer(), committed: Type.Integer() })),
  ),
});

export function budgetRoutes(
  app: FastifyInstance,
  deps: { readonly budgets: Budgets; readonly authorize: Authorize },
): void {
  const { budgets, authorize } = deps;
  const path = "/api/v1/budgets";
  const write = { onRequest: authorize.role("manager") };
  const params = Type.Object({ costCentre: Key(limits.text, "Cost centre of departments") });
  const tags = ["budgets"];

  app.get<{ Querystring: ListQuery & { costCentre?: string; period?: string } }>(
    path,
    {
      onRequest: authorize.role("auditor"),
      schema: {
        tags,
        summary: "Budgets of cost centres, with what is spent, committed and left",
        querystring: Type.Object({
          ...ListQuery.properties,
          costCentre: Type.Optional(Text(limits.text)),
          period: Type.Optional(Period),
        }),
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => sendList(request, reply, await budgets.list(request.query)),
  );

  app.put<{ Params: { costCentre: string }; Body: { period: string; amount: number; currency: string } }>(
    `${path}/:costCentre`,
    {
      ...write,
      schema: {
        tags,
        summary: "Set the budget of a cost centre for a year or a month",
        params,
        body: Type.Object(
          {
            period: Period,
            amount: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...Amount }),
            currency: Type.String({ minLength: 3, maxLength: 3, description: "ISO 4217" }),
          },
          { additionalProperties: false },
        ),
        response: { 200: Item, 201: Item },
      },
    },
    async (request, reply) => {
      const { costCentre } = request.params;
      if (!currencies.has(request.body.currency))
        throw inputInvalid([{ path: "/currency", message: "is no ISO 4217 currency" }]);
      const { created, budget } = await budgets.set({ costCentre, ...request.body });
      return reply.code(created ? 201 : 200).send(budget);
    },
  );

  app.delete<{ Params: { costCentre: string }; Querystring: { period: string } }>(
    `${path}/:costCentre`,
    {
      ...write,
      schema: {
        tags,
        summary: "Remove the budget of a cost centre for a period",
        params,
        querystring: Type.Object({ period: Period }),
      },
    },
    async (request, reply) => {
      const { costCentre } = request.params;
      const { period } = request.query;
      if (!(await budgets.remove(costCentre, period)))
        throw serverErrors.make("not-found", { what: "budget", id: `${costCentre} ${period}` });
      return reply.code(204).send();
    },
  );
}
