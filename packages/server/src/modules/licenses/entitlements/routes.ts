/** Purpose: `/api/v1/entitlements` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import { metrics, type Metric } from "@daicho/protocol";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { pageOfItems } from "../../../http/items.ts";
import { ListQuery, listOf, sendList, sendPage, Unlimited } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { orNull } from "../../../http/resource.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import { parseTime, timeHint } from "../../../times.ts";
import { currencies, maxAmount, maxPackSize, maxQuantity } from "./fields.ts";
import type { EntitlementFilter, Entitlements } from "./service.ts";
import type { EntitlementInput } from "./write.ts";

const MetricName = Type.Unsafe<Metric>({ type: "string", enum: [...metrics] });
const Time = Type.String({ maxLength: 40, description: "A date, or RFC 3339; an expiry date is good to its end" });
const Money = Type.Integer({ minimum: 0, maximum: maxAmount, description: "Whole minor units of `currency`" });

const Item = Type.Object({
  id: Type.String(),
  license: Type.String(),
  name: Type.String(),
  metric: Type.String(),
  quantity: Type.Integer(),
  unitPrice: Type.Optional(Money),
  currency: Type.Optional(Type.String({ description: "ISO 4217" })),
  purchasedAt: Type.Optional(Type.String()),
  startsAt: Type.Optional(Type.String()),
  expiresAt: Type.Optional(Type.String()),
  rights: Type.Optional(Type.String({ description: "Rights attached, as written" })),
  contract: Type.Optional(Type.String()),
  order: Type.Optional(Type.String()),
  department: Type.Optional(Type.String({ description: "Managing department" })),
  certificate: Type.Optional(Type.String()),
  supplier: Type.Optional(Type.String()),
  parent: Type.Optional(Type.String({ description: "Id of the entitlement it belongs to" })),
  manager: Type.Optional(Type.String({ description: "Employee id" })),
  packSize: Type.Integer({ description: "Licences in one of `quantity`" }),
  units: Type.Integer({ description: "quantity × packSize: what it adds to held while it is valid" }),
  attached: Type.Optional(
    Type.Array(Type.Object({ right: Type.String(), licenses: Type.Optional(Type.Array(Type.String())) }), {
      description: "`rights` as they are understood",
    }),
  ),
  recordedAt: Type.String(),
  replacedAt: Type.Optional(Type.String()),
});

const optional = {
  unitPrice: Money,
  currency: Type.String({ pattern: "^[A-Z]{3}$" }),
  purchasedAt: Time,
  startsAt: Time,
  expiresAt: Time,
  rights: Key(limits.rights),
  contract: Key(limits.text),
  order: Key(limits.text),
  department: Key(limits.code),
  certificate: Key(limits.text),
  supplier: Key(limits.text),
  parent: Key(64),
  manager: Key(limits.id),
};
const nullable = Object.fromEntries(Object.entries(optional).map(([name, s]) => [name, Type.Optional(orNull(s))]));
const required = { license: Key(limits.license), quantity: Type.Integer({ minimum: 0, maximum: maxQuantity }) };
const kept = { packSize: Type.Optional(Type.Integer({ minimum: 1, maximum: maxPackSize })) };
const strict = { additionalProperties: false };
const Full = Type.Object({ ...required, metric: Type.Optional(MetricName), ...kept, ...nullable }, strict);
const Partly = Type.Partial(Type.Object({ ...required, metric: MetricName, ...kept, ...nullable }), strict);
const Id = Type.Object({ id: Key(64) });

export function entitlementRoutes(
  app: FastifyInstance,
  deps: { readonly entitlements: Entitlements; readonly authorize: Authorize },
): void {
  const { entitlements } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const write = { onRequest: deps.authorize.role("manager") };
  const tags = ["entitlements"];
  const missing = (id: string) => serverErrors.make("not-found", { what: "entitlement", id });

  app.get<{ Querystring: ListQuery & Omit<EntitlementFilter, "validAt"> & { validAt?: string } }>(
    "/api/v1/entitlements",
    {
      ...read,
      schema: {
        tags,
        summary: "Entitlements: what was bought",
        querystring: Type.Object({
          ...ListQuery.properties,
          license: Type.Optional(Text(limits.license)),
          metric: Type.Optional(Text(32)),
          department: Type.Optional(Text(limits.code)),
          contract: Type.Optional(Text(limits.text)),
          order: Type.Optional(Text(limits.text)),
          validAt: Type.Optional(Type.String({ maxLength: 40, description: "Only those valid at this time" })),
        }),
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      const { validAt, ...query } = request.query;
      const at = validAt === undefined ? undefined : parseTime(validAt);
      if (validAt !== undefined && at === undefined)
        throw inputInvalid([{ path: "querystring/validAt", message: timeHint }]);
      return sendPage(request, reply, await entitlements.list({ ...query, ...(at !== undefined && { validAt: at }) }));
    },
  );

  app.get<{ Params: { id: string } }>(
    "/api/v1/entitlements/:id",
    { ...read, schema: { tags, summary: "One entitlement", params: Id, response: { 200: Item } } },
    async (request) => {
      const found = await entitlements.entitlement(request.params.id);
      if (found === undefined) throw missing(request.params.id);
      return found;
    },
  );

  app.get<{ Params: { id: string }; Querystring: ListQuery }>(
    "/api/v1/entitlements/:id/history",
    {
      ...read,
      schema: {
        tags,
        summary: "What it said, newest first",
        params: Id,
        querystring: Unlimited,
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      const items = await entitlements.history(request.params.id);
      if (items.length === 0) throw missing(request.params.id);
      return sendList(request, reply, await pageOfItems(items, request.query, { fields: [] }));
    },
  );

  app.post<{ Body: Record<string, unknown>; Headers: { "idempotency-key"?: string } }>(
    "/api/v1/entitlements",
    {
      ...write,
      schema: {
        tags,
        summary: "Enter an entitlement",
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Full,
        response: { 201: Item },
      },
    },
    async (request, reply) => {
      const key = request.headers["idempotency-key"];
      const made = await entitlements.create(
        inputOf(request.body),
        key === undefined ? undefined : `${request.caller?.tokenId ?? ""}\n${key}`,
      );
      return reply.code(201).send(made);
    },
  );

  app.put<{ Params: { id: string }; Body: Record<string, unknown> }>(
    "/api/v1/entitlements/:id",
    {
      ...write,
      schema: {
        tags,
        summary: "Replace what it says; before stays as history",
        params: Id,
        body: Full,
        response: { 200: Item },
      },
    },
    async (request) => {
      const cleared = Object.fromEntries(Object.keys(optional).map((name) => [name, null]));
      return entitlements.change(request.params.id, inputOf({ ...cleared, ...request.body }));
    },
  );

  app.patch<{ Params: { id: string }; Body: Record<string, unknown> }>(
    "/api/v1/entitlements/:id",
    {
      ...write,
      schema: {
        tags,
        summary: "Change the fields given; before stays as history",
        params: Id,
        body: Partly,
        response: { 200: Item },
      },
    },
    async (request) => entitlements.change(request.params.id, inputOf(request.body)),
  );

  app.delete<{ Params: { id: string } }>(
    "/api/v1/entitlements/:id",
    { ...write, schema: { tags, summary: "Withdraw it; it stays in the history", params: Id } },
    async (request, reply) => {
      if (!(await entitlements.remove(request.params.id))) throw missing(request.params.id);
      return reply.code(204).send();
    },
  );
}

/** @throws input-invalid */
function inputOf(body: Readonly<Record<string, unknown>>): EntitlementInput {
  const faults: { path: string; message: string }[] = [];
  const out: Record<string, unknown> = { ...body };
  for (const name of ["purchasedAt", "startsAt", "expiresAt"]) {
    const text = body[name];
    if (typeof text !== "string") continue;
    const ms = parseTime(text, name === "expiresAt");
    if (ms === undefined) faults.push({ path: `/${name}`, message: timeHint });
    out[name] = ms;
  }
  const currency = body["currency"];
  if (typeof currency === "string" && !currencies.has(currency))
    faults.push({ path: "/currency", message: "is no ISO 4217 currency" });
  if (faults.length > 0) throw inputInvalid(faults);
  return out;
}
