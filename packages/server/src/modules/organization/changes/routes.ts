/** Purpose: `/api/v1/org-changes` (contract.md "Administration"; domain.md §6). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { serverErrors } from "../../../errors.ts";
import type { Authorize } from "../../../http/authorize.ts";
import { ListQuery, listOf, sendPage } from "../../../http/list.ts";
import { orNull } from "../../../http/resource.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import { maxNumber } from "./interpret.ts";
import { orgChangeStates, type OrgChangeRequests } from "./service.ts";
import { orgChangeTypes, type OrgChange } from "./types.ts";

const strict = { additionalProperties: false };
const optional = Type.Optional;
const Person = {
  name: optional(Key(limits.name)),
  mail: optional(orNull(Text(limits.text))),
  department: optional(orNull(Key(limits.code))),
  title: optional(orNull(Text(limits.text))),
  manager: optional(orNull(Key(limits.id))),
};
const Ids = (limit: number, description: string) =>
  optional(Type.Array(Key(limit), { minItems: 1, maxItems: 100_000, description }));

const Change = Type.Object(
  {
    type: Type.Unsafe<string>({
      type: "string",
      enum: [...orgChangeTypes],
      description:
        "hire: employee (id, or an object with id and name), department · move: employee or employees to a department, or a department below another · leave: employee or employees · rename: department, name and/or code · merge: department or departments into `to` · split: parts of a department into `to` · dissolve: a department, `to` (else the one above) takes over",
    }),
    ...Person,
    employee: optional(
      Type.Unsafe<unknown>({
        anyOf: [Key(limits.id), Type.Object({ id: Key(limits.id), ...Person }, strict)],
        description: "Employee id; for a hire also an object",
      }),
    ),
    employees: Ids(limits.id, "Employee ids"),
    departments: Ids(limits.code, "merge: codes of those that end"),
    to: optional(
      orNull(Key(limits.code, "Department code; move: `unassigned` or null for none; rename: the new code")),
    ),
    code: optional(Key(limits.code, "rename: the new code")),
    devices: Ids(limits.id, "split: ids of devices it manages that go along"),
    children: Ids(limits.code, "split: codes of departments directly below it that go along"),
    rights: optional(
      Type.Array(
        Type.Object(
          {
            license: Key(limits.license),
            rights: Type.Integer({ minimum: 0, maximum: maxNumber }),
            required: optional(Type.Integer({ minimum: 0, maximum: maxNumber })),
          },
          strict,
        ),
        {
          maxItems: 10_000,
          description:
            "split: rights that go along; absent: per licence as many as go along of what is used. required: absent: divided as its use is, or as the people are where nothing is in use",
        },
      ),
    ),
    applications: optional(
      Type.Array(Key(64), {
        maxItems: 10_000,
        description: "split: ids of open applications that go along; absent: those of the employees who do",
      }),
    ),
    withRights: optional(
      Type.Boolean({
        description:
          "move: per licence as many rights go along as used, at most what there are; with them the part of required that goes by use, and the people's open applications",
      }),
    ),
  },
  strict,
);

const BeforeAfter = Type.Object({ before: Type.Integer(), after: Type.Integer() });
const Fault = Type.Object({ path: Type.String(), code: Type.String(), message: Type.String() });
const Outcome = Type.Object({
  departments: Type.Array(
    Type.Object({
      department: Type.String(),
      change: Type.String({ description: "created, changed or dissolved" }),
      formerly: optional(Type.String({ description: "Its code before" })),
      name: Type.String(),
      parent: optional(Type.String()),
      into: optional(Type.String({ description: "Who took over" })),
    }),
  ),
  employees: Type.Array(
    Type.Object({
      employee: Type.String(),
      change: Type.String({ description: "hired, moved or left" }),
      from: optional(Type.String()),
      to: optional(Type.String()),
      devices: Type.Integer(),
    }),
  ),
  devices: Type.Array(Type.Object({ device: Type.String(), from: Type.String(), to: Type.String() }), {
    description: "Devices that count for another department",
  }),
  positions: Type.Array(
    Type.Object({
      department: Type.String(),
      license: Type.String(),
      used: BeforeAfter,
      rights: BeforeAfter,
      required: BeforeAfter,
      requested: BeforeAfter,
    }),
    { description: "Only what changes; used as positions show it, after attached rights" },
  ),
  applications: Type.Array(Type.Object({ application: Type.String(), from: Type.String(), to: Type.String() }), {
    description: "Open applications that a split hands on",
  }),
  allocations: Type.Array(Type.Object({ employee: Type.String(), license: Type.String(), quantity: Type.Integer() }), {
    description: "What was set aside for people who leave, and is free again",
  }),
  handOvers: Type.Array(Type.Object({ device: Type.String(), employee: Type.String(), department: Type.String() }), {
    description: "Devices that come onto the hand-over list",
  }),
  warnings: Type.Array(Fault),
});
const item = {
  id: Type.String(),
  state: Type.Unsafe<string>({ type: "string", enum: [...orgChangeStates] }),
  effectiveOn: optional(Type.String()),
  types: Type.Array(Type.String()),
  createdAt: Type.String(),
  createdBy: Type.String({ description: "Id of the API token" }),
  doneAt: optional(Type.String({ description: "When it was applied, failed or cancelled" })),
  failure: optional(
    Type.Object(
      { code: Type.String(), message: Type.String(), faults: Type.Array(Fault) },
      {
        description: "Why it no longer fitted",
      },
    ),
  ),
};
const Details = Type.Object({
  ...item,
  changes: Type.Array(Type.Object({}, { additionalProperties: true })),
  result: optional(Outcome),
});
const Preview = Type.Object({ dryRun: Type.Boolean(), effectiveOn: optional(Type.String()), result: Outcome });
const Id = Type.Object({ id: Key(64) });

export function orgChangeRoutes(
  app: FastifyInstance,
  deps: { readonly orgChanges: OrgChangeRequests; readonly authorize: Authorize },
): void {
  const { orgChanges, authorize } = deps;
  const path = "/api/v1/org-changes";
  const tags = ["organisation"];
  const read = { onRequest: authorize.role("auditor") };
  const write = { onRequest: authorize.role("manager") };
  const by = (request: FastifyRequest): string => request.caller?.tokenId ?? "";

  app.post<{
    Body: { effectiveOn?: string; dryRun?: boolean; changes: readonly OrgChange[] };
    Headers: { "idempotency-key"?: string };
  }>(
    path,
    {
      ...write,
      schema: {
        tags,
        summary:
          "Change the organisation: all changes in one transaction, in their order; on a day to come; or, with dryRun, only say what would happen",
        headers: Type.Object({ "idempotency-key": optional(Text(255)) }),
        body: Type.Object(
          {
            effectiveOn: optional(
              Type.String({
                maxLength: 32,
                description: "Date, today or later, in the organisation's time zone; absent: at once",
              }),
            ),
            dryRun: optional(Type.Boolean()),
            changes: Type.Array(Change, { minItems: 1, maxItems: 100_000 }),
          },
          strict,
        ),
        response: { 200: Preview, 201: Details },
      },
    },
    async (request, reply) => {
      const { dryRun, ...asked } = request.body;
      if (dryRun === true) {
        const { effectiveOn } = asked;
        const result = await orgChanges.preview(asked, by(request));
        return { dryRun, ...(effectiveOn !== undefined && { effectiveOn }), result };
      }
      const key = request.headers["idempotency-key"];
      const made = await orgChanges.request(
        { ...asked, ...(key !== undefined && { idempotencyKey: key }) },
        by(request),
      );
      return reply.code(201).send(made);
    },
  );

  app.get<{ Querystring: ListQuery & { state?: string } }>(
    path,
    {
      ...read,
      schema: {
        tags,
        summary: "List: organisation changes, oldest first",
        querystring: Type.Object({ ...ListQuery.properties, state: optional(item.state) }),
        response: { 200: listOf(Type.Object(item)) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await orgChanges.list(request.query));
    },
  );

  app.get<{ Params: { id: string } }>(
    `${path}/:id`,
    {
      ...read,
      schema: {
        tags,
        summary: "One organisation change, with what came of it",
        params: Id,
        response: { 200: Details },
      },
    },
    async ({ params: { id } }) => {
      const found = await orgChanges.get(id);
      if (found === undefined) throw serverErrors.make("not-found", { what: "organisation change", id });
      return found;
    },
  );

  app.delete<{ Params: { id: string } }>(
    `${path}/:id`,
    {
      ...write,
      schema: { tags, summary: "Cancel one that is planned or failed", params: Id, response: { 200: Details } },
    },
    ({ params: { id } }) => orgChanges.cancel(id),
  );

  app.post<{ Params: { id: string } }>(
    `${path}/:id/apply`,
    {
      ...write,
      schema: {
        tags,
        summary: "Apply one that failed, or that is planned, now",
        params: Id,
        response: { 200: Details },
      },
    },
    (request) => orgChanges.applyNow(request.params.id, by(request)),
  );
}
