/** Purpose: `/api/v1/classification-rules`, categories of licences, and corrections of single installations (domain.md §3). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { installationClasses, type ClassificationRule, type InstallationClass } from "@daicho/licensing";
import { titleSources } from "@daicho/protocol";
import type { Authorize } from "../../../http/authorize.ts";
import { having, pageOfItems } from "../../../http/items.ts";
import { ListQuery, listOf, sendList, sendPage, Unlimited } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import type { Classifications } from "./service.ts";

const Class = Type.Unsafe<InstallationClass>({ type: "string", enum: [...installationClasses] });
const Rule = Type.Object(
  {
    class: Class,
    note: Type.Optional(Text(limits.text)),
    license: Type.Optional(Key(limits.license, "Glob over the licence code")),
    departments: Type.Optional(
      Type.Array(Key(limits.code), {
        minItems: 1,
        maxItems: 10_000,
        description: "The device counts for one of them; departments below are not meant. `unassigned` is one",
      }),
    ),
    sources: Type.Optional(
      Type.Array(Type.Unsafe<string>({ type: "string", enum: [...titleSources] }), {
        minItems: 1,
        maxItems: titleSources.length,
        description: "Every copy was installed from one of them",
      }),
    ),
    name: Type.Optional(Key(512, "Glob over the titles' names; every copy fits")),
    publisher: Type.Optional(Key(512, "Glob over the titles' publishers; every copy fits")),
    installedWithinDays: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 36_500,
        description:
          "Every copy was installed so many days after the operating system or, if that is unknown, the first report",
      }),
    ),
  },
  { additionalProperties: false },
);
const Rules = Type.Object({ items: Type.Array(Rule, { maxItems: 1000 }) }, { additionalProperties: false });
const Category = Type.Object({ code: Type.String(), category: Class });
const Classified = Type.Object({
  device: Type.String(),
  license: Type.String(),
  count: Type.Integer(),
  class: Class,
  by: Type.String({ description: "What decided: correction, allocation, rule, category or default" }),
  rule: Type.Optional(Type.Integer({ description: "Place of the rule in the list, from 0" })),
  because: Type.String(),
  reason: Type.Optional(Type.String()),
});
const CorrectionItem = Type.Object({
  device: Type.String(),
  license: Type.String(),
  class: Type.String(),
  reason: Type.String(),
  by: Type.String(),
  at: Type.String(),
});
const Place = Type.Object({ id: Key(limits.id), code: Key(limits.license) });

export function classificationRoutes(
  app: FastifyInstance,
  deps: { readonly classifications: Classifications; readonly authorize: Authorize },
): void {
  const { classifications } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const write = { onRequest: deps.authorize.role("manager") };
  const tags = ["classification"];

  app.get<{ Querystring: ListQuery }>(
    "/api/v1/classification-rules",
    {
      ...read,
      schema: {
        tags,
        summary: "Rules that say which installations are not managed, in order",
        querystring: Unlimited,
        response: { 200: listOf(Rule) },
      },
    },
    async (request, reply) =>
      sendList(request, reply, await pageOfItems(await classifications.rules(), request.query, { fields: ["class"] })),
  );

  app.put<{ Body: { items: ClassificationRule[] } }>(
    "/api/v1/classification-rules",
    {
      ...write,
      schema: {
        tags,
        summary: "Replace the list; the first rule that holds decides",
        description:
          "Positions follow behind the answer, as after a change of policy. A correction or an allocation goes before every rule.",
        body: Rules,
        response: { 200: Rules },
      },
    },
    async (request) => {
      const { items } = request.body;
      const wide = items.flatMap(({ class: _, note: __, ...conditions }, i) =>
        Object.keys(conditions).length === 0 ? [{ path: `/items/${i}`, message: "has no condition" }] : [],
      );
      if (wide.length > 0) throw inputInvalid(wide);
      await classifications.setRules(items);
      return { items };
    },
  );

  app.get<{ Querystring: ListQuery & { category?: string } }>(
    "/api/v1/license-categories",
    {
      ...read,
      schema: {
        tags,
        summary: "Licences whose category is not managed",
        querystring: Type.Object({ ...Unlimited.properties, category: Type.Optional(Class) }),
        response: { 200: listOf(Category) },
      },
    },
    async (request, reply) => {
      const wanted = (await classifications.categories()).filter(having(request.query, ["category"]));
      const page = await pageOfItems(wanted, request.query, {
        fields: ["code", "category"],
        keyOf: (item) => item.code,
      });
      return sendList(request, reply, page);
    },
  );

  app.put<{ Params: { code: string }; Body: { category: InstallationClass } }>(
    "/api/v1/licenses/:code",
    {
      ...write,
      schema: {
        tags,
        summary: "Set what a licence's installations are where no correction, allocation or rule decides",
        params: Type.Object({ code: Key(limits.license) }),
        body: Type.Object({ category: Class }, { additionalProperties: false }),
        response: { 200: Category },
      },
    },
    async ({ params: { code }, body: { category } }) => {
      await classifications.setCategory(code, category);
      return { code, category };
    },
  );

  app.get<{ Querystring: ListQuery & { device?: string; license?: string } }>(
    "/api/v1/classification-corrections",
    {
      ...read,
      schema: {
        tags,
        summary: "Installations that somebody decided about",
        querystring: Type.Object({
          ...ListQuery.properties,
          device: Type.Optional(Key(limits.id)),
          license: Type.Optional(Key(limits.license)),
        }),
        response: { 200: listOf(CorrectionItem) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await classifications.corrections(request.query));
    },
  );

  const one = "/api/v1/devices/:id/licenses/:code/classification";
  app.get<{ Params: { id: string; code: string } }>(
    one,
    {
      ...read,
      schema: {
        tags,
        summary: "How an installation is counted, and what decided it",
        params: Place,
        response: { 200: Classified },
      },
    },
    ({ params }) => classifications.classificationOf(params.id, params.code),
  );

  app.put<{ Params: { id: string; code: string }; Body: { class: InstallationClass; reason: string } }>(
    one,
    {
      ...write,
      schema: {
        tags,
        summary: "Correct how an installation is counted; goes before everything else",
        params: Place,
        body: Type.Object(
          { class: Class, reason: Key(1000, "Why, for whoever asks later") },
          { additionalProperties: false },
        ),
        response: { 200: Classified },
      },
    },
    ({ params, body, caller }) =>
      classifications.correct(params.id, params.code, { ...body, by: caller?.tokenId ?? "" }),
  );

  app.delete<{ Params: { id: string; code: string } }>(
    one,
    { ...write, schema: { tags, summary: "Take a correction back", params: Place, response: { 204: Type.Null() } } },
    async ({ params }, reply) => {
      await classifications.uncorrect(params.id, params.code);
      return reply.code(204).send();
    },
  );
}
