/**
 * Purpose: the WebSocket to the node above. Every message on it only hastens what a heartbeat or a conditional fetch finds anyway,
 * so losing it costs time and nothing else; being connected is the presence a node announces.
 * Invariants: never throws into the process; reconnects for ever with full jitter, obeying Retry-After; a peer that is silent
 * through two pings is gone; follows the uplink when that moves to another upstream, and a channel that had to begin with another
 * one than requests go to tries theirs again after a while. Malformed messages are dropped.
 */
import type { IncomingMessage } from "node:http";
import { systemClock, type Clock, type Log, type Timer } from "@daicho/kernel";
import {
  protocolHeader,
  protocolVersion,
  validateDownMessage,
  type DownMessage,
  type UpMessage,
} from "@daicho/protocol";
import { WebSocket } from "ws";
import { parseRetryAfter, problemOf } from "./transport.ts";
import type { Uplink } from "./uplink.ts";
import { fullJitter, waitAsAsked, type BackoffOptions } from "./upstreams.ts";

export interface ChannelOptions {
  readonly uplink: Pick<Uplink, "upstream" | "upstreams" | "tls" | "authorization" | "learnTime">;
  readonly onMessage: (message: DownMessage) => void;
  /** Called when the channel opens and when it closes. */
  readonly onState?: (connected: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** Default 30 s. */
  readonly pingEveryMs?: number;
}

export interface Channel {
  readonly connected: boolean;
  /** The node it is connected to. */
  readonly upstream: string | undefined;
  /** False = not connected; the message is not kept. */
  send(message: UpMessage): boolean;
  close(): Promise<void>;
}

const defaultBackoff: BackoffOptions = { baseMs: 2_000, capMs: 120_000 };
const maxMessageBytes = 1024 * 1024;
const returnAfterMs = 10 * 60_000;

/** Starts connecting at once. */
export function createChannel(options: ChannelOptions): Channel {
  const { uplink, clock, log } = options;
  const random = options.random ?? Math.random;
  const backoff = options.backoff ?? defaultBackoff;
  const pingEveryMs = options.pingEveryMs ?? 30_000;
  let socket: WebSocket | undefined;
  let connectedTo: string | undefined;
  let timer: Timer | undefined;
  let failures = 0;
  /** Attempts since a channel was open. */
  let attempts = 0;
  let closed = false;

  function connect(): void {
    if (closed) return;
    // The upstream that requests go to first; when it has no channel for us, the others in turn.
    const urls = [uplink.upstream, ...uplink.upstreams.list.map((u) => u.url).filter((url) => url !== uplink.upstream)];
    const url = urls[attempts++ % urls.length] ?? uplink.upstream;
    let preferred = uplink.upstream;
    let retryAfterMs: number | undefined;
    let returnAt = Infinity;
    let alive = true;
    let ended = false;
    let ws: WebSocket;
    try {
      ws = new WebSocket(`${url.replace(/^http/, "ws")}/ingest/v1/channel`, {
        headers: { authorization: uplink.authorization(), [protocolHeader]: protocolVersion },
        ...uplink.tls,
        handshakeTimeout: 15_000,
        maxPayload: maxMessageBytes,
        perMessageDeflate: false,
        followRedirects: false,
      });
    } catch (error) {
      log.warn("channel-failed", { upstream: url, code: codeOf(error) });
      again(undefined);
      return;
    }
    socket = ws;

    function end(code: string): void {
      if (ended) return;
      ended = true;
      const wasOpen = connectedTo !== undefined && socket === ws;
      socket = undefined;
      connectedTo = undefined;
      timer?.cancel();
      ws.terminate();
      if (wasOpen) {
        log.info("channel-closed", { upstream: url, code });
        notify(false);
      } else log.debug("channel-failed", { upstream: url, code });
      again(retryAfterMs);
    }

    function ping(): void {
      if (ended) return;
      const moved = uplink.upstream !== url && (uplink.upstream !== preferred || clock.now() >= returnAt);
      preferred = uplink.upstream;
      if (!alive || moved) return end(moved ? "upstream-moved" : "silent");
      alive = false;
      ws.ping();
      timer = clock.after(pingEveryMs, ping);
    }

    ws.on("open", () => {
      failures = 0;
      attempts = 0;
      returnAt = clock.now() + returnAfterMs * (0.5 + random());
      connectedTo = url;
      uplink.upstreams.reached();
      log.info("channel-open", { upstream: url });
      timer = clock.after(pingEveryMs * (0.5 + random() / 2), ping);
      notify(true);
    });
    ws.on("message", (data, binary) => {
      alive = true;
      const message = binary ? undefined : parseMessage(data);
      if (message === undefined) return log.warn("channel-message-invalid", { upstream: url });
      if (message.type === "hello") uplink.learnTime(message.time);
      try {
        options.onMessage(message);
      } catch (error) {
        log.error("channel-message-failed", { type: message.type, code: codeOf(error) });
      }
    });
    ws.on("pong", () => (alive = true));
    ws.on("ping", () => (alive = true));
    ws.on("close", (code) => end(String(code)));
    ws.on("error", (error) => end(codeOf(error)));
    ws.on("unexpected-response", (_request, response: IncomingMessage) => {
      retryAfterMs = parseRetryAfter(response.headers["retry-after"], clock.now());
      readProblem(response, (problem) => {
        if (problem.code === "clock-skew") uplink.learnTime(problem.time);
        end(problem.code);
      });
    });
  }

  function again(retryAfterMs: number | undefined): void {
    if (closed) return;
    const wait = fullJitter(failures, backoff, random);
    failures++;
    timer = clock.after(Math.max(wait, waitAsAsked(retryAfterMs ?? 0, random)), connect);
  }

  function notify(connected: boolean): void {
    try {
      options.onState?.(connected);
    } catch (error) {
      log.error("channel-message-failed", { code: codeOf(error) });
    }
  }

  connect();
  return {
    get connected() {
      return connectedTo !== undefined;
    },
    get upstream() {
      return connectedTo;
    },
    send(message) {
      if (connectedTo === undefined || socket?.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(message), () => undefined);
      return true;
    },
    async close() {
      closed = true;
      timer?.cancel();
      const ws = socket;
      if (ws === undefined || ws.readyState === WebSocket.CLOSED) return;
      await new Promise<void>((resolve) => {
        // A peer that does not answer the close must not hold up the end of the process.
        const limit = systemClock.after(1_000, () => ws.terminate());
        ws.once("close", () => {
          limit.cancel();
          resolve();
        });
        ws.close(1001);
      });
    },
  };
}

function parseMessage(data: unknown): DownMessage | undefined {
  try {
    const checked = validateDownMessage(JSON.parse(String(data)));
    return checked.ok ? checked.value : undefined;
  } catch {
    return undefined;
  }
}

function readProblem(response: IncomingMessage, done: (problem: ReturnType<typeof problemOf>) => void): void {
  const parts: Buffer[] = [];
  let length = 0;
  let finished = false;
  const finish = (): void => {
    if (finished) return;
    finished = true;
    response.destroy();
    const type = response.headers["content-type"];
    done(
      problemOf({
        status: response.statusCode ?? 0,
        headers: type === undefined ? {} : { "content-type": type },
        body: Buffer.concat(parts),
      }),
    );
  };
  response.on("data", (part: Buffer) => {
    length += part.length;
    if (length > 65_536) finish();
    else parts.push(part);
  });
  response.on("end", finish);
  response.on("error", finish);
  response.on("close", finish);
  systemClock.after(5_000, finish);
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code.slice(0, 64) : "unknown";
}
