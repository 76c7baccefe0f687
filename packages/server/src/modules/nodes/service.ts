/**
 * Purpose: the nodes below, as one thing for the rest of the server: enrolment, channel, status, distribution, blobs.
 */
import { join } from "node:path";
import { protocolCompatible, protocolHeader, protocolVersion, type NodeStatus } from "@daicho/protocol";
import type { Clock, Log } from "@daicho/kernel";
import type { FastifyInstance } from "fastify";
import type { Database, Trx } from "../../db/database.ts";
import type { Page } from "../../db/page.ts";
import type { Servers } from "../../db/servers.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { ListQuery } from "../../http/list.ts";
import type { Metrics } from "../../http/metrics.ts";
import type { AccessService } from "../access/index.ts";
import type { Policies } from "../policies/index.ts";
import { createBlobs, type Blobs } from "./blobs.ts";
import { createChannelHub, type ChannelHub } from "./channel.ts";
import {
  distribution,
  isHeardOf,
  selfItem,
  statusOf,
  type DistributionInput,
  type DistributionItem,
} from "./distribution.ts";
import { createEnrollment, type AgentEnrollment, type Enrollment } from "./enrollment.ts";
import { createReach, type Reach } from "./reach.ts";
import type { Removed } from "./removed.ts";
import { createStatusIntake, type StatusIntake } from "./status.ts";
import { nodeStore, type NodeFilter, type NodeRow } from "./store.ts";

/** Agents by the dictionary they hold: implemented by whoever keeps the devices' heads. */
export type AgentDictionaryCounts = () => Promise<{ readonly current: number; readonly behind: number }>;

/** Reports that were acknowledged below and never came, or came altered, by the node they were to come through. */
export type MissingReports = () => Promise<
  ReadonlyMap<string, { readonly reports: number; readonly devices: number; readonly lastAt: number }>
>;

export interface Nodes {
  /** This server's id: the fingerprint of its root key, which is also its identity towards the group. */
  readonly id: string;
  /** What is connected to this server. */
  readonly channel: ChannelHub;
  /** What is connected to any server of the database. */
  readonly reach: Reach;
  readonly enrollment: Enrollment;
  readonly status: StatusIntake;
  readonly blobs: Blobs;
  /** This server first, then those below: a page of at most `limit` in the order of their ids. */
  distribution(page?: { readonly after?: string; readonly limit?: number }): Promise<{
    readonly items: readonly DistributionItem[];
    readonly next?: string;
  }>;
  /** This server first, then the nodes below: what travels upward. */
  report(): Promise<readonly NodeStatus[]>;
  page(query: ListQuery & NodeFilter): Promise<Page<NodeRow>>;
  /** A node here: connected. One below another: that says it lives. */
  isOnline(row: NodeRow, connected: ReadonlySet<string>): boolean;
  /** The enrolled server of a company, if it has one here. */
  serverOf(company: string): Promise<NodeRow | undefined>;
  readonly missing: MissingReports;
  companies(trx?: Trx): Promise<readonly NodeRow[]>;
  /** A node, or the identity of a device; false = there is none that is not removed already. */
  remove(id: string): Promise<boolean>;
  stop(): void;
}

const maxReported = 10_000;

