/**
 * Purpose: the server's end of `/ingest/v1/channel`: who is connected below, and messages down to them.
 * Invariants: a message only hastens what a heartbeat or a conditional fetch finds anyway, so none is kept or repeated; pushes go
 * out in slices and liveness checks in thirty parts, so that ten thousand sockets never hold the event loop; a peer that is silent
 * for two rounds, floods, sends nonsense or does not read is cut off - it comes back by itself.
 */
import type { WebSocket } from "@fastify/websocket";
import { validateUpMessage, type Certificate, type DownMessage, type NodeKind } from "@daicho/protocol";
import { sparing, type Clock, type Log, type Timer } from "@daicho/kernel";

export interface Versions {
  /** Dictionary version for agents and relays. */
  readonly dictionary: number;
  /** Enterprise policy version for the servers below; it travels in the same field. */
  readonly enterprise: number;
}

export interface ChannelHub {
  accept(socket: WebSocket, node: Certificate): void;
  /** Tells everyone below which version there is now. */
  policyChanged(kinds: readonly NodeKind[]): void;
  /** These devices (ids of their identities) should send a full report; `code` as in a report's result. */
  needFull(identities: readonly string[], code?: string): void;
  /** These devices, or all, should scan now. Answers how many connections it went to. */
  scanNow(identities?: readonly string[]): number;
  /** Words for whoever sits before the devices below. Answers how many connections it went to. */
  message(text: string): number;
  isConnected(id: string): boolean;
  /** Ends the connections of these. */
  cut(those: (id: string) => boolean): void;
  /** Direct connections by kind. */
  counts(): Readonly<Record<NodeKind, number>>;
  /** Agents known to be connected here or at relays below. */
  presence(): number;
  close(): void;
}

interface Connection {
  readonly socket: WebSocket;
  readonly id: string;
  readonly kind: NodeKind;
  alive: boolean;
  messages: number;
  below: number;
}

const parts = 30;
const partMs = 1_000;
/** Socket and buffers: a peer that lets more than this pile up is not reading. */
const maxBuffered = 1024 * 1024;
const maxMessageBytes = 4096;
const maxMessagesPerRound = 300;
const sliceSize = 250;
const sliceMs = 20;
const maxDevicesPerMessage = 10_000;

