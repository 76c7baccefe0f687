/**
 * Purpose: `/api/v1/software` and `/api/v1/software/unrecognized`.
 */
import { Type, type Static } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { SoftwareDefinition } from "@daicho/protocol";
import type { Authorize } from "../../http/authorize.ts";
import { decodeCursor, encodeCursor, listOf, ListQuery, sendList } from "../../http/list.ts";
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
      const { limit = 100, cursor, name, source } = request.query;
      const after = decodeCursor(cursor)?.[0];
      const page = await deps.software.list({
        ...(name !== undefined && { name }),
        ...(source !== undefined && { source }),
        after: typeof after === "number" ? after : 0,
        limit,
      });
      return sendList(request, reply, {
        items: page.items,
        ...(page.next !== undefined && { nextCursor: encodeCursor([page.next]) }),
      });
    },
  );

  app.get<{ Querystring: ListQuery }>(
    "/api/v1/software/unrecognized",
    {
      onRequest: reader,
      schema: {
        tags: ["software"],
        summary:
          "Installed software that no definition recognises, most devices first, with a draft definition for each",
        querystring: ListQuery,
        response: { 200: listOf(Unrecognized) },
      },
    },
    async (request, reply) => {
      const items = await deps.software.unrecognized();
      const start = decodeCursor(request.query.cursor)?.[0];
      const from = typeof start === "number" ? start : 0;
      const limit = request.query.limit ?? 100;
      const next = from + limit < items.length ? encodeCursor([from + limit]) : undefined;
      return sendList(request, reply, {
        items: items.slice(from, from + limit),
        ...(next !== undefined && { nextCursor: next }),
      });
    },
  );
}
