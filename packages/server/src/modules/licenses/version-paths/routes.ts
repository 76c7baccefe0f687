/** Purpose: `/api/v1/version-paths`: what upgrade and downgrade mean. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { pageOfItems } from "../../../http/items.ts";
import { ListQuery, listOf, sendList, sendPage, Unlimited } from "../../../http/list.ts";
import { Key, limits } from "../../../http/text.ts";
import type { VersionPaths } from "./service.ts";

const Item = Type.Object({
  name: Type.String(),
  licenses: Type.Array(Type.String(), { description: "Licence codes, oldest version first" }),
  recordedAt: Type.String(),
  replacedAt: Type.Optional(Type.String()),
});

export function versionPathRoutes(
  app: FastifyInstance,
  deps: { readonly paths: VersionPaths; readonly authorize: Authorize },
): void {
  const { paths } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const write = { onRequest: deps.authorize.role("manager") };
  const tags = ["entitlements"];
  const path = "/api/v1/version-paths";
  const params = Type.Object({ name: Key(limits.name) });
  const missing = (id: string) => serverErrors.make("not-found", { what: "version path", id });

  app.get<{ Querystring: ListQuery }>(
    path,
    {
      ...read,
      schema: { tags, summary: "Version paths", querystring: ListQuery, response: { 200: listOf(Item) } },
    },
    async (request, reply) => {
      return sendPage(request, reply, await paths.list(request.query));
    },
  );

  app.get<{ Params: { name: string } }>(
    `${path}/:name`,
    { ...read, schema: { tags, summary: "One version path", params, response: { 200: Item } } },
    async (request) => {
      const found = await paths.get(request.params.name);
      if (found === undefined) throw missing(request.params.name);
      return found;
    },
  );

  app.get<{ Params: { name: string }; Querystring: ListQuery }>(
    `${path}/:name/history`,
    {
      ...read,
      schema: {
        tags,
        summary: "What it said, newest first",
        params,
        querystring: Unlimited,
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      const items = await paths.history(request.params.name);
      if (items.length === 0) throw missing(request.params.name);
      return sendList(request, reply, await pageOfItems(items, request.query, { fields: [] }));
    },
  );

  app.put<{ Params: { name: string }; Body: { licenses: string[] } }>(
    `${path}/:name`,
    {
      ...write,
      schema: {
        tags,
        summary: "Create or replace a version path; before stays as history",
        params,
        body: Type.Object(
          { licenses: Type.Array(Key(limits.license), { minItems: 2, maxItems: 1000 }) },
          { additionalProperties: false },
        ),
        response: { 200: Item, 201: Item },
      },
    },
    async (request, reply) => {
      const { created, saved } = await paths.put(request.params.name, request.body.licenses);
      return reply.code(created ? 201 : 200).send(saved);
    },
  );

  app.delete<{ Params: { name: string } }>(
    `${path}/:name`,
    { ...write, schema: { tags, summary: "Withdraw it; it stays in the history", params } },
    async (request, reply) => {
      if (!(await paths.remove(request.params.name))) throw missing(request.params.name);
      return reply.code(204).send();
    },
  );
}
