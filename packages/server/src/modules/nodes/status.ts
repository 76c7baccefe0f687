/**
 * Purpose: takes distribution status from the nodes below (`POST /ingest/v1/status`): the sender itself first, then what is below it.
 * Who may say what - the rest is left out, counted and logged, never stored:
 *   an agent: itself; it is listed only while it says that something failed;
 *   a relay: itself, and relays and agents of this company, those that changed since it last said so;
 *   a company's server: itself, its company, and companies below it that nobody else here has (a group below a group), all at once;
 *   nobody: this server, its company (other than its own relays), or a node of another kind or company than it is known with.
 * A status that came by another way is taken only if it was made later. Only known fields are kept, so a row is bounded.
 */
import type { Certificate, NodeStatus, StatusReport } from "@daicho/protocol";
import { sparing, type Clock, type Log } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import type { Events } from "../../events.ts";
import type { Removed } from "./removed.ts";
import { nodeStore, type NodeRow, type ReportedRow } from "./store.ts";

export interface StatusIntake {
  accept(
    sender: Certificate,
    report: StatusReport,
  ): Promise<{
    readonly accepted: number;
    readonly refused: number;
    /** For relays. */
    readonly removed?: readonly string[];
  }>;
}

/** What is kept of a reported status. */
export type KeptStatus = Pick<
  NodeStatus,
  "program" | "policy" | "dictionary" | "state" | "reason" | "at" | "spool" | "connected"
> & { readonly agents?: { readonly current: number; readonly behind: number } };

const agentMemoryMs = 7 * 24 * 3_600_000;
const maxNodesBelow = 20_000;
const nodeId = /^[0-9a-z][0-9a-z-]{0,63}$/;

export function createStatusIntake(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly company: string;
  /** Id of this server. */
  readonly self: () => string;
  readonly removed: Pick<Removed, "ids">;
}): StatusIntake {
  const { db, clock } = deps;
  const { warn } = sparing(deps.log, clock);

  return {
    async accept(sender, report) {
      const now = clock.now();
      const items = new Map<string, NodeStatus>();
      // The first word about a node counts: a sender names itself first.
      for (const item of report.nodes) if (!items.has(item.id)) items.set(item.id, item);

      const outcome = await db.transaction(async (trx) => {
        const known = await nodeStore.findMany(trx, [...new Set([...items.keys(), sender.id])]);
        if (known.get(sender.id)?.removed_at != null) throw serverErrors.make("node-removed");
        const claims = new Map((await nodeStore.companies(trx)).map((c) => [c.company, c.via]));
        const room = maxNodesBelow - Number((await nodeStore.countBelow(trx, sender.id)).count);
        const rows: ReportedRow[] = [];
        const recovered: string[] = [];
        let added = 0;
        let changed = false;
        for (const item of items.values()) {
          const row = known.get(item.id);
          const isSelf = item.id === sender.id;
          if (!(isSelf ? item.kind === sender.kind : maySay(sender, item, row, claims))) continue;
          if (item.kind === "agent" && item.state !== "failed") {
            recovered.push(item.id);
            continue;
          }
          if (row === undefined && !isSelf && ++added > room) continue;
          if (row !== undefined && row.via !== sender.id && !isSelf && !isLater(item, row)) continue;
          const kept = keep(item, now);
          changed ||= row === undefined || differs(row.status, kept);
          rows.push({
            id: item.id,
            kind: item.kind,
            name: isSelf ? sender.name : item.name,
            company: isSelf ? companyOf(sender) : item.company,
            parent: isSelf ? deps.self() : (item.parent ?? sender.id),
            status: JSON.stringify(kept),
            last_seen_at: isSelf ? now : Math.min(now, Date.parse(item.at) || now),
            via: sender.id,
          });
        }
        await nodeStore.saveReported(db, trx, rows);
        const gone = recovered.filter((id) => known.has(id));
        await nodeStore.dropAgents(trx, gone);
        // A server names all that fails at once; from others an agent that is never heard of again is forgotten.
        const dropped =
          sender.kind === "server"
            ? await nodeStore.dropAgentsBut(trx, sender.id, new Set(rows.map((r) => r.id)))
            : await nodeStore.dropAgentsBefore(trx, sender.id, now - agentMemoryMs);
        return { accepted: rows.length + recovered.length, changed: changed || gone.length > 0 || dropped > 0 };
      });

      const refused = report.nodes.length - outcome.accepted;
      if (refused > 0) warn("status-items-refused", { node: sender.id, count: refused });
      if (outcome.changed) deps.events.emit("status-changed", {});
      return { accepted: outcome.accepted, refused, ...(sender.kind === "relay" && { removed: deps.removed.ids }) };
    },
  };

  function maySay(
    sender: Certificate,
    item: NodeStatus,
    row: NodeRow | undefined,
    claims: ReadonlyMap<string, string | null>,
  ): boolean {
    if (item.id === deps.self() || !nodeId.test(item.id)) return false;
    if (sender.kind === "agent") return false;
    if (row !== undefined && (row.kind !== item.kind || row.company !== item.company || row.removed_at !== null))
      return false;
    if (sender.kind === "relay") return item.kind !== "server" && item.company === deps.company;
    if (item.company === deps.company) return false;
    if (item.company === sender.name) return item.kind !== "server" && (row === undefined || row.via === sender.id);
    const claimed = claims.get(item.company);
    return row?.enrolled_at == null && (claimed === undefined || claimed === sender.id);
  }
}

export function companyOf(certificate: Certificate): string {
  return certificate.kind === "server" ? certificate.name : certificate.company;
}

function isLater(item: NodeStatus, row: NodeRow): boolean {
  if (row.status === null) return true;
  return !(Date.parse(item.at) <= Date.parse((JSON.parse(row.status) as KeptStatus).at));
}

/** `now`: nothing was said later than now - a time ahead would outrank all that others say for as long. */
function keep(item: NodeStatus, now: number): KeptStatus {
  const agents = (item as { agents?: unknown }).agents;
  return {
    ...(item.program !== undefined && { program: item.program }),
    ...(item.policy !== undefined && { policy: item.policy }),
    dictionary: item.dictionary,
    state: item.state,
    ...(item.reason !== undefined && { reason: { code: item.reason.code, message: item.reason.message } }),
    at: new Date(Math.min(now, Date.parse(item.at) || now)).toISOString(),
    ...(item.spool !== undefined && {
      spool: {
        records: item.spool.records,
        bytes: item.spool.bytes,
        ...(item.spool.oldestAt !== undefined && { oldestAt: item.spool.oldestAt }),
      },
    }),
    ...(item.connected !== undefined && { connected: item.connected }),
    ...(isAgentCount(agents) && { agents: { current: agents.current, behind: agents.behind } }),
  };
}

function isAgentCount(value: unknown): value is { current: number; behind: number } {
  if (typeof value !== "object" || value === null) return false;
  const { current, behind } = value as Record<string, unknown>;
  return Number.isSafeInteger(current) && Number.isSafeInteger(behind) && Number(current) >= 0 && Number(behind) >= 0;
}

/** Times and fill levels change all the time; what is held and why not is what others wait for. */
function differs(before: string | null, after: KeptStatus): boolean {
  if (before === null) return true;
  const essence = ({ policy, dictionary, state, reason }: KeptStatus): string =>
    JSON.stringify([policy, dictionary, state, reason?.code, reason?.message]);
  return essence(JSON.parse(before) as KeptStatus) !== essence(after);
}
