/** Purpose: `/ingest/v1/company-positions` and `/api/v1/companies…` (contract.md; domain.md §7). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { Position, validateCompanyPositions } from "@daicho/protocol";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { having, pageOfItems } from "../../http/items.ts";
import { listOf, sendList, Unlimited, type ListQuery } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { unpackGzip } from "../../http/unpack.ts";
import type { Companies } from "./companies.ts";

const maxPositionsBytes = 48 * 1024 * 1024;
const Text = Type.Optional(Type.String());
const CompanyItem = Type.Object({
  name: Type.String(),
  node: Type.String({ description: "Id of its server" }),
  version: Type.Optional(Type.Integer({ description: "Version of its positions; absent until the first came" })),
  policy: Type.Optional(Type.Integer({ description: "Enterprise policy version the counts were made with" })),
  devices: Type.Optional(Type.Integer()),
  at: Text,
  receivedAt: Text,
  pooled: Type.Optional(
    Type.Unsafe<boolean | string[]>({
      anyOf: [{ type: "boolean" }, { type: "array", items: { type: "string" } }],
      description: "Licences that the group buys for it: all (true), none, or those named",
    }),
  ),
});

export function groupRoutes(
  app: FastifyInstance,
  deps: {
    readonly companies: Companies;
    readonly authorize: Authorize;
    readonly role: "corporate" | "group" | "both";
  },
): void {
  const { companies, authorize } = deps;
  const reader = authorize.role("auditor");
  const requireGroup = (): void => {
    if (deps.role === "corporate")
      throw serverErrors.make("wrong-role", { role: deps.role, what: "other companies' positions", needed: "group" });
  };

  app.post(
    "/ingest/v1/company-positions",
    {
      schema: { hide: true },
      bodyLimit: maxPositionsBytes,
      preParsing: unpackGzip,
      onRequest: authorize.node("server"),
    },
    async (request) => {
      requireGroup();
      const checked = validateCompanyPositions(request.body);
      if (!checked.ok) throw inputInvalid(checked.faults);
      if (request.node === undefined) throw serverErrors.make("credential-missing");
      return { status: await companies.receive(request.node, checked.value) };
    },
  );

  app.get<{ Querystring: ListQuery & { name?: string } }>(
    "/api/v1/companies",
    {
      onRequest: reader,
      schema: {
        tags: ["companies"],
        summary: "The companies of the group; all of them unless `limit` is given",
        querystring: Type.Object({ ...Unlimited.properties, name: Type.Optional(Type.String({ maxLength: 128 })) }),
        response: { 200: listOf(CompanyItem) },
      },
    },
    async (request, reply) => {
      requireGroup();
      const wanted = (await companies.list()).filter(having(request.query, ["name"]));
      const page = await pageOfItems(wanted, request.query, { fields: ["name", "node"], keyOf: (item) => item.name });
      return sendList(request, reply, page);
    },
  );

  app.get<{ Params: { name: string }; Querystring: ListQuery & { license?: string; metric?: string } }>(
    "/api/v1/companies/:name/positions",
    {
      onRequest: reader,
      schema: {
        tags: ["companies"],
        summary: "A company's corporate licence inventory; all of it unless `limit` is given",
        params: Type.Object({ name: Type.String({ maxLength: 128 }) }),
        querystring: Type.Object({ ...Unlimited.properties, license: Text, metric: Text }),
        response: { 200: listOf(Position) },
      },
    },
    async (request, reply) => {
      requireGroup();
      const { name } = request.params;
      const found = await companies.positions(name);
      if (found === undefined) throw serverErrors.make("not-found", { what: "company", id: name });
      const { positions, name: company, ...facts } = found;
      const page = await pageOfItems(positions.filter(having(request.query, ["license", "metric"])), request.query, {
        fields: ["license", "name", "metric", "required", "held", "rights", "requested", "used", "overUnder", "idle"],
        keyOf: (item) => item.license,
      });
      return sendList(request, reply, { ...page, ...{ company, ...facts } });
    },
  );
}
