/** Purpose: `/api/v1/hand-overs`: devices whose user left (domain.md §6). */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import type { Authorize } from "../../../http/authorize.ts";
import { ListQuery, listOf, sendPage } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import type { Completion, HandOvers } from "./service.ts";

const State = Type.Unsafe<string>({ type: "string", enum: ["open", "done"] });
const Item = Type.Object({
  id: Type.String(),
  device: Type.String(),
  hostname: Type.String(),
  employee: Type.String({ description: "Who left" }),
  employeeName: Type.String(),
  department: Type.Optional(Type.String({ description: "Managing department" })),
  state: State,
  since: Type.String(),
  doneAt: Type.Optional(Type.String()),
  to: Type.Optional(
    Type.Object({
      employee: Type.Optional(Type.String()),
      department: Type.Optional(Type.String()),
      disposed: Type.Optional(Type.Boolean()),
    }),
  ),
});

export function handOverRoutes(
  app: FastifyInstance,
  deps: { readonly handOvers: HandOvers; readonly authorize: Authorize },
): void {
  const { handOvers, authorize } = deps;
  const path = "/api/v1/hand-overs";
  const tags = ["organisation"];

  app.get<{ Querystring: Parameters<HandOvers["list"]>[0] }>(
    path,
    {
      onRequest: authorize.role("auditor"),
      schema: {
        tags,
        summary: "List: devices whose user left and that nobody has yet; `state=done` for those handed over",
        querystring: Type.Object({
          ...ListQuery.properties,
          state: Type.Optional({ ...State, default: "open" }),
          device: Type.Optional(Text(limits.id)),
          employee: Type.Optional(Text(limits.id)),
          department: Type.Optional(Text(limits.code)),
        }),
        response: { 200: listOf(Item) },
      },
    },
    async (request, reply) => {
      return sendPage(request, reply, await handOvers.list(request.query));
    },
  );

  app.post<{ Params: { id: string }; Body: { employee?: string; department?: string; dispose?: boolean } }>(
    `${path}/:id/complete`,
    {
      onRequest: authorize.role("manager"),
      schema: {
        tags,
        summary: "Hand a device over: to an employee, to a department, or dispose of it",
        params: Type.Object({ id: Key(64) }),
        body: Type.Object(
          {
            employee: Type.Optional(Key(limits.id)),
            department: Type.Optional(Key(limits.code)),
            dispose: Type.Optional(Type.Boolean()),
          },
          { additionalProperties: false },
        ),
        response: { 200: Item },
      },
    },
    async ({ params, body }) => {
      const { employee, department, dispose } = body;
      const given: Completion[] = [
        ...(employee === undefined ? [] : [{ employee }]),
        ...(department === undefined ? [] : [{ department }]),
        ...(dispose === true ? [{ dispose }] : []),
      ];
      if (given[0] === undefined || given.length > 1)
        throw inputInvalid([{ path: "", message: "give one of employee, department, dispose: true" }]);
      return handOvers.complete(params.id, given[0]);
    },
  );
}
