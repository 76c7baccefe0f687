/**
 * Purpose: `/api/v1/policies…` and `/api/v1/dictionary`. A policy comes and goes as the exact text its author wrote.
 */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { having, pageOfItems } from "../../http/items.ts";
import { listOf, ListQuery, sendList } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { etagOf } from "./held.ts";
import type { Candidate, Policies } from "./service.ts";
import type { DocumentRow, EditionName } from "./store.ts";

const policyTypes = [
  "application/yaml",
  "application/x-yaml",
  "text/yaml",
  "text/x-yaml",
  "text/plain",
  "application/json",
];
const maxPolicyBytes = 33 * 1024 * 1024;

const Edition = Type.Object({ edition: Type.Unsafe<EditionName>({ type: "string", enum: ["enterprise", "local"] }) });
const Description = Type.Object({
  edition: Type.String(),
  id: Type.String(),
  version: Type.Integer(),
  acceptedAt: Type.String(),
  inForce: Type.Boolean({ description: "false: kept, but the two editions do not fit together; see fault" }),
});
const Selection = Type.Object({
  licenses: Type.Unsafe<string[] | null>({
    type: ["array", "null"],
    items: { type: "string" },
    description: "Codes of the licences this company manages; null = all",
  }),
  available: Type.Array(
    Type.Object({
      code: Type.String(),
      name: Type.String(),
      metric: Type.Optional(Type.String()),
      selected: Type.Boolean(),
    }),
  ),
});

const WhatIf = Type.Object({
  devices: Type.Integer({ description: "Devices asked: all that have reported and are not disposed of" }),
  changed: Type.Integer({ description: "Devices whose licences would change" }),
  licenses: Type.Array(
    Type.Object({
      license: Type.String(),
      name: Type.String(),
      before: Type.Integer({ description: "Devices that use it under the policy in force" }),
      after: Type.Integer({ description: "Devices that would use it" }),
      gained: Type.Integer(),
      lost: Type.Integer(),
    }),
    { description: "Licences that would change; whatever the metric, in devices" },
  ),
});

