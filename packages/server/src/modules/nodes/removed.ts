/**
 * Purpose: nodes and devices that an administrator removed (`DELETE /api/v1/nodes/{id}`). Their certificates have no end, so they are refused by
 * name: here at every route, at relays by the list that answers their status (ADR 4).
 * Invariants: every request asks, so the list is in memory; it is read again whenever this server or another one of the database changes it.
 */
import type { Database } from "../../db/database.ts";
import type { Servers } from "../../db/servers.ts";
import { nodeStore } from "./store.ts";

export interface Removed {
  has(id: string): boolean;
  /** For relays: those removed last, as many as an answer carries. */
  readonly ids: readonly string[];
  /** The table has changed. */
  changed(): Promise<void>;
  /** Calls whenever the list was read anew. */
  watch(listener: () => void): void;
  stop(): void;
}

/** What a relay is told: more than this, and those removed first have long had their tokens and devices taken away. */
export const maxRemovedTold = 10_000;

export async function createRemoved(deps: {
  readonly db: Database;
  readonly servers: Pick<Servers, "tell" | "hear">;
}): Promise<Removed> {
  const listeners: (() => void)[] = [];
  let all: ReadonlySet<string> = new Set();
  const read = async (): Promise<void> => {
    all = new Set((await deps.db.latest((from) => nodeStore.removed(from))).map((row) => row.id));
    for (const listener of listeners) listener();
  };
  // A server whose database is away for a moment reads again when it is back: `missed`.
  const again = (): void => void read().catch(() => undefined);
  const off = [deps.servers.hear("nodes-removed", again), deps.servers.hear("missed", again)];
  await read();
  return {
    has: (id) => all.has(id),
    get ids() {
      return [...all].slice(-maxRemovedTold);
    },
    async changed() {
      await read();
      deps.servers.tell("nodes-removed", {});
    },
    watch: (listener) => void listeners.push(listener),
    stop() {
      for (const end of off) end();
    },
  };
}
