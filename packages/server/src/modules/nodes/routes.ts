/** Purpose: `/api/v1/nodes` and `/api/v1/policies/distribution` (contract.md "Administration"; domain.md §2, fig. 11). */
import { Type, type Static } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { decodeCursor, encodeCursor, ListQuery, listOf, sendList } from "../../http/list.ts";
import type { Policies } from "../policies/index.ts";
import { missingAt, statusOf } from "./distribution.ts";
import type { Nodes } from "./service.ts";

const Integer = Type.Optional(Type.Integer());
const Text = Type.Optional(Type.String());
const Spool = Type.Optional(Type.Object({ records: Type.Integer(), bytes: Type.Integer(), oldestAt: Text }));
const Agents = Type.Optional(Type.Object({ current: Type.Integer(), behind: Type.Integer() }));
const Missing = Type.Optional(
  Type.Object(
    { reports: Type.Integer(), devices: Type.Integer(), lastAt: Type.String() },
    {
      description:
        "Reports of the last 30 days that this node, or one below it, acknowledged and did not bring, as far as devices' own signed numbers show, or brought altered. A full report has repaired each device.",
    },
  ),
);
const Reason = Type.Optional(Type.Object({ code: Type.String(), message: Type.String() }));

const DistributionItem = Type.Object({
  node: Type.String(),
  kind: Type.String(),
  name: Type.String(),
  company: Type.String(),
  parent: Text,
  policy: Integer,
  dictionary: Integer,
  state: Type.String({ enum: ["complete", "in-progress", "failed", "none"] }),
  reason: Reason,
  lastSeenAt: Text,
  lag: Type.Object({ versions: Integer, seconds: Integer }),
  spool: Spool,
  connected: Integer,
  agents: Agents,
  missing: Missing,
});
const NodeItem = Type.Object({
  id: Type.String(),
  kind: Type.String(),
  name: Type.String(),
  company: Type.String(),
  parent: Text,
  online: Type.Boolean({
    description: "Connected to the channel right now; of a node below another one: heard of within three minutes",
  }),
  enrolledAt: Text,
  lastSeenAt: Type.String(),
  program: Text,
  policy: Integer,
  dictionary: Integer,
  spool: Spool,
  connected: Integer,
  missing: Missing,
});
const DistributionQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 10_000 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
});
const NodeQuery = Type.Composite([
  ListQuery,
  Type.Object({
    id: Type.Optional(Type.String({ maxLength: 64 })),
    name: Type.Optional(Type.String({ maxLength: 256 })),
    kind: Type.Optional(Type.String({ enum: ["relay", "server", "agent"] })),
    company: Type.Optional(Type.String({ maxLength: 128 })),
  }),
]);

export function nodeRoutes(
  app: FastifyInstance,
  deps: {
    readonly nodes: Nodes;
    readonly policies: Policies;
    readonly authorize: Authorize;
    /** From the ledger's device ids to the identities that report for them; ids that are none are left out. */
    readonly identitiesOf: (devices: readonly string[]) => Promise<readonly string[]>;
  },
): void {
  const { nodes, authorize } = deps;
  const reader = authorize.role("auditor");

  app.get<{ Querystring: Static<typeof DistributionQuery> }>(
    "/api/v1/policies/distribution",
    {
      onRequest: reader,
      schema: {
        tags: ["policies", "nodes"],
        summary: "How far the policy has come, node by node",
        querystring: DistributionQuery,
        response: { 200: listOf(DistributionItem) },
      },
    },
    async (request, reply) => {
      const { cursor, limit } = request.query;
      const after = decodeCursor(cursor)?.[0];
      const { items, next } = await nodes.distribution({
        ...(limit !== undefined && { limit }),
        ...(after !== undefined && { after: String(after) }),
      });
      const { enterprise, generation } = deps.policies.state();
      const agents = items[0]?.agents;
      return sendList(request, reply, {
        items,
        ...(next !== undefined && { nextCursor: encodeCursor([next]) }),
        ...{ policy: enterprise, dictionary: generation, ...(agents !== undefined && { agents }) },
      });
    },
  );

  app.get<{ Querystring: Static<typeof NodeQuery> }>(
    "/api/v1/nodes",
    {
      onRequest: reader,
      schema: {
        tags: ["nodes"],
        summary: "Relays and servers below this one",
        querystring: NodeQuery,
        response: { 200: listOf(NodeItem) },
      },
    },
    async (request, reply) => {
      const { rows, nextCursor } = await nodes.page(request.query);
      const connected = await nodes.reach.connected(rows.map((row) => row.id));
      const missing = await nodes.missing();
      const items = rows.map((row) => {
        const status = statusOf(row);
        return {
          id: row.id,
          kind: row.kind,
          name: row.name,
          company: row.company,
          ...(row.parent !== null && { parent: row.parent }),
          online: nodes.isOnline(row, connected.nodes),
          ...(row.enrolled_at !== null && { enrolledAt: new Date(row.enrolled_at).toISOString() }),
          lastSeenAt: new Date(row.last_seen_at).toISOString(),
          ...(status !== undefined && {
            program: status.program,
            policy: status.policy,
            dictionary: status.dictionary,
            spool: status.spool,
            connected: status.connected,
          }),
          ...missingAt(missing, row.id),
        };
      });
      return sendList(request, reply, { items, ...(nextCursor !== undefined && { nextCursor }) });
    },
  );

  app.delete<{ Params: { id: string } }>(
    "/api/v1/nodes/:id",
    {
      onRequest: authorize.role("admin"),
      schema: {
        tags: ["nodes"],
        summary: "Remove a node or a device's agent: whatever it sends is refused until it enrols again",
        description:
          "The id of a node, or of a device: then what reports for it. Relays below learn it with the next answer to their status, within a minute. A device stays in the ledger. Revoke the enrolment token, too, if it may have got into other hands.",
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const identities = await deps.identitiesOf([id]);
      let removed = await nodes.remove(id);
      for (const identity of identities) removed = (await nodes.remove(identity)) || removed;
      if (!removed) throw serverErrors.make("not-found", { what: "node", id: request.params.id });
      return reply.code(204).send();
    },
  );

  app.post<{ Body: { devices?: string[] } | null }>(
    "/api/v1/nodes/scan-now",
    {
      onRequest: authorize.role("manager"),
      schema: {
        tags: ["nodes"],
        summary: "Ask devices to scan now",
        description:
          "Without `devices`, every device below. Devices that are not connected scan by their own schedule.",
        body: Type.Union([
          Type.Null(),
          Type.Object(
            { devices: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 10_000 })) },
            { additionalProperties: false },
          ),
        ]),
        response: { 202: Type.Object({ connections: Type.Integer() }) },
      },
    },
    async (request, reply) => {
      const devices = request.body?.devices;
      const connections = await nodes.reach.scanNow(
        devices === undefined ? undefined : await deps.identitiesOf(devices),
      );
      return reply.code(202).send({ connections });
    },
  );

  app.post<{ Body: { text: string } }>(
    "/api/v1/nodes/message",
    {
      onRequest: authorize.role("manager"),
      schema: {
        tags: ["nodes"],
        summary: "Send words to the devices below",
        description:
          "To every agent that is connected, here or at a relay below; `daicho agent status` shows the last five. It is not kept for the others, and not signed: a relay in between could alter it.",
        body: Type.Object({ text: Type.String({ minLength: 1, maxLength: 1000 }) }, { additionalProperties: false }),
        response: { 202: Type.Object({ connections: Type.Integer() }) },
      },
    },
    async (request, reply) => reply.code(202).send({ connections: await nodes.reach.message(request.body.text) }),
  );
}