export function policyRoutes(
  app: FastifyInstance,
  deps: {
    readonly policies: Policies;
    readonly authorize: Authorize;
    readonly role: "corporate" | "group" | "both";
    /** The enterprise edition comes from a group above. */
    readonly hasUpstream: boolean;
    /** What a policy would change, from the facts of every device. */
    readonly whatIf: (candidate: Candidate) => Promise<object>;
  },
): void {
  const { policies, authorize } = deps;
  const reader = authorize.role("auditor");
  const admin = authorize.role("admin");

  app.get<{ Querystring: ListQuery & { edition?: string } }>(
    "/api/v1/policies",
    {
      onRequest: reader,
      schema: {
        tags: ["policies"],
        summary: "The newest policy of each edition",
        querystring: Type.Object({ ...ListQuery.properties, edition: Type.Optional(Edition.properties.edition) }),
        response: { 200: listOf(Description) },
      },
    },
    async (request, reply) => {
      const rows = [await policies.document("enterprise"), await policies.document("local")];
      const { inForce, generation, fault } = policies.state();
      const items = rows
        .filter((row) => row !== undefined)
        .map((row) => ({
          edition: row.edition,
          id: row.id,
          version: row.version,
          acceptedAt: new Date(row.accepted_at).toISOString(),
          inForce: inForce[row.edition as EditionName] === row.version,
        }));
      const page = await pageOfItems(items.filter(having(request.query, ["edition"])), request.query, {
        fields: ["edition", "id", "version", "acceptedAt"],
        keyOf: (item) => item.edition,
      });
      return sendList(request, reply, { ...page, ...{ generation, ...(fault !== undefined && { fault }) } });
    },
  );

  app.get<{ Params: { edition: EditionName } }>(
    "/api/v1/policies/:edition",
    {
      onRequest: reader,
      schema: { tags: ["policies"], summary: "A policy's text, exactly as written", params: Edition },
    },
    async (request, reply) => {
      const row = await policies.document(request.params.edition);
      if (row === undefined)
        throw serverErrors.make("not-found", { what: "policy of the edition", id: request.params.edition });
      return sendText(request, reply, row);
    },
  );

  // Its own scope: here a body is text, whatever its type says.
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      policyTypes,
      { parseAs: "buffer", bodyLimit: maxPolicyBytes },
      (_request, body, next) => {
        try {
          next(null, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body as Buffer));
        } catch {
          next(inputInvalid([{ path: "", message: "is not UTF-8 text" }]), undefined);
        }
      },
    );
    scope.put<{ Params: { edition: EditionName }; Body: unknown }>(
      "/api/v1/policies/:edition",
      {
        onRequest: admin,
        schema: {
          tags: ["policies"],
          summary: "Publish a policy (YAML or JSON)",
          description:
            "Nothing is applied where there is a fault: the answer's `faults` name each place. The version must rise; the same text again is no change.",
          consumes: policyTypes,
          body: Type.String({ description: "The policy as its author wrote it" }),
          params: Edition,
          response: {
            200: Type.Object({
              edition: Type.String(),
              version: Type.Integer(),
              generation: Type.Integer(),
              changed: Type.Boolean(),
            }),
          },
        },
      },
      async (request) => {
        const { edition } = request.params;
        const needed = edition === "enterprise" ? "group" : "corporate";
        if (deps.role !== "both" && deps.role !== needed)
          throw serverErrors.make("wrong-role", { role: deps.role, what: `the ${edition} policy`, needed });
        if (edition === "enterprise" && deps.hasUpstream)
          throw serverErrors.make("conflict", { reason: "The enterprise policy comes from the group server above" });
        if (typeof request.body !== "string" || request.body.trim() === "")
          throw inputInvalid([{ path: "", message: "is empty" }]);
        const { version, changed } = await policies.publish(edition, request.body);
        return { edition, version, generation: policies.current().generation, changed };
      },
    );
    scope.post<{ Params: { edition: EditionName }; Body: unknown }>(
      "/api/v1/policies/:edition/what-if",
      {
        onRequest: reader,
        schema: {
          tags: ["policies"],
          summary: "What a policy would change if it were published; nothing is",
          description:
            "Takes the policy's text as publishing does, except that its version need not rise. Every device that has reported is asked again from its stored facts, under the policy in force and under this one.",
          consumes: policyTypes,
          body: Type.String({ description: "The policy as its author wrote it" }),
          params: Edition,
          response: { 200: Type.Composite([Type.Object({ version: Type.Integer() }), WhatIf]) },
        },
      },
      async (request) => {
        if (deps.role === "group")
          throw serverErrors.make("wrong-role", { role: deps.role, what: "a what-if", needed: "corporate" });
        if (typeof request.body !== "string" || request.body.trim() === "")
          throw inputInvalid([{ path: "", message: "is empty" }]);
        const candidate = await policies.tryOut(request.params.edition, request.body);
        return { version: candidate.version, ...(await deps.whatIf(candidate)) };
      },
    );
    done();
  });

  app.get(
    "/api/v1/policies/selection",
    {
      onRequest: reader,
      schema: { tags: ["policies"], summary: "Licences this company manages", response: { 200: Selection } },
    },
    () => policies.selection(),
  );

  app.put<{ Body: { licenses: string[] | null } }>(
    "/api/v1/policies/selection",
    {
      onRequest: admin,
      schema: {
        tags: ["policies"],
        summary: "Select the licences this company manages; null = all",
        body: Type.Object(
          {
            licenses: Type.Unsafe<string[] | null>({
              // null first: type coercion would wrap it into a list otherwise.
              anyOf: [
                { type: "null" },
                { type: "array", items: { type: "string", minLength: 2, maxLength: 64 }, maxItems: 50_000 },
              ],
            }),
          },
          { additionalProperties: false },
        ),
        response: { 200: Selection },
      },
    },
    async (request) => {
      if (deps.role === "group")
        throw serverErrors.make("wrong-role", { role: deps.role, what: "the selection", needed: "corporate" });
      await policies.select(request.body.licenses);
      return policies.selection();
    },
  );

  app.get(
    "/api/v1/dictionary",
    {
      onRequest: reader,
      schema: { tags: ["policies"], summary: "The software dictionary in force (what agents get)" },
    },
    async (request, reply) => {
      const { dictionary, etag } = policies.current();
      if (dictionary === undefined) throw serverErrors.make("not-found", { what: "dictionary", id: "yet" });
      void reply.header("etag", etag);
      if (request.headers["if-none-match"] === etag) return reply.code(304).send();
      return reply.send(dictionary);
    },
  );
}

async function sendText(request: FastifyRequest, reply: FastifyReply, row: DocumentRow): Promise<FastifyReply> {
  const etag = etagOf(row.text);
  void reply.header("etag", etag);
  if (request.headers["if-none-match"] === etag) return reply.code(304).send();
  return reply.type(`${isJson(row.text) ? "application/json" : "application/yaml"}; charset=utf-8`).send(row.text);
}

function isJson(text: string): boolean {
  if (!text.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
