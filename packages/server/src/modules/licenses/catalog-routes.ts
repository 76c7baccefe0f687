/** Purpose: `/api/v1/licenses`: every licence code there is - counted, bought or granted - with its name and metric in force. */
import { Type } from "@sinclair/typebox";
import { metrics, type Metric } from "@daicho/protocol";
import type { FastifyInstance } from "fastify";
import type { Database } from "../../db/database.ts";
import { page } from "../../db/page.ts";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { ListQuery, listOf, sendList } from "../../http/list.ts";
import { Key, limits } from "../../http/text.ts";
import { licenseRows } from "./catalog-store.ts";

const MetricName = Type.Unsafe<Metric>({ type: "string", enum: [...metrics] });
const Item = Type.Object({
  code: Type.String(),
  name: Type.String(),
  metric: Type.String(),
  category: Type.String({
    description: "What its installations are where nothing else decides: managed, preinstalled …",
  }),
  managed: Type.Boolean({ description: "false: left out of the company's selection, or named by no policy any more" }),
});

export function licenseRoutes(
  app: FastifyInstance,
  deps: { readonly db: Database; readonly authorize: Authorize },
): void {
  const { db } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };
  const itemOf = (row: { code: string; name: string; metric: string; managed: number; category: string | null }) => ({
    code: row.code,
    name: row.name,
    metric: row.metric,
    category: row.category ?? "managed",
    managed: row.managed === 1,
  });

  app.get<{ Querystring: ListQuery & { metric?: Metric; managed?: boolean } }>(
    "/api/v1/licenses",
    {
      ...read,
      schema: {
        tags: ["licenses"],
        summary: "Licence codes with name and metric",
        querystring: Type.Object({
          ...ListQuery.properties,
          metric: Type.Optional(MetricName),
          managed: Type.Optional(Type.Boolean()),
        }),
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      const { metric, managed, ...query } = request.query;
      let select = licenseRows(db.kysely);
      if (metric !== undefined) select = select.where("l.metric", "=", metric);
      if (managed !== undefined) select = select.where("l.managed", "=", managed ? 1 : 0);
      const { rows, nextCursor } = await page(select, {
        dialect: db.dialect,
        query,
        fields: { code: { column: "l.code" }, name: { column: "l.name" }, metric: { column: "l.metric" } },
      });
      return sendList(request, reply, {
        items: rows.map(itemOf),
        ...(nextCursor !== undefined && { nextCursor }),
      });
    },
  );

  app.get<{ Params: { code: string } }>(
    "/api/v1/licenses/:code",
    {
      ...read,
      schema: {
        tags: ["licenses"],
        summary: "One licence code",
        params: Type.Object({ code: Key(limits.license) }),
        response: { 200: Item },
      },
    },
    async (request) => {
      const { code } = request.params;
      const found = await licenseRows(db.kysely).where("l.code", "=", code).executeTakeFirst();
      if (found === undefined) throw serverErrors.make("not-found", { what: "licence", id: code });
      return itemOf(found);
    },
  );
}