export function createChannelHub(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly versions: () => Versions;
  readonly maxConnections?: number;
}): ChannelHub {
  const { clock } = deps;
  const { warn } = sparing(deps.log, clock);
  const maxConnections = deps.maxConnections ?? 20_000;
  const rounds: Set<Connection>[] = Array.from({ length: parts }, () => new Set());
  const byId = new Map<string, Set<Connection>>();
  const count: Record<NodeKind, number> = { agent: 0, relay: 0, server: 0 };
  let total = 0;
  let next = 0;
  let closed = false;
  let timer: Timer = clock.after(partMs, beat);

  /** One thirtieth of all connections each second. */
  function beat(): void {
    for (const connection of rounds[next % parts] ?? []) {
      if (!connection.alive || connection.messages > maxMessagesPerRound) {
        connection.socket.terminate();
        continue;
      }
      connection.alive = false;
      connection.messages = 0;
      connection.socket.ping();
    }
    next++;
    if (!closed) timer = clock.after(partMs, beat);
  }

  function send(connection: Connection, text: string): void {
    const { socket } = connection;
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > maxBuffered) return socket.terminate();
    socket.send(text, () => undefined);
  }

  const all = (kinds: readonly NodeKind[]): Connection[] =>
    rounds.flatMap((round) => [...round].filter((c) => kinds.includes(c.kind)));

  /** Relays and servers first: what they pass down takes longest. */
  function broadcast(kinds: readonly NodeKind[], textFor: (kind: NodeKind) => string): number {
    const order: readonly NodeKind[] = ["server", "relay", "agent"];
    const targets = all(kinds).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    const slice = (from: number): void => {
      for (const connection of targets.slice(from, from + sliceSize)) send(connection, textFor(connection.kind));
      if (from + sliceSize < targets.length && !closed) clock.after(sliceMs, () => slice(from + sliceSize));
    };
    slice(0);
    return targets.length;
  }

  /** To devices connected here directly; for the others to every relay, which knows its own. */
  function toDevices(identities: readonly string[], make: (devices: string[]) => DownMessage): number {
    const elsewhere: string[] = [];
    let reached = 0;
    for (const id of identities) {
      const direct = [...(byId.get(id) ?? [])].filter((c) => c.kind === "agent");
      if (direct.length === 0) elsewhere.push(id);
      for (const connection of direct) send(connection, encode(make([id])));
      reached += direct.length;
    }
    for (let at = 0; at < elsewhere.length; at += maxDevicesPerMessage) {
      const text = encode(make(elsewhere.slice(at, at + maxDevicesPerMessage)));
      reached += broadcast(["relay"], () => text);
    }
    return reached;
  }

  const versionFor = (kind: NodeKind): number => {
    const { dictionary, enterprise } = deps.versions();
    return kind === "server" ? enterprise : dictionary;
  };

  return {
    accept(socket, node) {
      // The newest counts: what came before is cut off or was never meant, and nobody may take the room of others.
      for (const earlier of byId.get(node.id) ?? []) earlier.socket.terminate();
      if (closed || total >= maxConnections) return socket.close(1013, "try again later");
      const connection: Connection = { socket, id: node.id, kind: node.kind, alive: true, messages: 0, below: 0 };
      const round = rounds[total % parts] as Set<Connection>;
      round.add(connection);
      const same = byId.get(node.id) ?? new Set();
      byId.set(node.id, same.add(connection));
      count[node.kind]++;
      total++;
      let ended = false;
      const end = (): void => {
        if (ended) return;
        ended = true;
        round.delete(connection);
        same.delete(connection);
        if (same.size === 0 && byId.get(node.id) === same) byId.delete(node.id);
        count[node.kind]--;
        total--;
      };
      socket.on("pong", () => (connection.alive = true));
      socket.on("ping", () => (connection.alive = true));
      socket.on("message", (data, binary) => {
        connection.alive = true;
        connection.messages++;
        const message = binary ? undefined : readMessage(data);
        if (message === undefined || node.kind !== "relay") {
          warn("channel-message-invalid", { node: node.id });
          return socket.close(1008, "not a message of this channel");
        }
        connection.below = message.agents;
      });
      socket.on("close", end);
      socket.on("error", () => socket.terminate());
      send(
        connection,
        encode({ type: "hello", time: new Date(clock.now()).toISOString(), dictionary: versionFor(node.kind) }),
      );
    },

    policyChanged(kinds) {
      broadcast(kinds, (kind) => encode({ type: "policy-changed", dictionary: versionFor(kind) }));
    },

    needFull(identities, code) {
      toDevices(identities, (devices) => ({ type: "need-full", devices, ...(code !== undefined && { code }) }));
    },

    scanNow(identities) {
      if (identities !== undefined) return toDevices(identities, (devices) => ({ type: "scan-now", devices }));
      const text = encode({ type: "scan-now" });
      return broadcast(["server", "relay", "agent"], () => text);
    },

    message(words) {
      const text = encode({ type: "message", text: words });
      return broadcast(["relay", "agent"], () => text);
    },

    isConnected: (id) => byId.has(id),
    cut(those) {
      for (const [id, connections] of byId) if (those(id)) for (const { socket } of connections) socket.terminate();
    },
    counts: () => ({ ...count }),
    presence: () => all(["relay"]).reduce((sum, c) => sum + c.below, count.agent),

    close() {
      closed = true;
      timer.cancel();
      for (const connection of all(["agent", "relay", "server"]))
        connection.socket.close(1001, "the server is stopping");
    },
  };
}

function encode(message: DownMessage): string {
  return JSON.stringify(message);
}

function readMessage(data: unknown): { readonly agents: number } | undefined {
  if (!Buffer.isBuffer(data) || data.length > maxMessageBytes) return undefined;
  try {
    const checked = validateUpMessage(JSON.parse(data.toString("utf8")));
    return checked.ok ? checked.value : undefined;
  } catch {
    return undefined;
  }
}
