/** Purpose: `/api/v1/applications` (contract.md "Administration"): file, list, decide, withdraw, verify. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { ListQuery, listOf, sendPage } from "../../http/list.ts";
import { inputInvalid } from "../../http/problem.ts";
import { Key, limits, Text } from "../../http/text.ts";
import type { Caller } from "../access/index.ts";
import { maxRights } from "../licenses/index.ts";
import { applicationStates } from "./answer.ts";
import type { ApplicationFilter, ApplicationInput, Applications } from "./service.ts";

const Time = Type.String({ description: "RFC 3339, UTC" });
/** Free text of several lines. */
const Prose = (description: string) =>
  Type.String({ minLength: 1, maxLength: 2000, pattern: "^([^\\p{Cc}\\p{Cs}]|[\\t\\r\\n])*$", description });
const FromIdle = Type.Object({
  department: Type.Optional(Type.String({ description: "Absent: held by the company and given to no department" })),
  quantity: Type.Integer(),
});
const Summary = Type.Object({
  id: Type.String(),
  state: Type.String({ description: applicationStates.join(", ") }),
  department: Type.String(),
  license: Type.String(),
  name: Type.String(),
  quantity: Type.Integer(),
  reason: Type.String(),
  applicant: Type.Optional(Type.String({ description: "Employee id" })),
  acceptIdle: Type.Boolean(),
  filedAt: Time,
  filedBy: Type.String({ description: "Employee id, or `token:<id>`" }),
  waitingFor: Type.Optional(Type.String({ description: "Employee id, or `role:manager`" })),
  approvedAt: Type.Optional(Time),
  closedAt: Type.Optional(Time),
  requested: Type.Integer({ description: "How many the approval added to the department's requested" }),
  granted: Type.Integer({ description: "How many of these purchase runs have granted" }),
  fromIdle: Type.Optional(Type.Array(FromIdle)),
});
const Step = Type.Object({
  step: Type.Integer(),
  approver: Type.Optional(Type.String({ description: "Employee id; absent where the role decides" })),
  role: Type.Optional(Type.String()),
  department: Type.Optional(Type.String({ description: "Whose manager the approver is" })),
  state: Type.String({
    description: "open, approved, refused, passed (the approver left), skipped (not asked any more)",
  }),
  decidedAt: Type.Optional(Time),
  decidedBy: Type.Optional(Type.String()),
  onBehalf: Type.Optional(Type.Boolean()),
  comment: Type.Optional(Type.String()),
  signature: Type.Optional(Type.String()),
});
const Item = Type.Object({
  ...Summary.properties,
  withdrawal: Type.Optional(Type.Object({ by: Type.String(), reason: Type.Optional(Type.String()) })),
  steps: Type.Array(Step),
  grants: Type.Array(Type.Object({ run: Type.String(), quantity: Type.Integer(), at: Time })),
  signaturesValid: Type.Boolean({ description: "Nothing stored about it was changed by anything but the server" }),
  signatureFaults: Type.Optional(Type.Array(Type.String())),
  warnings: Type.Optional(Type.Array(Type.Object({ code: Type.String(), message: Type.String() }))),
});
const Id = Type.Object({ id: Key(64) });
const StepNo = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 100_000, description: "Decide this step only; absent: the one that waits" }),
);
const strict = { additionalProperties: false };

