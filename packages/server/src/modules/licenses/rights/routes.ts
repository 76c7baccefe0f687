/** Purpose: `/api/v1/departments/{code}/licenses/{license}` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { orNull } from "../../../http/resource.ts";
import { Key, limits } from "../../../http/text.ts";
import type { Rights } from "./service.ts";
import { maxRights } from "./write.ts";

const Item = Type.Object({
  department: Type.String(),
  license: Type.String(),
  rights: Type.Integer(),
  required: Type.Integer(),
  requested: Type.Integer(),
  quota: Type.Optional(
    Type.Integer({ description: "rights + requested that applications may lead to; absent: no limit" }),
  ),
});
const Count = Type.Optional(Type.Integer({ minimum: 0, maximum: maxRights }));
const Place = Type.Object({ code: Key(limits.code), license: Key(limits.license) });

export function rightsRoutes(
  app: FastifyInstance,
  deps: { readonly rights: Rights; readonly authorize: Authorize },
): void {
  const { rights, authorize } = deps;
  const path = "/api/v1/departments/:code/licenses/:license";
  const tags = ["departments"];

  app.get<{ Params: { code: string; license: string } }>(
    path,
    {
      onRequest: authorize.role("auditor"),
      schema: { tags, summary: "A department's rights to a licence", params: Place, response: { 200: Item } },
    },
    async (request) => {
      const { code, license } = request.params;
      const found = await rights.get(code, license);
      if (found === undefined) throw serverErrors.make("not-found", { what: "right", id: `${code} ${license}` });
      return found;
    },
  );

  app.put<{
    Params: { code: string; license: string };
    Body: { rights?: number; required?: number; quota?: number | null };
  }>(
    path,
    {
      onRequest: authorize.role("manager"),
      schema: {
        tags,
        summary: "Set a department's rights to a licence, how many it requires, and its quota; what is not given stays",
        params: Place,
        body: Type.Object(
          {
            rights: Count,
            required: Count,
            quota: Type.Optional(
              orNull(Type.Integer({ minimum: 0, maximum: maxRights, description: "null: no limit" })),
            ),
          },
          { additionalProperties: false, minProperties: 1 },
        ),
        response: { 200: Item },
      },
    },
    async (request) => {
      const { code, license } = request.params;
      return rights.set({ department: code, license, ...request.body });
    },
  );
}
