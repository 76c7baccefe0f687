/** Purpose: `/api/v1/devices/{id}/licenses/{code}/explain` and `/api/v1/positions/{license}/explain`: why a number is what it is. */
import { Type } from "@sinclair/typebox";
import type { Clock } from "@daicho/kernel";
import type { FastifyInstance } from "fastify";
import type { Authorize } from "../../../http/authorize.ts";
import { ListQuery, sendList } from "../../../http/list.ts";
import { Key, limits, Text } from "../../../http/text.ts";
import { momentOf } from "../positions/index.ts";
import type { Explain } from "./service.ts";

const Open = Type.Object({}, { additionalProperties: true });
const Count = Type.Integer();
const Optional = Type.Optional(Type.String());
const Told = {
  covered: Type.Boolean({ description: "Nothing is missing for it" }),
  coveredUnits: Type.Integer({ description: "Of its units (cores, processors), those that entitlements cover" }),
  because: Type.String(),
  right: Type.Optional(Type.String({ description: "direct, suite, downgrade, upgrade, second-device" })),
  countsAs: Type.Optional(Type.String({ description: "The licence it counts as used of" })),
  entitlements: Type.Optional(Type.Array(Type.String())),
  allocation: Optional,
  secondTo: Type.Optional(Type.String({ description: "A free second device: the first one" })),
  reason: Type.Optional(
    Type.String({ description: "no-entitlement, other-metric, not-valid, used-up, not-counted; unmanaged" }),
  ),
};
const EntitlementItem = Type.Object({
  id: Type.String(),
  license: Type.String(),
  quantity: Count,
  units: Type.Integer({ description: "quantity × packSize" }),
  validity: Type.String({ description: "valid, not-started, expired" }),
  held: Type.Integer({ description: "What it adds to the position's held" }),
  used: Type.Integer({ description: "Units in use, for whatever licence" }),
  covers: Type.Integer({ description: "Installations it covers" }),
  coversThis: Type.Optional(Type.Boolean()),
  rights: Optional,
  contract: Optional,
  order: Optional,
  startsAt: Optional,
  expiresAt: Optional,
});
const Stamp = { version: Count, at: Type.String(), license: Type.String(), name: Type.String(), metric: Type.String() };
const DeviceAnswer = Type.Object({
  ...Stamp,
  device: Type.String(),
  hostname: Type.String(),
  state: Type.String(),
  managed: Type.Boolean(),
  reported: Type.Boolean(),
  installed: Type.Boolean(),
  because: Type.String(),
  since: Optional,
  rule: Type.Optional(Open),
  units: Type.Optional(Open),
  classification: Type.Optional(Open),
  countsFor: Type.Optional(Open),
  coverage: Type.Optional(Type.Object({ ...Told, used: Count, installed: Count })),
  entitlements: Type.Optional(Type.Array(EntitlementItem)),
  notMatched: Type.Array(Open),
});
const Sentence = Type.Optional(Type.String());
const PositionAnswer = Type.Object({
  ...Stamp,
  department: Optional,
  totals: Type.Object({
    used: Type.Integer({ description: "Σ used of the items" }),
    installed: Type.Integer({ description: "Σ installed of the items" }),
    unmanaged: Type.Object({ preinstalled: Count, individual: Count, other: Count }),
    held: Type.Integer({
      description: "Σ held of the entitlements; the company's also where a department is asked for",
    }),
    rights: Type.Integer({ description: "Σ rights of the departments" }),
    required: Count,
    requested: Count,
    overUnder: Count,
    idle: Type.Optional(Count),
    allocatedInUse: Type.Optional(Type.Integer({ description: "Σ inUse of the allocations, and of the items" })),
    allocatedNotInUse: Type.Optional(Type.Integer({ description: "Σ notInUse of the allocations" })),
    notAllocatedInUse: Type.Optional(Count),
    items: Count,
    because: Type.Object({ overUnder: Sentence, idle: Sentence, notAllocatedInUse: Sentence }),
  }),
  entitlements: Type.Array(EntitlementItem),
  allocations: Type.Array(
    Type.Object({
      id: Type.String(),
      device: Optional,
      employee: Optional,
      entitlement: Optional,
      quantity: Count,
      inUse: Count,
      notInUse: Count,
      since: Type.String(),
    }),
  ),
  departments: Type.Array(
    Type.Object({ department: Type.String(), used: Count, rights: Count, required: Count, requested: Count }),
  ),
  items: Type.Array(
    Type.Object({
      device: Type.String(),
      hostname: Type.String(),
      employee: Optional,
      department: Type.String(),
      license: Type.String({ description: "What is installed" }),
      units: Count,
      used: Type.Integer({ description: "What it adds to the position's used" }),
      installed: Type.Integer({ description: "What it adds to the position's installed" }),
      class: Type.String({ description: "managed, preinstalled, individual, other" }),
      unmanaged: Type.Integer({ description: "What it adds to the position's count of its class" }),
      allocatedInUse: Count,
      countedWith: Type.Optional(Type.String({ description: "Counts together with this device" })),
      ...Told,
    }),
  ),
  nextCursor: Optional,
});

export function explainRoutes(
  app: FastifyInstance,
  deps: { readonly explain: Explain; readonly authorize: Authorize; readonly clock: Clock },
): void {
  const { explain, clock } = deps;
  const read = { onRequest: deps.authorize.role("auditor") };

  app.get<{ Params: { id: string; code: string } }>(
    "/api/v1/devices/:id/licenses/:code/explain",
    {
      ...read,
      schema: {
        tags: ["devices"],
        summary: "Why a device uses a licence, or does not: evidence, rule, units, for whom it counts, what covers it",
        params: Type.Object({ id: Key(limits.id), code: Key(limits.license) }),
        response: { 200: DeviceAnswer },
      },
    },
    (request) => explain.device(request.params.id, request.params.code),
  );

  app.get<{
    Params: { license: string };
    Querystring: ListQuery & { department?: string; rollup?: boolean; asOf?: string };
  }>(
    "/api/v1/positions/:license/explain",
    {
      ...read,
      schema: {
        tags: ["positions"],
        summary:
          "What a position is the sum of: its installations and what covers each, its entitlements and what each is used for",
        params: Type.Object({ license: Key(limits.license) }),
        querystring: Type.Object({
          ...ListQuery.properties,
          department: Type.Optional(Text(limits.code)),
          rollup: Type.Optional(Type.Boolean({ default: false })),
          asOf: Type.Optional(Type.String({ maxLength: 40, description: "A date (its end, UTC), or RFC 3339" })),
        }),
        response: { 200: PositionAnswer },
      },
    },
    async (request, reply) => {
      const { asOf, ...query } = request.query;
      const moment = momentOf("asOf", asOf, clock.now());
      return sendList(request, reply, await explain.position(request.params.license, query, moment));
    },
  );
}
