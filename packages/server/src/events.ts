/**
 * Purpose: what modules tell each other after a commit. Every event only hastens what a schedule or a reader would find anyway,
 * so a lost one costs time, never truth.
 */
import { EventEmitter } from "node:events";
import type { Clock, Log, Timer } from "@daicho/kernel";
import type { Servers } from "./db/servers.ts";

export interface ServerEvents {
  /** A dictionary of this version is current now. */
  "dictionary-changed": { readonly version: number };
  /** An enterprise policy of this version is the newest known; what servers below fetch has changed. */
  "enterprise-changed": { readonly version: number };
  /** Used, rights or entitlements changed; positions read from now on differ. */
  "positions-changed": Record<string, never>;
  /** Devices were assigned anew or changed state. */
  "devices-changed": Record<string, never>;
  /** A node's distribution status changed. */
  "status-changed": Record<string, never>;
}

export interface Events {
  on<K extends keyof ServerEvents>(name: K, listener: (event: ServerEvents[K]) => void): () => void;
  emit<K extends keyof ServerEvents>(name: K, event: ServerEvents[K]): void;
}

const shared = ["positions-changed", "status-changed"] as const;
const shareMs = 250;

/** Whoever is on duty hears what happens at other servers of the database: it forwards it to the group. */
export function shareEvents(deps: {
  readonly events: Events;
  readonly servers: Pick<Servers, "onDuty" | "tell" | "hear">;
  readonly clock: Clock;
}): () => void {
  const { events, servers, clock } = deps;
  const soon = new Map<string, Timer>();
  let hearing = false;
  const hear = (name: (typeof shared)[number]): void => {
    hearing = true;
    events.emit(name, {});
    hearing = false;
  };
  const ends = shared.map((name) =>
    events.on(name, () => {
      if (hearing || servers.onDuty || soon.has(name)) return;
      const tell = (): void => {
        soon.delete(name);
        servers.tell("event", { name });
      };
      soon.set(name, clock.after(shareMs, tell));
    }),
  );
  ends.push(
    servers.hear("event", ({ name }) => hear(name)),
    servers.hear("missed", () => shared.forEach(hear)),
  );
  return () => {
    for (const end of ends) end();
    for (const timer of soon.values()) timer.cancel();
  };
}

export function createEvents(log: Log): Events {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(100);
  return {
    on(name, listener) {
      const guarded = (event: unknown): void => {
        try {
          listener(event as never);
        } catch (error) {
          log.error("event-listener-failed", {
            about: name,
            reason: error instanceof Error ? error.message : "unknown",
          });
        }
      };
      emitter.on(name, guarded);
      return () => emitter.off(name, guarded);
    },
    emit: (name, event) => void emitter.emit(name, event),
  };
}
