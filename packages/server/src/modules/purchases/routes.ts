/** Purpose: `/api/v1/purchase-runs`, `/api/v1/chargebacks` and `/api/v1/orders` (contract.md "Administration"; domain.md §7). */
import { Type } from "@sinclair/typebox";
import { skipReasons } from "@daicho/licensing";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { pageOfItems } from "../../http/items.ts";
import { ListQuery, listOf, sendList, sendPage } from "../../http/list.ts";
import { Key, limits, Text } from "../../http/text.ts";
import { runStates, type RunState } from "./answer.ts";
import { PeriodName } from "./period.ts";
import type { ChargebackFilter, ChargebackItem } from "./read.ts";
import { sendRun } from "./send.ts";
import type { Purchases } from "./service.ts";

const Money = Type.Integer({ description: "Minor units of `currency`" });
const Currency = Type.String({ description: "ISO 4217" });
const State = Type.Unsafe<RunState>({ type: "string", enum: [...runStates] });
const Time = Type.String({ description: "RFC 3339, UTC" });
const Id = Type.Object({ id: Type.String({ maxLength: 64, pattern: "^[0-9a-z-]+(\\.csv)?$" }) });

const order = {
  license: Type.String(),
  quantity: Type.Integer({ description: "Packs, where there is a packSize" }),
  packSize: Type.Optional(Type.Integer({ description: "Units in each" })),
  unitPrice: Money,
  amount: Money,
  currency: Currency,
  supplierOrder: Type.Optional(Type.String({ description: "The supplier's number, once placed" })),
};
const chargeback = {
  department: Type.String(),
  costCentre: Type.Optional(Type.String({ description: "The department's, or of the nearest above that has one" })),
  license: Type.String(),
  quantity: Type.Integer({ description: "Rights it was granted" }),
  amount: Money,
  currency: Currency,
};
const head = { id: Type.String(), period: Type.String(), state: State, at: Time, version: Type.Integer() };
const LicenseQuantity = Type.Object({ license: Type.String(), quantity: Type.Integer() });
const Run = Type.Object({
  ...head,
  dryRun: Type.Boolean(),
  orders: Type.Array(Type.Object({ order: Type.Optional(Type.String({ description: "Our order number" })), ...order })),
  chargebacks: Type.Array(Type.Object(chargeback)),
  rights: Type.Array(
    Type.Object({
      department: Type.String(),
      license: Type.String(),
      before: Type.Integer(),
      after: Type.Integer(),
      requestedBefore: Type.Integer(),
      requestedAfter: Type.Integer(),
    }),
    { description: "Only what changes" },
  ),
  savedByIdle: Type.Array(LicenseQuantity, { description: "Rights granted that did not have to be bought" }),
  skipped: Type.Array(
    Type.Object({
      ...LicenseQuantity.properties,
      reason: Type.Unsafe<string>({ type: "string", enum: [...skipReasons] }),
    }),
    { description: "Short, but not bought" },
  ),
});
const Summary = Type.Object({
  ...head,
  orderCount: Type.Integer(),
  amounts: Type.Array(Type.Object({ currency: Currency, amount: Money })),
});
const placed = { run: Type.String(), period: Type.String(), state: State, at: Time };
const OrderItem = Type.Object({ order: Type.String(), ...order, ...placed, entitlement: Type.String() });
const ChargebackItem = Type.Object({ id: Type.String(), ...chargeback, ...placed });

const filters = {
  run: Type.Optional(Text(64)),
  period: Type.Optional(Text(64)),
  license: Type.Optional(Text(limits.license)),
  currency: Type.Optional(Text(3)),
};
const groupings = ["costCentre", "department", "license", "period"] as const;
type Grouping = (typeof groupings)[number];

