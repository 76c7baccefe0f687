/**
 * Purpose: what travels upward besides reports: distribution status and health of the nodes below (domain.md §2), and the
 * corporate licence inventory a company sends to its group (domain.md §3, §7).
 */
import { Type, type Static } from "./type.ts";
import { nodeKinds, type NodeKind } from "./credential.ts";
import { validator } from "./schema.ts";

/** ● complete · ○ in progress · failed (with the reason) · none: not yet distributed. */
export const distributionStates = ["complete", "in-progress", "failed", "none"] as const;
export type DistributionState = (typeof distributionStates)[number];

export const NodeStatus = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 64 }),
    kind: Type.Unsafe<NodeKind>({ type: "string", enum: [...nodeKinds] }),
    name: Type.String({ maxLength: 255 }),
    /** Company the node belongs to. */
    company: Type.String({ maxLength: 128 }),
    /** Id of the node above. */
    parent: Type.Optional(Type.String({ maxLength: 64 })),
    /** Program version. */
    program: Type.Optional(Type.String({ maxLength: 32 })),
    /** Enterprise policy version held (servers). */
    policy: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Dictionary version held. */
    dictionary: Type.Integer({ minimum: 0 }),
    state: Type.Unsafe<DistributionState>({ type: "string", enum: [...distributionStates] }),
    /** Why `failed`: a stable code and words. */
    reason: Type.Optional(
      Type.Object({ code: Type.String({ maxLength: 64 }), message: Type.String({ maxLength: 512 }) }),
    ),
    at: Type.String({ maxLength: 40 }),
    spool: Type.Optional(
      Type.Object({
        records: Type.Integer({ minimum: 0 }),
        bytes: Type.Integer({ minimum: 0 }),
        oldestAt: Type.Optional(Type.String({ maxLength: 40 })),
      }),
    ),
    connected: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: true },
);
export type NodeStatus = Static<typeof NodeStatus>;

/** `POST /ingest/v1/status`: the sender itself first, then the nodes below it. Agents appear only when something failed. */
export const StatusReport = Type.Object(
  { nodes: Type.Array(NodeStatus, { maxItems: 10_000 }) },
  { additionalProperties: true },
);
export type StatusReport = Static<typeof StatusReport>;
export const validateStatusReport = validator(StatusReport);

/** Answer to a status. */
export const StatusAnswer = Type.Object(
  {
    /** Nodes that the company's server has removed, for relays: they refuse them, too. */
    removed: Type.Optional(Type.Array(Type.String({ pattern: "^[0-9a-f]{32}$" }), { maxItems: 10_000 })),
  },
  { additionalProperties: true },
);
export type StatusAnswer = Static<typeof StatusAnswer>;
export const validateStatusAnswer = validator(StatusAnswer);

const Count = Type.Integer();
export const Unmanaged = Type.Object({ preinstalled: Count, individual: Count, other: Count });

/** One licence of one company: domain.md §3. */
export const Position = Type.Object({
  license: Type.String({ maxLength: 64 }),
  name: Type.String({ maxLength: 256 }),
  metric: Type.String({ maxLength: 32 }),
  required: Count,
  held: Count,
  rights: Count,
  requested: Count,
  used: Count,
  overUnder: Count,
  idle: Count,
  /** Copies that are there, before attached rights; a server of an earlier version does not tell it, nor allocations. */
  installed: Type.Optional(Count),
  allocatedInUse: Type.Optional(Count),
  allocatedNotInUse: Type.Optional(Count),
  notAllocatedInUse: Type.Optional(Count),
  unmanaged: Unmanaged,
});
export type Position = Static<typeof Position>;

const Pooled = Type.Union([Type.Boolean(), Type.Array(Type.String({ maxLength: 64 }), { maxItems: 10_000 })]);

/** `POST /ingest/v1/company-positions`: the corporate licence inventory. `version` only rises; an older one never overwrites a newer one. */
export const CompanyPositions = Type.Object(
  {
    company: Type.String({ minLength: 1, maxLength: 128 }),
    version: Type.Integer({ minimum: 0 }),
    /** Enterprise policy version the counts were made with. */
    policy: Type.Integer({ minimum: 0 }),
    at: Type.String({ maxLength: 40 }),
    devices: Type.Integer({ minimum: 0 }),
    /** Licences that the group buys for this company: all of them, or those named. Not said: it buys for itself. */
    pooled: Type.Optional(Pooled),
    positions: Type.Array(Position, { maxItems: 100_000 }),
  },
  { additionalProperties: true },
);
export type CompanyPositions = Static<typeof CompanyPositions>;
export const validateCompanyPositions = validator(CompanyPositions);

const Money = Type.Integer({ minimum: 0 });

/** What a group bought for one company in one order. Amounts in minor units. */
export const CompanyOrder = Type.Object(
  {
    /** Rises: what comes later sorts later. */
    id: Type.String({ minLength: 1, maxLength: 64 }),
    /** The group's order number. */
    order: Type.String({ minLength: 1, maxLength: 128 }),
    period: Type.String({ maxLength: 64 }),
    license: Type.String({ minLength: 1, maxLength: 64 }),
    metric: Type.String({ maxLength: 32 }),
    quantity: Type.Integer({ minimum: 1 }),
    unitPrice: Money,
    amount: Money,
    currency: Type.String({ maxLength: 3 }),
    at: Type.String({ maxLength: 40 }),
  },
  { additionalProperties: true },
);
export type CompanyOrder = Static<typeof CompanyOrder>;

/** The group took a part back; one that was booked is to be taken out of the books. */
export const CompanyReversal = Type.Object(
  {
    /** Rises, as the ids of parts do. */
    id: Type.String({ minLength: 1, maxLength: 64 }),
    /** Id of the part. */
    part: Type.String({ minLength: 1, maxLength: 64 }),
  },
  { additionalProperties: true },
);
export type CompanyReversal = Static<typeof CompanyReversal>;

/** `GET /ingest/v1/company-orders`, the payload of a signed document: what the company asked from has not booked yet, oldest first. */
export const CompanyOrders = Type.Object(
  {
    company: Type.String({ minLength: 1, maxLength: 128 }),
    /** What the group buys for this company, as far as it knows; a group of an earlier version does not say. */
    pooled: Type.Optional(Pooled),
    orders: Type.Array(CompanyOrder, { maxItems: 1000 }),
    reversals: Type.Optional(Type.Array(CompanyReversal, { maxItems: 1000 })),
  },
  { additionalProperties: true },
);
export type CompanyOrders = Static<typeof CompanyOrders>;
export const validateCompanyOrders = validator(CompanyOrders);
