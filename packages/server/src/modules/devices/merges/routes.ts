/** Purpose: `/api/v1/device-merges`: two devices of the ledger that are one machine. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { listOf, ListQuery, sendPage } from "../../../http/list.ts";
import { Key, limits } from "../../../http/text.ts";
import type { Merges } from "./service.ts";

const Time = Type.String({ description: "RFC 3339, UTC" });
const MergeItem = Type.Object({
  id: Type.String(),
  keep: Type.String({ description: "The device that stays" }),
  from: Type.String({ description: "The device that went into it" }),
  at: Time,
  undoneAt: Type.Optional(Time),
  stillReports: Type.Optional(Type.Boolean({ description: "The machine merged away reports: they are two after all" })),
});
const Offer = Type.Object({
  keep: Type.String(),
  from: Type.String(),
  serial: Type.String(),
  at: Time,
  keepSeenAt: Type.Optional(Time),
  fromSeenAt: Type.Optional(Time),
});

export function mergeRoutes(
  app: FastifyInstance,
  deps: { readonly merges: Merges; readonly authorize: Authorize },
): void {
  const { merges, authorize } = deps;
  const read = { onRequest: authorize.role("auditor") };
  const write = { onRequest: authorize.role("manager") };
  const tags = ["devices"];
  const path = "/api/v1/device-merges";

  app.get<{ Querystring: ListQuery }>(
    path,
    { ...read, schema: { tags, summary: "List: device merges", querystring: ListQuery, response: { 200: listOf(MergeItem) } } }, // prettier-ignore
    async (request, reply) => sendPage(request, reply, await merges.list(request.query)),
  );

  app.get<{ Querystring: ListQuery }>(
    `${path}/offers`,
    {
      ...read,
      schema: {
        tags,
        summary:
          "Devices that are probably one machine: a new key enrolled with the serial number of another key's device",
        querystring: ListQuery,
        response: { 200: listOf(Offer) },
      },
    },
    async (request, reply) => sendPage(request, reply, await merges.offers(request.query)),
  );

  app.post<{ Body: { keep: string; from: string } }>(
    path,
    {
      ...write,
      schema: {
        tags,
        summary:
          "Merge: `keep` stays with its id, user and department and takes over what `from` reports; can be undone",
        body: Type.Object({ keep: Key(limits.id), from: Key(limits.id) }, { additionalProperties: false }),
        response: { 201: MergeItem },
      },
    },
    async (request, reply) => reply.code(201).send(await merges.merge(request.body)),
  );

  app.delete<{ Params: { id: string } }>(
    `${path}/:id`,
    {
      ...write,
      schema: { tags, summary: "Undo a merge", params: Type.Object({ id: Key(64) }), response: { 200: MergeItem } },
    },
    async (request) => merges.undo(request.params.id),
  );

  app.delete<{ Params: { from: string } }>(
    `${path}/offers/:from`,
    {
      ...write,
      schema: { tags, summary: "Offer no more: they are two machines", params: Type.Object({ from: Key(limits.id) }) },
    },
    async (request, reply) => {
      const { from } = request.params;
      if (!(await merges.dismiss(from))) throw serverErrors.make("not-found", { what: "merge offer", id: from });
      return reply.code(204).send();
    },
  );
}
