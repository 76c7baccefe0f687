/** Purpose: `/api/v1/metric-rules`: the rules that count cores and processors, and a trial of each. */
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { MeasuredHardware, MetricRule } from "@daicho/protocol";
import type { Authorize } from "../../../http/authorize.ts";
import { having, pageOfItems } from "../../../http/items.ts";
import { listOf, sendList, Unlimited, type ListQuery } from "../../../http/list.ts";
import { inputInvalid } from "../../../http/problem.ts";
import { Key, limits } from "../../../http/text.ts";
import type { MetricRules } from "./service.ts";

const Listed = Type.Object({
  ...MetricRule.properties,
  inForce: Type.Boolean({ description: "Counts now; several rules of one id take turns by `validFrom`" }),
  licenses: Type.Array(Type.String(), { description: "Licences whose rules name it" }),
});
const Step = Type.Object({
  step: Type.String({ description: "Stable name of what was done" }),
  value: Type.String({ description: "What it came to, a decimal number" }),
  says: Type.String(),
});
const Trial = Type.Object({
  rule: Type.String(),
  validFrom: Type.Optional(Type.String()),
  hardware: MeasuredHardware,
  units: Type.Integer(),
  unit: Type.String(),
  raw: Type.String({ description: "Before rounding and minimums per server, a decimal number" }),
  packs: Type.Optional(Type.Integer()),
  packSize: Type.Optional(Type.Integer()),
  userMinimum: Type.Optional(Type.Integer()),
  steps: Type.Array(Step),
});

interface Body {
  readonly hardware?: MeasuredHardware;
  readonly device?: string;
  readonly at?: string;
}

export function metricRuleRoutes(
  app: FastifyInstance,
  deps: { readonly metricRules: MetricRules; readonly authorize: Authorize },
): void {
  const { metricRules } = deps;
  const reader = deps.authorize.role("auditor");
  const tags = ["metric rules"];

  app.get<{ Querystring: ListQuery & { id?: string } }>(
    "/api/v1/metric-rules",
    {
      onRequest: reader,
      schema: {
        tags,
        summary: "Metric rules of the policies in force, of every date",
        querystring: Type.Object({ ...Unlimited.properties, id: Type.Optional(Type.String({ maxLength: 128 })) }),
        response: { 200: listOf(Listed) },
      },
    },
    async (request, reply) => {
      const wanted = metricRules.list().filter(having(request.query, ["id"]));
      return sendList(request, reply, await pageOfItems(wanted, request.query, { fields: ["id"] }));
    },
  );

  app.post<{ Params: { id: string }; Body: Body }>(
    "/api/v1/metric-rules/:id/count",
    {
      onRequest: reader,
      schema: {
        tags,
        summary: "Count the units a machine needs, step by step; nothing is stored",
        params: Type.Object({ id: Key(limits.code, "Metric rule") }),
        body: Type.Object(
          {
            hardware: Type.Optional(MeasuredHardware),
            device: Type.Optional(Key(limits.id, "A device of the ledger, with the hardware it reported")),
            at: Type.Optional(
              Type.String({ format: "date-time", description: "With the rule of that time; absent = now" }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: Trial },
      },
    },
    ({ params, body }) => {
      const { hardware, device, at } = body;
      if ((hardware === undefined) === (device === undefined))
        throw inputInvalid([{ path: "", message: "needs either `hardware` or `device`" }]);
      const machine = device === undefined ? { hardware: hardware ?? {} } : { device };
      return metricRules.count(params.id, machine, at === undefined ? undefined : Date.parse(at));
    },
  );
}
