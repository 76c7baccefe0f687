/**
 * Purpose: the channel's lower end: agents and relays below hold a WebSocket each; what comes down is passed on, who is connected is
 * counted upward. `ws` on the upgrade event itself: ten thousand connections are to fit in 250 MB, and each keeps nothing
 * but its socket.
 * Invariants: a connection belongs to a proven node; a later one of the same node replaces the earlier; one silent through
 * two pings is ended; one that does not drain is ended rather than buffered for. Messages may be lost: each only hastens
 * what a heartbeat or a conditional fetch finds anyway.
 */
import { STATUS_CODES, type IncomingMessage, type Server } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { DaichoError, type Clock, type Log, type Timer } from "@daicho/kernel";
import { validateUpMessage, type Certificate, type DownMessage } from "@daicho/protocol";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { relayErrors } from "../errors.ts";
import { callerOf, problemHeaders, problemOf } from "../http/app.ts";
import type { Authenticate } from "../http/authenticate.ts";

export interface Presence {
  readonly agents: number;
  readonly relays: number;
}

export interface Hub {
  readonly size: number;
  /** Connected here and, as far as relays below say, below them. */
  readonly presence: Presence;
  attach(server: Server | TlsServer): void;
  /** To everyone below. */
  broadcast(message: DownMessage): void;
  /** To those of the devices that are connected here, and to the relays below for the rest. */
  toDevices(devices: readonly string[], make: (devices: string[]) => DownMessage): void;
  /** Ends the connections of these. */
  cut(those: (id: string) => boolean): void;
  close(): Promise<void>;
}

export interface HubOptions {
  readonly authenticate: Authenticate;
  /** Said to everyone who connects. */
  readonly hello: () => DownMessage;
  readonly onPresence: () => void;
  readonly maxConnections: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly pingEveryMs?: number;
}

interface Connection {
  readonly id: string;
  readonly kind: Certificate["kind"];
  readonly socket: WebSocket;
  alive: boolean;
  below: Presence;
}

const path = "/ingest/v1/channel";
const maxMessageBytes = 4096;
const maxBufferedBytes = 256 * 1024;
const nobody: Presence = { agents: 0, relays: 0 };
/** Sending to ten thousand at once takes 0.1 s; others get their turn in between. */
const slice = 500;

export function createHub(options: HubOptions): Hub {
  const { authenticate, clock, log } = options;
  const pingEveryMs = options.pingEveryMs ?? 30_000;
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  });
  const connections = new Map<string, Connection>();
  let closed = false;
  let sweep: Timer | undefined;
  let round: Iterator<Connection> = connections.values();

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    let node: Certificate;
    try {
      if (request.url?.split("?")[0] !== path) throw relayErrors.make("route-not-found", { route: "of this upgrade" });
      node = authenticate(callerOf(request.headers), ["agent", "relay"]);
      if (closed || (connections.size >= options.maxConnections && !connections.has(node.id)))
        throw relayErrors.make(
          "overloaded",
          { reason: "connections" },
          { retryAfter: 30 + Math.floor(options.random() * 90) },
        );
    } catch (error) {
      if (!(error instanceof DaichoError)) throw error;
      return decline(socket, error);
    }
    sockets.handleUpgrade(request, socket, head, (accepted) => join(accepted, node));
  }

  function decline(socket: Duplex, error: DaichoError): void {
    const body = JSON.stringify(problemOf(error, options.now()));
    const headers = { ...problemHeaders(error), connection: "close", "content-length": Buffer.byteLength(body) };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
  }

  function join(socket: WebSocket, { id, kind }: Certificate): void {
    const connection: Connection = { id, kind, socket, alive: true, below: nobody };
    const earlier = connections.get(id)?.socket;
    earlier?.close(4001, "replaced");
    // Whoever does not answer that must not pile up sockets.
    if (earlier !== undefined) clock.after(1000, () => earlier.terminate());
    connections.set(id, connection);
    socket.on("pong", () => (connection.alive = true));
    socket.on("message", (data, binary) => heard(connection, data, binary));
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      if (connections.get(id) !== connection) return;
      connections.delete(id);
      options.onPresence();
    });
    send(connection, Buffer.from(JSON.stringify(options.hello())));
    options.onPresence();
  }

  function heard(connection: Connection, data: RawData, binary: boolean): void {
    connection.alive = true;
    // An agent has nothing to say here; whoever talks all the time is kept off the loop.
    if (connection.kind !== "relay") return connection.socket.close(1008, "not a message of this channel");
    if (binary) return;
    let value: unknown;
    try {
      value = JSON.parse(String(data));
    } catch {
      return;
    }
    const checked = validateUpMessage(value);
    if (!checked.ok) return;
    connection.below = { agents: checked.value.agents, relays: checked.value.relays };
    options.onPresence();
  }

  function send(connection: Connection, text: Buffer): void {
    const { socket } = connection;
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > maxBufferedBytes) {
      log.warn("channel-does-not-drain", { node: connection.id });
      return socket.terminate();
    }
    socket.send(text, { binary: false }, () => undefined);
  }

  async function sendToAll(to: Iterable<Connection>, message: DownMessage): Promise<void> {
    const text = Buffer.from(JSON.stringify(message));
    let count = 0;
    for (const connection of to) {
      send(connection, text);
      if (++count % slice === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Each second pings its share of the connections, so that a whole round takes `pingEveryMs`. */
  function pingSome(): void {
    if (closed) return;
    const share = Math.ceil((connections.size * 1000) / pingEveryMs);
    for (let i = 0; i < share; i++) {
      let next = round.next();
      if (next.done === true) {
        round = connections.values();
        next = round.next();
        if (next.done === true) break;
      }
      const connection = next.value;
      if (!connection.alive) {
        connection.socket.terminate();
        continue;
      }
      connection.alive = false;
      if (connection.socket.readyState === connection.socket.OPEN) connection.socket.ping();
    }
    sweep = clock.after(1000, pingSome);
  }
  sweep = clock.after(1000, pingSome);

  return {
    get size() {
      return connections.size;
    },
    get presence() {
      let agents = 0;
      let relays = 0;
      for (const { kind, below } of connections.values()) {
        agents += below.agents + (kind === "agent" ? 1 : 0);
        relays += below.relays + (kind === "relay" ? 1 : 0);
      }
      return { agents, relays };
    },
    attach(server) {
      server.on("upgrade", upgrade);
    },
    broadcast: (message) => void sendToAll([...connections.values()], message),
    toDevices(devices, make) {
      const elsewhere: string[] = [];
      for (const device of devices) {
        const connection = connections.get(device);
        if (connection === undefined) elsewhere.push(device);
        else send(connection, Buffer.from(JSON.stringify(make([device]))));
      }
      if (elsewhere.length === 0) return;
      const relays = [...connections.values()].filter((connection) => connection.kind === "relay");
      void sendToAll(relays, make(elsewhere));
    },
    cut(those) {
      for (const [id, { socket }] of connections) if (those(id)) socket.terminate();
    },
    async close() {
      closed = true;
      sweep?.cancel();
      sockets.close();
      const open = [...connections.values()].map(({ socket }) => socket);
      const ended = open.map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())));
      for (const socket of open) socket.close(1001);
      // Peers that do not answer the close must not hold up the end of the process.
      const limit = setTimeout(() => open.forEach((socket) => socket.terminate()), 500);
      await Promise.all(ended);
      clearTimeout(limit);
    },
  };
}
