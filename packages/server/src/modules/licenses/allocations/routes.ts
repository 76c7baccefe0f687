/** Purpose: `/api/v1/allocations` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { ListQuery, listOf, sendPage } from "../../../http/list.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import { maxQuantity } from "../entitlements/index.ts";
import type { AllocationFilter, Allocations } from "./service.ts";
import type { AllocationInput } from "./write.ts";

const Quantity = Type.Integer({ minimum: 1, maximum: maxQuantity, description: "Units of the licence's metric" });
const Item = Type.Object({
  id: Type.String(),
  license: Type.String(),
  name: Type.String(),
  device: Type.Optional(Type.String()),
  employee: Type.Optional(Type.String()),
  quantity: Type.Integer(),
  entitlement: Type.Optional(Type.String({ description: "Id of an entitlement; absent = any of the licence's" })),
  since: Type.String(),
  until: Type.Optional(Type.String({ description: "Of one that has ended" })),
});
const Body = Type.Object(
  {
    license: Key(limits.license),
    device: Type.Optional(Key(limits.id, "Id of the device; where an employee is given too, the device decides")),
    employee: Type.Optional(Key(limits.id)),
    quantity: Type.Optional(Quantity),
    entitlement: Type.Optional(Key(64)),
  },
  { additionalProperties: false },
);
const Id = Type.Object({ id: Key(64) });

export function allocationRoutes(
  app: FastifyInstance,
  deps: { readonly allocations: Allocations; readonly authorize: Authorize },
): void {
  const { allocations } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const write = { onRequest: deps.authorize.role("manager") };
  const tags = ["allocations"];
  const path = "/api/v1/allocations";
  const missing = (id: string) => serverErrors.make("not-found", { what: "allocation", id });

  app.get<{ Querystring: ListQuery & AllocationFilter }>(
    path,
    {
      ...read,
      schema: {
        tags,
        summary: "Licences set aside for devices and people",
        querystring: Type.Object({
          ...ListQuery.properties,
          license: Type.Optional(Text(limits.license)),
          device: Type.Optional(Text(limits.id)),
          employee: Type.Optional(Text(limits.id)),
          entitlement: Type.Optional(Text(64)),
          ended: Type.Optional(Type.Boolean({ default: false, description: "Those that have ended too" })),
        }),
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await allocations.list(request.query));
    },
  );

  app.get<{ Params: { id: string } }>(
    `${path}/:id`,
    { ...read, schema: { tags, summary: "One allocation", params: Id, response: { 200: Item } } },
    async (request) => {
      const found = await allocations.allocation(request.params.id);
      if (found === undefined) throw missing(request.params.id);
      return found;
    },
  );

  app.post<{ Body: AllocationInput; Headers: { "idempotency-key"?: string } }>(
    path,
    {
      ...write,
      schema: {
        tags,
        summary: "Set a licence aside for a device or a person",
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Body,
        response: { 201: Item },
      },
    },
    async (request, reply) => {
      const key = request.headers["idempotency-key"];
      const made = await allocations.create(
        request.body,
        key === undefined ? undefined : `${request.caller?.tokenId ?? ""}\n${key}`,
      );
      return reply.code(201).send(made);
    },
  );

  app.patch<{ Params: { id: string }; Body: { quantity: number } }>(
    `${path}/:id`,
    {
      ...write,
      schema: {
        tags,
        summary: "Change how many; before stays as history",
        params: Id,
        body: Type.Object({ quantity: Quantity }, { additionalProperties: false }),
        response: { 200: Item },
      },
    },
    async (request) => allocations.setQuantity(request.params.id, request.body.quantity),
  );

  app.delete<{ Params: { id: string } }>(
    `${path}/:id`,
    { ...write, schema: { tags, summary: "End it; it stays in the history", params: Id } },
    async (request, reply) => {
      if (!(await allocations.remove(request.params.id))) throw missing(request.params.id);
      return reply.code(204).send();
    },
  );
}