export function applicationRoutes(
  app: FastifyInstance,
  deps: { readonly applications: Applications; readonly authorize: Authorize },
): void {
  const { applications, authorize } = deps;
  const path = "/api/v1/applications";
  const anyone = { onRequest: authorize.role("employee") };
  const tags = ["applications"];

  app.post<{ Body: ApplicationInput; Headers: { "idempotency-key"?: string } }>(
    path,
    {
      ...anyone,
      schema: {
        tags,
        summary: "Apply for licences",
        headers: Type.Object({ "idempotency-key": Type.Optional(Text(255)) }),
        body: Type.Object(
          {
            department: Key(limits.code, "Department code"),
            license: Key(limits.license),
            quantity: Type.Integer({ minimum: 1, maximum: maxRights }),
            reason: Prose("What they are needed for"),
            applicant: Type.Optional(Key(limits.id, "Employee id; absent: the employee of the token")),
            acceptIdle: Type.Optional(
              Type.Boolean({ description: "Take idle rights first; only the rest is requested" }),
            ),
          },
          strict,
        ),
        response: { 201: Item },
      },
    },
    async (request, reply) => {
      mustSay(request.body.reason);
      const filed = await applications.file(request.body, callerOf(request), request.headers["idempotency-key"]);
      return reply.code(201).send(filed);
    },
  );

  app.get<{ Querystring: ListQuery & ApplicationFilter }>(
    path,
    {
      ...anyone,
      schema: {
        tags,
        summary: "Applications; with a token of the role employee, those that concern the employee",
        querystring: Type.Object({
          ...ListQuery.properties,
          state: Type.Optional(Type.String({ enum: [...applicationStates] })),
          department: Type.Optional(Text(limits.code)),
          license: Type.Optional(Text(limits.license)),
          applicant: Type.Optional(Text(limits.id)),
          approver: Type.Optional(Text(limits.id, "Has a step of this employee")),
          waitingFor: Type.Optional(Text(limits.id, "Waits for this employee, or for `role:manager`")),
        }),
        response: { 200: listOf(Summary) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await applications.list(request.query, callerOf(request)));
    },
  );

  app.get(
    `${path}/verification`,
    {
      onRequest: authorize.role("auditor"),
      schema: {
        tags,
        summary:
          "Check every signature, that no application is missing, and that requested is what is approved and outstanding",
        response: {
          200: Type.Object({
            applications: Type.Integer(),
            complete: Type.Boolean({ description: "None was taken away, added or put back as it was" }),
            faults: Type.Array(Type.Object({ application: Type.String(), what: Type.String() })),
            requested: Type.Array(
              Type.Object({
                department: Type.String(),
                license: Type.String(),
                stored: Type.Integer(),
                recomputed: Type.Integer(),
              }),
            ),
          }),
        },
      },
    },
    () => applications.verifyAll(),
  );

  app.get<{ Params: { id: string } }>(
    `${path}/:id`,
    { ...anyone, schema: { tags, summary: "One application with its steps", params: Id, response: { 200: Item } } },
    (request) => applications.get(request.params.id, callerOf(request)),
  );

  app.post<{ Params: { id: string }; Body: { comment?: string; step?: number } | null }>(
    `${path}/:id/approve`,
    {
      ...anyone,
      schema: {
        tags,
        summary: "Approve the step that waits; the last one adds to the department's requested",
        params: Id,
        body: optionalBody({ comment: Type.Optional(Prose("For the record")), step: StepNo }),
        response: { 200: Item },
      },
    },
    (request) => applications.decide(request.params.id, { ...request.body, decision: "approved" }, callerOf(request)),
  );

  app.post<{ Params: { id: string }; Body: { reason: string; step?: number } }>(
    `${path}/:id/refuse`,
    {
      ...anyone,
      schema: {
        tags,
        summary: "Refuse it, with a reason",
        params: Id,
        body: Type.Object({ reason: Prose("Why it is refused"), step: StepNo }, strict),
        response: { 200: Item },
      },
    },
    (request) => {
      const { reason, ...rest } = request.body;
      mustSay(reason);
      return applications.decide(
        request.params.id,
        { ...rest, comment: reason, decision: "refused" },
        callerOf(request),
      );
    },
  );

  app.post<{ Params: { id: string }; Body: { reason?: string } | null }>(
    `${path}/:id/withdraw`,
    {
      ...anyone,
      schema: {
        tags,
        summary: "Withdraw it; of an approved one, what is not granted yet",
        params: Id,
        body: optionalBody({ reason: Type.Optional(Prose("Why it is withdrawn")) }),
        response: { 200: Item },
      },
    },
    (request) => applications.withdraw(request.params.id, request.body?.reason, callerOf(request)),
  );
}

/** An object with these fields, or no body at all. */
function optionalBody(properties: Parameters<typeof Type.Object>[0]) {
  return Type.Unsafe<object | null>({ ...Type.Object(properties, strict), type: ["object", "null"] });
}

function mustSay(reason: string): void {
  if (reason.trim() === "") throw inputInvalid([{ path: "/reason", message: "must say something" }]);
}

function callerOf(request: FastifyRequest): Caller {
  if (request.caller === undefined) throw serverErrors.make("not-authenticated");
  return request.caller;
}
