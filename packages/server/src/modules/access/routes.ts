/**
 * Purpose: `/api/v1/enrollment-tokens` and `/api/v1/tokens`. Secrets are in the answer to the creating call and nowhere else.
 */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { having, pageOfItems } from "../../http/items.ts";
import { listOf, ListQuery, sendList } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { Key, limits, Text } from "../../http/text.ts";
import { apiRoles, type AccessService, type ApiRole, type Caller } from "./service.ts";

const Time = Type.String({ description: "RFC 3339, UTC" });
const EnrollmentToken = Type.Object({
  id: Type.String(),
  department: Type.Optional(Type.String()),
  usesLeft: Type.Optional(Type.Integer()),
  used: Type.Integer(),
  createdAt: Time,
  expiresAt: Type.Optional(Time),
  revokedAt: Type.Optional(Time),
});
const ApiToken = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Type.String(),
  employee: Type.Optional(Type.String()),
  createdAt: Time,
  expiresAt: Type.Optional(Time),
  revokedAt: Type.Optional(Time),
});
const Id = Type.Object({ id: Type.String({ maxLength: 64 }) });

type KeyHeader = { "idempotency-key"?: string };
const KeyHeaders = Type.Object({ "idempotency-key": Type.Optional(Text(255)) });
const idempotencyOf = (request: { headers: KeyHeader; caller?: Caller }): string | undefined => {
  const key = request.headers["idempotency-key"];
  return key === undefined ? undefined : `${request.caller?.tokenId ?? ""}\n${key}`;
};

const iso = (ms: number): string => new Date(ms).toISOString();
const times = (row: { created_at: number; expires_at: number | null; revoked_at: number | null }) => ({
  createdAt: iso(row.created_at),
  ...(row.expires_at !== null && { expiresAt: iso(row.expires_at) }),
  ...(row.revoked_at !== null && { revokedAt: iso(row.revoked_at) }),
});
const byAge = ({ createdAt, id }: { readonly createdAt: string; readonly id: string }): string => `${createdAt} ${id}`;

