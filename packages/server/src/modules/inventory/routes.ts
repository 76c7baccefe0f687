/**
 * Purpose: `/api/v1/software` and `/api/v1/software/unrecognized`.
 */
import { Type, type Static } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { SoftwareDefinition } from "@daicho/protocol";
import type { Authorize } from "../../http/authorize.ts";
import { having, pageOfItems } from "../../http/items.ts";
import { listOf, ListQuery, sendList, sendPage } from "../../http/list.ts";
import type { SoftwareView } from "./software.ts";

const Software = Type.Object({
  id: Type.Integer(),
  name: Type.String(),
  version: Type.String(),
  publisher: Type.Optional(Type.String()),
  source: Type.String(),
  arch: Type.Optional(Type.String()),
  identifier: Type.Optional(Type.String()),
  devices: Type.Integer({ description: "How many devices have exactly this title" }),
});
const SoftwareQuery = Type.Composite([
  ListQuery,
  Type.Object({
    name: Type.Optional(Type.String({ maxLength: 512 })),
    source: Type.Optional(Type.String({ maxLength: 32 })),
  }),
]);
const Unrecognized = Type.Object({
  name: Type.String(),
  publisher: Type.Optional(Type.String()),
  source: Type.String(),
  versions: Type.Array(Type.String()),
  devices: Type.Integer(),
  draft: SoftwareDefinition,
});

export function softwareRoutes(
  app: FastifyInstance,
  deps: { readonly software: SoftwareView; readonly authorize: Authorize },
): void {
  const reader = deps.authorize.role("auditor");

  app.get<{ Querystring: Static<typeof SoftwareQuery> }>(
    "/api/v1/software",
    {
      onRequest: reader,
      schema: {
        tags: ["software"],
        summary: "Titles as found, with the number of devices that have each; `name` may contain * and ?",
        querystring: SoftwareQuery,
        response: { 200: listOf(Software) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await deps.software.list(request.query));
    },
  );

  app.get<{ Querystring: Static<typeof SoftwareQuery> }>(
    "/api/v1/software/unrecognized",
    {
      onRequest: reader,
      schema: {
        tags: ["software"],
        summary:
          "Installed software that no definition recognises, most devices first, with a draft definition for each",
        querystring: SoftwareQuery,
        response: { 200: listOf(Unrecognized) },
      },
    },
    async (request, reply) => {
      const wanted = (await deps.software.unrecognized()).filter(having(request.query, ["name", "source"]));
      const page = await pageOfItems(wanted, request.query, { fields: ["name", "source", "devices"] });
      return sendList(request, reply, page);
    },
  );
}
