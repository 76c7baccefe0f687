/**
 * Purpose: what the nodes below say about themselves, merged with this relay's own status, passed upward: on change within a
 * second, and every minute.
 * Invariants: what a node says of itself outranks what another says of it; a node's own status comes first in each report; only
 * what changed goes up, everything again when the node above is another one or has come back. Bounded: agents appear only
 * while something failed.
 */
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Certificate, NodeStatus } from "@daicho/protocol";
import type { Uplink } from "@daicho/uplink";

export interface StatusBoard {
  readonly size: number;
  /** A report from the node with this certificate. */
  take(sender: Certificate, nodes: readonly NodeStatus[]): void;
  /** This relay's own status has changed. */
  changed(): void;
  /** The node above may know nothing of what was said before. */
  sayAgain(): void;
  stop(): void;
}

export interface StatusBoardOptions {
  readonly own: () => NodeStatus;
  readonly uplink: Pick<Uplink, "postStatus">;
  /** The nodes above have removed these. */
  readonly onRemoved: (ids: readonly string[]) => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Entry {
  readonly status: NodeStatus;
  /** Said by the node itself. */
  readonly firstHand: boolean;
  readonly heardAt: number;
  readonly unsaid: boolean;
}

const soonMs = 500;
const everyMs = 60_000;
const maxNodes = 20_000;
const maxPerReport = 5_000;
const forgetAfterMs = 24 * 3_600_000;

export function createStatusBoard(options: StatusBoardOptions): StatusBoard {
  const { own, uplink, clock, log } = options;
  const entries = new Map<string, Entry>();
  let soon: Timer | undefined;
  let minute: Timer | undefined;
  let posting = false;
  let stopped = false;

  function take(sender: Certificate, nodes: readonly NodeStatus[]): void {
    const me = own().id;
    for (const node of nodes) {
      const firstHand = node.id === sender.id;
      const known = entries.get(node.id);
      if (node.id === me || (!firstHand && known?.firstHand === true && clock.now() - known.heardAt < 10 * everyMs))
        continue;
      const status: NodeStatus = firstHand
        ? { ...node, kind: sender.kind, name: sender.name, company: sender.company, parent: me }
        : { ...node, parent: node.parent ?? sender.id };
      entries.delete(node.id);
      entries.set(node.id, { status, firstHand, heardAt: clock.now(), unsaid: true });
      if (known === undefined || isNews(known.status, status)) sayer();
    }
    for (const id of entries.keys()) {
      if (entries.size <= maxNodes) break;
      entries.delete(id);
    }
  }

  /** At most one report every `soonMs`, however much happens. */
  function sayer(): void {
    if (stopped) return;
    soon ??= clock.after(soonMs, () => {
      soon = undefined;
      void say();
    });
  }

  async function say(): Promise<void> {
    if (stopped) return;
    if (posting) return sayer();
    posting = true;
    try {
      const now = clock.now();
      for (const [id, entry] of entries) if (now - entry.heardAt > forgetAfterMs) entries.delete(id);
      const unsaid = [...entries.values()].filter((entry) => entry.unsaid).slice(0, maxPerReport);
      const result = await uplink.postStatus([own(), ...unsaid.map((entry) => entry.status)]);
      if (result.kind === "ok") {
        settle(unsaid);
        if (result.value.removed !== undefined) options.onRemoved(result.value.removed);
      } else log.debug("status-not-passed", { code: result.kind === "retry" ? result.code : result.problem.code });
      if (result.kind === "ok" && unsaid.length === maxPerReport) sayer();
    } catch (error) {
      log.warn("status-not-passed", { code: String(error).slice(0, 200) });
    } finally {
      posting = false;
    }
  }

  function settle(said: readonly Entry[]): void {
    for (const entry of said) {
      const { id, kind, state } = entry.status;
      // Something newer may have come meanwhile.
      if (entries.get(id) !== entry) continue;
      if (kind === "agent" && state !== "failed") entries.delete(id);
      else entries.set(id, { ...entry, unsaid: false });
    }
  }

  function everyMinute(): void {
    if (stopped) return;
    minute = clock.after(everyMs, everyMinute);
    void say();
  }
  minute = clock.after(everyMs, everyMinute);

  return {
    get size() {
      return entries.size;
    },
    take,
    changed: sayer,
    sayAgain() {
      for (const [id, entry] of entries) entries.set(id, { ...entry, unsaid: true });
      sayer();
    },
    stop() {
      stopped = true;
      soon?.cancel();
      minute?.cancel();
    },
  };
}

/** Counts and times can wait for the minute. */
function isNews(before: NodeStatus, after: NodeStatus): boolean {
  const key = ({ dictionary, policy, state, reason, parent, program }: NodeStatus): string =>
    JSON.stringify([dictionary, policy, state, reason, parent, program]);
  return key(before) !== key(after);
}