export function createNodes(deps: {
  readonly db: Database;
  readonly servers: Pick<Servers, "tell" | "hear" | "ask" | "answer">;
  readonly access: AccessService;
  readonly policies: Policies;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly company: string;
  readonly role: "corporate" | "group" | "both";
  readonly dataDir: string;
  readonly program: string;
  readonly agents: AgentEnrollment | undefined;
  readonly removed: Removed;
  readonly missing: MissingReports;
  readonly agentDictionaryCounts: AgentDictionaryCounts | undefined;
}): Nodes {
  const { db, policies, events, clock, company, access } = deps;
  const id = access.signer().keyId;
  const channel = createChannelHub({
    clock,
    log: deps.log,
    versions: () => ({ dictionary: policies.current().generation, enterprise: policies.state().enterprise }),
  });
  deps.removed.watch(() => channel.cut(deps.removed.has));
  const reach = createReach({ channel, servers: deps.servers });
  // Every server tells the nodes that are connected to it.
  const offDictionary = events.on("dictionary-changed", () => channel.policyChanged(["agent", "relay"]));
  const offEnterprise = events.on("enterprise-changed", () => channel.policyChanged(["server"]));
  deps.metrics.gauge(
    "daicho_channel_connections",
    "Nodes connected to this server's channel, by kind",
    () => channel.counts(),
    "kind",
  );

  const agentCounts = deps.agentDictionaryCounts && frugal(deps.agentDictionaryCounts, clock);

  async function context(): Promise<Omit<DistributionInput, "rows" | "servers">> {
    return {
      self: { id, company, connected: (await reach.connected([])).agents },
      policy: policies.state(),
      generates: deps.role !== "group",
      enterpriseOf: (dictionary) => policies.enterpriseOf(dictionary),
      agents: await agentCounts?.(),
      missing: await deps.missing(),
      now: clock.now(),
    };
  }

  return {
    id,
    channel,
    reach,
    enrollment: createEnrollment({ ...deps, db }),
    status: createStatusIntake({ ...deps, self: () => id }),
    blobs: createBlobs({ dir: join(deps.dataDir, "blobs") }),

    async distribution({ after = "", limit = maxReported } = {}) {
      const rows = await nodeStore.list(db.kysely, after, limit + 1);
      const shown = rows.slice(0, limit);
      const input = { ...(await context()), rows: shown, servers: await nodeStore.servers(db.kysely) };
      const next = rows.length > limit ? shown.at(-1)?.id : undefined;
      return {
        items: [...(after === "" ? [selfItem(input)] : []), ...distribution(input)],
        ...(next !== undefined && { next }),
      };
    },

    async report() {
      const self = selfItem(await context());
      const at = new Date(clock.now()).toISOString();
      const own: NodeStatus = {
        id,
        kind: "server",
        name: company,
        company,
        program: deps.program,
        policy: self.policy ?? 0,
        dictionary: self.dictionary ?? 0,
        state: self.state,
        ...(self.reason !== undefined && { reason: self.reason }),
        at,
        connected: self.connected ?? 0,
        ...(self.agents !== undefined && { agents: self.agents }),
      };
      const rows = await nodeStore.list(db.kysely, "", 2 * maxReported);
      // Failing agents last: where there are too many, it is they that are left out.
      const order = (row: NodeRow): number => (row.kind === "agent" ? 1 : 0);
      const below = [...rows].sort((a, b) => order(a) - order(b)).slice(0, maxReported - 1);
      return [own, ...below.map((row) => reportOf(row))];
    },

    missing: deps.missing,
    page: (query) => nodeStore.page(db, query),
    isOnline: (row, connected) =>
      connected.has(row.id) || (row.parent !== null && row.parent !== id && isHeardOf(row, clock.now())),
    serverOf: (name) => nodeStore.serverOf(db.kysely, name),
    companies: async (trx) => (await nodeStore.servers(trx ?? db.kysely)).filter((row) => row.enrolled_at !== null),

    async remove(node) {
      const at = clock.now();
      const done = await db.transaction(async (trx) => {
        if (await nodeStore.remove(trx, node, at)) return true;
        // Devices are listed as nodes only while something fails there.
        if (deps.removed.has(node) || (await deps.agents?.enrolledWith(trx, node)) === undefined) return false;
        await nodeStore.insertRemoved(trx, { id: node, kind: "agent", name: node, company, at });
        return true;
      });
      if (!done) return false;
      deps.log.info("node-removed", { node });
      await deps.removed.changed();
      events.emit("status-changed", {});
      return true;
    },

    stop() {
      offDictionary();
      offEnterprise();
      reach.stop();
      deps.removed.stop();
      channel.close();
    },
  };
}

function reportOf(row: NodeRow): NodeStatus {
  const lastSeenAt = new Date(row.last_seen_at).toISOString();
  const status = statusOf(row) ?? { dictionary: 0, state: "none" as const, at: lastSeenAt };
  return {
    id: row.id,
    kind: row.kind as NodeStatus["kind"],
    name: row.name,
    company: row.company,
    ...(row.parent !== null && { parent: row.parent }),
    ...status,
    // When it was really heard of last, not what its own clock says.
    at: lastSeenAt,
  };
}

/** Keeps an answer for a hundred times as long as it took to get: counting a million devices costs at most one percent. */
function frugal<T>(ask: () => Promise<T>, clock: Clock): () => Promise<T> {
  let kept: { readonly answer: Promise<T>; until: number } | undefined;
  return () => {
    const asked = clock.now();
    if (kept !== undefined && asked < kept.until) return kept.answer;
    const entry = { answer: ask(), until: Number.POSITIVE_INFINITY };
    kept = entry;
    const done = (): void => void (entry.until = clock.now() + 100 * (clock.now() - asked));
    entry.answer.then(done, () => (entry.until = 0));
    return entry.answer;
  };
}

/** Refuses peers of another protocol version on every `/ingest/v1` route, before anything of theirs is read. */
export function installProtocolCheck(app: FastifyInstance): void {
  app.addHook("onRequest", async (request) => {
    if (!request.url.startsWith("/ingest/")) return;
    const version = request.headers[protocolHeader];
    if (!protocolCompatible(Array.isArray(version) ? version[0] : version))
      throw serverErrors.make("version-unsupported", { version: String(version).slice(0, 32), own: protocolVersion });
    await Promise.resolve();
  });
}
