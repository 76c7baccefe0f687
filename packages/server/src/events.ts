/**
 * Purpose: what modules tell each other after a commit. Every event only hastens what a schedule or a reader would find anyway,
 * so a lost one costs time, never truth.
 */
import { EventEmitter } from "node:events";
import type { Log } from "@daicho/kernel";

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

export function createEvents(log: Log): Events {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(100);
  return {
    on(name, listener) {
      const guarded = (event: unknown): void => {
        try {
          listener(event as never);
        } catch (error) {
          log.error("event-listener-failed", { name, reason: error instanceof Error ? error.message : "unknown" });
        }
      };
      emitter.on(name, guarded);
      return () => emitter.off(name, guarded);
    },
    emit: (name, event) => void emitter.emit(name, event),
  };
}