export function purchaseRoutes(
  app: FastifyInstance,
  deps: {
    readonly purchases: Purchases;
    readonly authorize: Authorize;
    readonly role: "corporate" | "group" | "both";
  },
): void {
  const { purchases } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const write = { onRequest: deps.authorize.role("manager") };
  const tags = ["purchases"];
  const requireCompany = (): void => {
    if (deps.role === "group")
      throw serverErrors.make("wrong-role", { role: deps.role, what: "a purchase run", needed: "corporate" });
  };

  app.post<{ Body: { dryRun?: boolean; period?: string } | null; Headers: { "idempotency-key"?: string } }>(
    "/api/v1/purchase-runs",
    {
      ...write,
      schema: {
        tags,
        summary: "Run, or with `dryRun` only plan. A period that was run already answers with its run",
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Type.Union([
          Type.Object(
            { dryRun: Type.Optional(Type.Boolean()), period: Type.Optional(PeriodName) },
            { additionalProperties: false },
          ),
          Type.Null(),
        ]),
        response: { 200: Run, 201: Run },
      },
    },
    async (request, reply) => {
      requireCompany();
      const { dryRun = false, period } = request.body ?? {};
      if (dryRun) return sendRun(request, reply, await purchases.plan(period));
      const key = request.headers["idempotency-key"];
      const { run, created } = await purchases.run({
        ...(period !== undefined && { period }),
        ...(key !== undefined && { idempotency: `${request.caller?.tokenId ?? ""}\n${key}` }),
      });
      return sendRun(request, reply.code(created ? 201 : 200), run);
    },
  );

  app.get<{ Querystring: ListQuery & { period?: string; state?: string } }>(
    "/api/v1/purchase-runs",
    {
      ...read,
      schema: {
        tags,
        summary: "Purchase runs",
        querystring: Type.Object({ ...ListQuery.properties, period: filters.period, state: Type.Optional(State) }),
        response: { 200: listOf(Summary) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await purchases.list(request.query));
    },
  );

  app.get<{ Params: { id: string } }>(
    "/api/v1/purchase-runs/:id",
    {
      ...read,
      schema: {
        tags,
        summary: "One run; with `.csv` after its id, or asked for as text/csv, all it says as a table",
        params: Id,
        response: { 200: Run },
      },
    },
    async (request, reply) => {
      const id = request.params.id.replace(/\.csv$/, "");
      const run = await purchases.get(id);
      if (run === undefined) throw serverErrors.make("not-found", { what: "purchase run", id });
      return sendRun(request, reply, run, { csv: request.params.id !== id });
    },
  );

  app.post<{ Params: { id: string } }>(
    "/api/v1/purchase-runs/:id/reverse",
    {
      ...write,
      schema: {
        tags,
        summary: "Take a run back, as long as its orders are not placed; its period may be run again",
        params: Id,
        response: { 200: Run },
      },
    },
    async (request, reply) => sendRun(request, reply, await purchases.reverse(request.params.id)),
  );

  app.post<{ Params: { id: string }; Body: { order?: string } | null }>(
    "/api/v1/purchase-runs/:id/place",
    {
      ...write,
      schema: {
        tags,
        summary: "The orders went to the supplier, under this number",
        params: Id,
        body: Type.Union([
          Type.Object({ order: Type.Optional(Key(limits.text)) }, { additionalProperties: false }),
          Type.Null(),
        ]),
        response: { 200: Run },
      },
    },
    async (request, reply) => sendRun(request, reply, await purchases.place(request.params.id, request.body?.order)),
  );

  app.get<{ Querystring: ListQuery & ChargebackFilter }>(
    "/api/v1/orders",
    {
      ...read,
      schema: {
        tags,
        summary: "What purchase runs ordered",
        querystring: Type.Object({ ...ListQuery.properties, ...filters }),
        response: { 200: listOf(OrderItem) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await purchases.orders(request.query));
    },
  );

  app.get<{ Querystring: ListQuery & ChargebackFilter & { by?: Grouping } }>(
    "/api/v1/chargebacks",
    {
      ...read,
      schema: {
        tags,
        summary:
          "Who pays: one item per run, licence and department; with `by` the sums. Reversed runs only where `run` names them",
        querystring: Type.Object({
          ...ListQuery.properties,
          ...filters,
          department: Type.Optional(Text(limits.code)),
          costCentre: Type.Optional(Text(limits.text)),
          by: Type.Optional(Type.Unsafe<Grouping>({ type: "string", enum: [...groupings] })),
        }),
        response: { 200: listOf(Type.Partial(ChargebackItem)) },
      },
    },
    async (request, reply) => {
      const { by, ...query } = request.query;
      if (by === undefined) {
        return sendPage(request, reply, await purchases.chargebacks(query));
      }
      const sums = await sumsBy(by, purchases.allChargebacks(query));
      const page = await pageOfItems(sums, query, { fields: ["amount", "quantity"], keyOf: (item) => item.key });
      const list = { ...page, items: page.items.map(({ key: _, ...item }) => item) };
      return sendList(request, reply, list, [by, "currency", "amount", "quantity"]);
    },
  );
}

interface Sum {
  readonly key: string;
  readonly currency: string;
  amount: number;
  quantity: number;
}

/** One per value and currency, in the order of both; what has no cost centre is under the empty one. */
async function sumsBy(by: Grouping, items: AsyncIterable<ChargebackItem>): Promise<Sum[]> {
  const sums = new Map<string, Sum>();
  for await (const item of items) {
    const value = item[by] ?? "";
    const key = JSON.stringify([value, item.currency]);
    let sum = sums.get(key);
    if (sum === undefined) sums.set(key, (sum = { key, [by]: value, currency: item.currency, amount: 0, quantity: 0 }));
    sum.amount += item.amount;
    sum.quantity += item.quantity;
  }
  return [...sums.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
