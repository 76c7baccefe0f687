/** Purpose: `/api/v1/positions…`, `/api/v1/departments/{code}/positions` and `/api/v1/reconcile` (contract.md "Administration"). */
import { Type } from "@sinclair/typebox";
import type { Clock } from "@daicho/kernel";
import { departmentStates } from "@daicho/licensing";
import { Position, Unmanaged } from "@daicho/protocol";
import type { FastifyInstance } from "fastify";
import type { Authorize } from "../../../http/authorize.ts";
import { having, pageOfItems, sendItems } from "../../../http/items.ts";
import { sendList, Unlimited, type ListQuery } from "../../../http/list.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import type { Reconcile } from "./reconcile.ts";
import { changeRoutes } from "./changes-routes.ts";
import { momentOf } from "./moment.ts";
import type { AsOf, DepartmentItem, Positions } from "./service.ts";

const version = Type.Integer({ description: "Rises with every change of a count; absent where `asOf` is given" });
const stamp = {
  version: Type.Optional(version),
  at: Type.String({ description: "RFC 3339: the time the numbers are true for" }),
};
const Count = Type.Integer();
const departmentLicense = {
  license: Type.String(),
  name: Type.String(),
  metric: Type.String(),
  rights: Count,
  required: Count,
  requested: Count,
  corrected: Count,
  used: Count,
  installed: Type.Integer({ description: "Copies that are there, before attached rights" }),
  overUnder: Count,
  state: Type.Unsafe<string>({ type: "string", enum: [...departmentStates] }),
  unmanaged: Unmanaged,
};
const stamped = <T extends Parameters<typeof Type.Array>[0]>(item: T) =>
  Type.Object({ ...stamp, items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });

const filters = { license: Type.Optional(Text(limits.license)), metric: Type.Optional(Text(32)) };
interface Filters extends ListQuery {
  readonly license?: string;
  readonly metric?: string;
  readonly state?: string;
  readonly department?: string;
  readonly asOf?: string;
}
const asOf = {
  asOf: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        "The position as it was recorded at this moment: RFC 3339, or a date, which stands for the end of that day (UTC). Before the first record it is empty; a moment in the future is refused.",
    }),
  ),
};
const State = Type.Optional(Type.Unsafe<string>({ type: "string", enum: [...departmentStates] }));

// As a list of types: what may be one schema or another is compiled when the first answer is made, and takes long.
const NumberOrText = Type.Unsafe<number | string>({ type: ["integer", "string"] });

export function positionRoutes(
  app: FastifyInstance,
  deps: {
    readonly positions: Positions;
    readonly reconcile: Reconcile;
    readonly authorize: Authorize;
    readonly clock: Clock;
  },
): void {
  const { positions, clock } = deps;
  changeRoutes(app, { ...deps, changes: positions.changes });
  const asked = ({ asOf: text }: Filters): AsOf => ({ asOf: momentOf("asOf", text, clock.now()) });
  const read = { onRequest: deps.authorize.role("auditor") };
  const tags = ["positions"];
  const matches = (query: Filters) => having(query, ["license", "metric", "state"]);

  app.get<{ Querystring: Filters }>(
    "/api/v1/positions",
    {
      ...read,
      schema: {
        tags,
        summary: "The company's position per licence; all of them unless `limit` is given",
        querystring: Type.Object({ ...Unlimited.properties, ...filters, ...asOf }),
        response: { 200: stamped(Position) },
      },
    },
    async (request, reply) => {
      const { items, ...when } = await positions.company(asked(request.query));
      const page = await pageOfItems(items.filter(matches(request.query)), request.query, {
        fields: ["license", "name", "metric", "required", "held", "rights", "requested", "used", "overUnder", "idle"],
        keyOf: (item) => item.license,
      });
      return sendList(request, reply, { ...when, ...page });
    },
  );

  app.get<{ Params: { code: string }; Querystring: Filters & { rollup?: boolean } }>(
    "/api/v1/departments/:code/positions",
    {
      ...read,
      schema: {
        tags,
        summary:
          "A department's position per licence; with `rollup` the whole subtree. `unassigned` is a department here",
        params: Type.Object({ code: Key(limits.code) }),
        querystring: Type.Object({
          ...Unlimited.properties,
          ...filters,
          ...asOf,
          state: State,
          rollup: Type.Optional(Type.Boolean({ default: false })),
        }),
        response: {
          200: Type.Object({
            ...stamped(Type.Object(departmentLicense)).properties,
            department: Type.String(),
          }),
        },
      },
    },
    async (request, reply) => {
      const { items, ...when } = await positions.department(request.params.code, {
        ...asked(request.query),
        rollup: request.query.rollup === true,
      });
      const page = await pageOfItems(items.filter(matches(request.query)), request.query, {
        fields: [
          "license",
          "name",
          "metric",
          "rights",
          "required",
          "requested",
          "corrected",
          "used",
          "overUnder",
          "state",
        ],
        keyOf: (item) => item.license,
      });
      return sendList(request, reply, { ...when, ...page });
    },
  );

  app.get<{ Querystring: Filters }>(
    "/api/v1/positions/departments",
    {
      ...read,
      schema: {
        tags,
        summary: "Every department's position: one item per department and licence, all of one version",
        querystring: Type.Object({
          ...Unlimited.properties,
          ...filters,
          ...asOf,
          department: Type.Optional(Text(limits.code)),
          state: State,
        }),
        response: { 200: stamped(Type.Object({ department: Type.String(), ...departmentLicense })) },
      },
      // 100,000 items: what is sent is made here and needs no sieve.
      serializerCompiler: () => (data) => JSON.stringify(data),
    },
    async (request, reply) => {
      const { items, ...when } = await positions.departments({
        ...asked(request.query),
        department: request.query.department,
      });
      const { limit, cursor, sort } = request.query;
      const wanted = sifted(items, matches(request.query));
      if (limit === undefined && cursor === undefined && sort === undefined)
        return sendItems(request, reply, { ...when }, wanted);
      const page = await pageOfItems(wanted, request.query, {
        fields: ["department", "license", "name", "metric", "rights", "required", "used", "overUnder", "state"],
        keyOf: (item) => `${item.department}\u0000${item.license}`,
      });
      return sendList(request, reply, { ...when, ...page });
    },
  );

  app.get(
    "/api/v1/reconcile",
    {
      ...read,
      schema: {
        tags,
        summary: "Recomputes every total from the device facts and names each difference",
        response: {
          200: Type.Object({
            ...stamp,
            version,
            devices: Type.Integer(),
            differences: Type.Array(
              Type.Object({
                law: Type.String(),
                department: Type.Optional(Type.String()),
                license: Type.Optional(Type.String()),
                device: Type.Optional(Type.String()),
                employee: Type.Optional(Type.Integer()),
                title: Type.Optional(Type.Integer()),
                stored: NumberOrText,
                recomputed: NumberOrText,
              }),
            ),
          }),
        },
      },
    },
    () => deps.reconcile(),
  );
}

function* sifted(items: Iterable<DepartmentItem>, keep: (item: DepartmentItem) => boolean): Generator<DepartmentItem> {
  for (const item of items) if (keep(item)) yield item;
}