export function accessRoutes(
  app: FastifyInstance,
  deps: {
    readonly access: AccessService;
    readonly authorize: Authorize;
    readonly departmentExists: (code: string) => Promise<boolean>;
    readonly employeeExists: (id: string) => Promise<boolean>;
  },
): void {
  const { access, authorize } = deps;
  const admin = { onRequest: authorize.role("admin") };

  app.post<{ Body: { department?: string; uses?: number; expiresAt?: string }; Headers: KeyHeader }>(
    "/api/v1/enrollment-tokens",
    {
      ...admin,
      schema: {
        tags: ["nodes"],
        summary: "Make an enrolment token for agents, relays or a subsidiary's server",
        headers: KeyHeaders,
        body: Type.Object(
          {
            department: Type.Optional(
              Type.String({ maxLength: 64, description: "Department code new devices are put into" }),
            ),
            uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000, description: "Absent: any number" })),
            expiresAt: Type.Optional(Type.String({ format: "date-time" })),
          },
          { additionalProperties: false },
        ),
        response: { 201: Type.Object({ id: Type.String(), token: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { department, uses, expiresAt } = request.body;
      if (department !== undefined && !(await deps.departmentExists(department)))
        throw serverErrors.make("not-found", { what: "department", id: department });
      const made = await access.createEnrollmentToken(
        {
          ...(department !== undefined && { department }),
          ...(uses !== undefined && { uses }),
          ...(expiresAt !== undefined && { expiresAt: Date.parse(expiresAt) }),
        },
        idempotencyOf(request),
      );
      return reply.code(201).send(made);
    },
  );

  app.get<{ Querystring: ListQuery & { department?: string } }>(
    "/api/v1/enrollment-tokens",
    {
      ...admin,
      schema: {
        tags: ["nodes"],
        summary: "Enrolment tokens, without their secrets",
        querystring: Type.Object({ ...ListQuery.properties, department: Type.Optional(Text(limits.code)) }),
        response: { 200: listOf(EnrollmentToken) },
      },
    },
    async (request, reply) => {
      const items = (await access.listEnrollmentTokens()).map((r) => ({
        id: r.id,
        ...(r.department !== null && { department: r.department }),
        ...(r.uses_left !== null && { usesLeft: r.uses_left }),
        used: r.used,
        ...times(r),
      }));
      const wanted = items.filter(having(request.query, ["department"]));
      const page = await pageOfItems(wanted, request.query, { fields: ["id", "used", "createdAt"], keyOf: byAge });
      return sendList(request, reply, page);
    },
  );

  app.delete<{ Params: { id: string } }>(
    "/api/v1/enrollment-tokens/:id",
    { ...admin, schema: { tags: ["nodes"], summary: "Revoke an enrolment token", params: Id } },
    async (request, reply) => {
      if (!(await access.revokeEnrollmentToken(request.params.id)))
        throw serverErrors.make("not-found", { what: "enrolment token", id: request.params.id });
      return reply.code(204).send();
    },
  );

  app.post<{ Body: { name: string; role: ApiRole; expiresAt?: string; employee?: string }; Headers: KeyHeader }>(
    "/api/v1/tokens",
    {
      ...admin,
      schema: {
        tags: ["access"],
        summary: "Make an API token",
        headers: KeyHeaders,
        body: Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 128 }),
            role: Type.Unsafe<ApiRole>({ type: "string", enum: [...apiRoles] }),
            expiresAt: Type.Optional(Type.String({ format: "date-time" })),
            employee: Type.Optional(
              Key(limits.id, "Employee id: whom the token acts for; needed with the role `employee`"),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: Type.Object({ id: Type.String(), token: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { name, role, expiresAt, employee } = request.body;
      if (employee === undefined && role === "employee")
        throw inputInvalid([{ path: "/employee", message: "is needed with the role employee" }]);
      if (employee !== undefined && !(await deps.employeeExists(employee)))
        throw serverErrors.make("not-found", { what: "employee", id: employee });
      const made = await access.createApiToken(
        {
          name,
          role,
          ...(expiresAt !== undefined && { expiresAt: Date.parse(expiresAt) }),
          ...(employee !== undefined && { employee }),
        },
        idempotencyOf(request),
      );
      return reply.code(201).send(made);
    },
  );

  app.get<{ Querystring: ListQuery & { name?: string; role?: string; employee?: string } }>(
    "/api/v1/tokens",
    {
      ...admin,
      schema: {
        tags: ["access"],
        summary: "API tokens, without their secrets",
        querystring: Type.Object({
          ...ListQuery.properties,
          name: Type.Optional(Text(limits.name)),
          role: Type.Optional(Text(32)),
          employee: Type.Optional(Text(limits.id)),
        }),
        response: { 200: listOf(ApiToken) },
      },
    },
    async (request, reply) => {
      const items = (await access.listApiTokens()).map((r) => ({
        id: r.id,
        name: r.name,
        role: r.role,
        ...(r.employee !== null && { employee: r.employee }),
        ...times({ created_at: r.createdAt, expires_at: r.expiresAt, revoked_at: r.revokedAt }),
      }));
      const wanted = items.filter(having(request.query, ["name", "role", "employee"]));
      const page = await pageOfItems(wanted, request.query, {
        fields: ["id", "name", "role", "createdAt"],
        keyOf: byAge,
      });
      return sendList(request, reply, page);
    },
  );

  app.delete<{ Params: { id: string } }>(
    "/api/v1/tokens/:id",
    { ...admin, schema: { tags: ["access"], summary: "Revoke an API token", params: Id } },
    async (request, reply) => {
      if (!(await access.revokeApiToken(request.params.id)))
        throw serverErrors.make("not-found", { what: "API token", id: request.params.id });
      return reply.code(204).send();
    },
  );
}
