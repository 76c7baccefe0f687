/**
 * Purpose: how far the policy has come, node by node (domain.md §2, fig. 11): complete ●, in progress ○, failed with the reason, none
 * (not yet distributed: it has none, or an older one and is away).
 * Computed, never stored: what a node last said it holds, against what is current for it. For this company's relays that is this
 * server's dictionary; for a company's server at a group the enterprise policy; for that company's relays its server's dictionary.
 */
import type { DistributionState, NodeKind } from "@daicho/protocol";
import type { Fault, PolicyState } from "../policies/index.ts";
import type { MissingReports } from "./service.ts";
import type { NodeRow } from "./store.ts";
import type { KeptStatus } from "./status.ts";

export interface DistributionItem {
  readonly node: string;
  readonly kind: NodeKind;
  readonly name: string;
  readonly company: string;
  readonly parent?: string;
  /** Enterprise policy version held (for a relay: the one behind its dictionary). */
  readonly policy?: number;
  readonly dictionary?: number;
  readonly state: DistributionState;
  readonly reason?: Fault;
  readonly lastSeenAt?: string;
  readonly lag: {
    /** Versions behind the current one. */
    readonly versions?: number;
    /** Age of the oldest report that waits at the node. */
    readonly seconds?: number;
  };
  readonly spool?: KeptStatus["spool"];
  readonly connected?: number;
  readonly agents?: KeptStatus["agents"];
  /** Reports that this node or one below it acknowledged and did not bring, or brought altered. */
  readonly missing?: MissingItem;
}

export interface MissingItem {
  readonly reports: number;
  readonly devices: number;
  readonly lastAt: string;
}

export interface DistributionInput {
  readonly self: { readonly id: string; readonly company: string; readonly connected: number };
  readonly policy: PolicyState;
  /** false at a pure group server: it has no dictionary. */
  readonly generates: boolean;
  readonly enterpriseOf: (dictionary: number) => number | undefined;
  readonly rows: readonly NodeRow[];
  /** Each company's server: what its relays are held against. */
  readonly servers: readonly NodeRow[];
  readonly agents: { readonly current: number; readonly behind: number } | undefined;
  readonly missing: Awaited<ReturnType<MissingReports>>;
  readonly now: number;
}

/** The nodes below, ordered by company, kind (servers first) and name. */
export function distribution(input: DistributionInput): readonly DistributionItem[] {
  const { rows, policy, self } = input;
  const servers = new Map(input.servers.map((r) => [r.company, r]));
  return rows
    .filter((r) => r.kind !== "agent" || statusOf(r)?.state === "failed")
    .sort((a, b) => compare(a.company, b.company) || compare(b.kind, a.kind) || compare(a.name, b.name))
    .map((row): DistributionItem => {
      const status = statusOf(row);
      const serverRow = servers.get(row.company);
      const server = serverRow && statusOf(serverRow);
      const isOwn = row.company === self.company;
      const currentDictionary = isOwn ? policy.generation : (server?.dictionary ?? 0);
      const held = row.kind === "server" ? (status?.policy ?? 0) : (status?.dictionary ?? 0);
      const current = row.kind === "server" ? policy.enterprise : currentDictionary;
      const standing = judge(status, held, current, isHeardOf(row, input.now));
      // Its dictionary may be its server's, but as long as that server waits for the newest policy so does all below it.
      const above =
        row.kind === "server" || isOwn
          ? "complete"
          : judge(server, server?.policy ?? 0, policy.enterprise, isHeardOf(serverRow, input.now)).state;
      const state =
        standing.state !== "complete" || above === "complete"
          ? standing.state
          : above === "none"
            ? above
            : "in-progress";
      const behind =
        row.kind === "server"
          ? status?.policy
          : isOwn
            ? input.enterpriseOf(held)
            : held > 0 && held === server?.dictionary
              ? server.policy
              : undefined;
      return {
        node: row.id,
        kind: row.kind as NodeKind,
        name: row.name,
        company: row.company,
        ...(row.parent !== null && { parent: row.parent }),
        ...(behind !== undefined && { policy: behind }),
        ...(status !== undefined && { dictionary: status.dictionary }),
        state,
        ...(standing.reason !== undefined && { reason: standing.reason }),
        lastSeenAt: new Date(row.last_seen_at).toISOString(),
        lag: lagOf(status, held, current, input.now),
        ...(status?.spool !== undefined && { spool: status.spool }),
        ...missingAt(input.missing, row.id),
        ...(status?.connected !== undefined && { connected: status.connected }),
        ...(status?.agents !== undefined && { agents: status.agents }),
      };
    });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** This server itself, as it stands in its own list and as it reports itself upward. */
export function selfItem(input: Omit<DistributionInput, "rows" | "servers">): DistributionItem {
  const { self, policy, generates } = input;
  return {
    node: self.id,
    kind: "server",
    name: self.company,
    company: self.company,
    policy: policy.inForce.enterprise,
    ...(generates && { dictionary: policy.generation }),
    state: stateOfSelf(policy),
    ...(policy.fault !== undefined && { reason: policy.fault }),
    lastSeenAt: new Date(input.now).toISOString(),
    lag: { versions: policy.enterprise - policy.inForce.enterprise },
    connected: self.connected,
    ...(input.agents !== undefined && { agents: input.agents }),
  };
}

function stateOfSelf({ fault, enterprise, local, inForce }: PolicyState): DistributionState {
  if (fault !== undefined) return "failed";
  if (enterprise === 0 && local === 0) return "none";
  return inForce.enterprise === enterprise && inForce.local === local ? "complete" : "in-progress";
}

function judge(
  status: KeptStatus | undefined,
  held: number,
  current: number,
  heardOf: boolean,
): { readonly state: DistributionState; readonly reason?: Fault } {
  if (status === undefined) return { state: "none" };
  if (status.state === "failed")
    return { state: "failed", reason: status.reason ?? { code: "unknown", message: "the node gave no reason" } };
  if (held > current)
    return {
      state: "failed",
      reason: {
        code: "node-newer",
        message: `the node holds version ${held}, newer than ${current} here: was this server restored from a backup?`,
      },
    };
  if (held === 0) return { state: "none" };
  return { state: held === current ? "complete" : heardOf ? "in-progress" : "none" };
}

/** Every relay and server says how it stands once a minute; each node on the way may add a minute to that. */
const silentAfterMs = 3 * 60_000;

export function isHeardOf(row: Pick<NodeRow, "last_seen_at"> | undefined, now: number): boolean {
  return row !== undefined && now - row.last_seen_at <= silentAfterMs;
}

function lagOf(status: KeptStatus | undefined, held: number, current: number, now: number): DistributionItem["lag"] {
  const oldest = status?.spool?.oldestAt === undefined ? Number.NaN : Date.parse(status.spool.oldestAt);
  return {
    ...(status !== undefined && { versions: Math.max(0, current - held) }),
    ...(Number.isFinite(oldest) && { seconds: Math.max(0, Math.round((now - oldest) / 1000)) }),
  };
}

export function missingAt(missing: DistributionInput["missing"], node: string): { missing?: MissingItem } {
  const at = missing.get(node);
  return at === undefined ? {} : { missing: { ...at, lastAt: new Date(at.lastAt).toISOString() } };
}

export function statusOf(row: Pick<NodeRow, "status">): KeptStatus | undefined {
  return row.status === null ? undefined : (JSON.parse(row.status) as KeptStatus);
}
