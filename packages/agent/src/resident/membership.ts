/**
 * Purpose: this agent's place in its company: identity, enrollment, the uplink that follows from it, and the dictionary that its
 * root vouches for. Nothing here knows about reports.
 */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { readTls, type Clock, type Log } from "@daicho/kernel";
import type { MachineEvidence } from "@daicho/protocol";
import {
  createUplink,
  enroll,
  openIdentity,
  setIdentityAside,
  uplinkErrors,
  type Identity,
  type Uplink,
} from "@daicho/uplink";
import type { AgentConfig } from "./config.ts";
import { openDictionary, type DictionaryHolder } from "./dictionary.ts";

export interface Membership {
  readonly identity: Identity;
  /** undefined while not enrolled. */
  readonly uplink: Uplink | undefined;
  readonly dictionary: DictionaryHolder;
  /** Id of the pinned root. */
  readonly root: string | undefined;
  /**
   * Does nothing when enrolled. @throws token-missing and what enroll throws; `retryable` tells whether waiting can help
   */
  enroll(evidence: MachineEvidence, signal?: AbortSignal): Promise<void>;
  /** Another machine uses this key: puts it aside and goes on as a new node, not enrolled. */
  replaceIdentity(): Promise<void>;
  close(): Promise<void>;
}

export async function openMembership(options: {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}): Promise<Membership> {
  const { config, clock, log } = options;
  const dir = config.data;
  const transport = {
    upstreams: config.upstream,
    tls: readTls(config.tls),
    clock,
    log,
    random: options.random,
    connections: 1,
  };
  let identity = await openIdentity({ dir });
  let dictionary = await openDictionary({ dir, root: identity.enrollment?.root, log });
  let uplink = identity.enrollment === undefined ? undefined : createUplink({ ...transport, identity });

  /** Read anew each time: the token may be put there after the agent was started. */
  async function token(): Promise<string | undefined> {
    if (config.enrollmentTokenFile === undefined) return config.enrollmentToken;
    const text = await readFile(config.enrollmentTokenFile, "utf8").catch(() => undefined);
    return text?.trim() ?? config.enrollmentToken;
  }

  return {
    get identity() {
      return identity;
    },
    get uplink() {
      return uplink;
    },
    get dictionary() {
      return dictionary;
    },
    get root() {
      return identity.enrollment?.root.keys[0]?.id;
    },
    async enroll(evidence, signal) {
      if (uplink !== undefined) return;
      const secret = await token();
      if (secret === undefined || secret === "") throw uplinkErrors.make("token-missing");
      const { clockOffset } = await enroll({
        ...transport,
        token: secret,
        kind: "agent",
        identity,
        evidence,
        name: evidence.hostname ?? (hostname().slice(0, 255) || "unnamed"),
        ...(signal && { signal }),
      });
      uplink = createUplink({ ...transport, identity, clockOffset });
      // One that is on the disk already counts if this root vouches for it.
      dictionary = await openDictionary({ dir, root: identity.enrollment?.root, log });
      log.info("agent-enrolled", { device: identity.id });
    },
    async replaceIdentity() {
      const old = uplink;
      uplink = undefined;
      await old?.close();
      await setIdentityAside({ dir, now: clock.now() });
      identity = await openIdentity({ dir });
      log.warn("agent-identity-replaced", { device: identity.id });
    },
    close: async () => uplink?.close(),
  };
}
