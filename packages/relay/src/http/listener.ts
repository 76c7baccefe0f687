/**
 * Purpose: the listening socket, from the first moment: health is answered while the relay still enrols, everything else is told to
 * come back. Once the relay is ready its own handler takes over on the same socket.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TlsMaterial } from "@daicho/kernel";
import { relayErrors } from "../errors.ts";
import { problemHeaders, problemOf } from "./app.ts";

export interface Listener {
  readonly server: Server | TlsServer;
  /** @throws listen-failed */
  listen(): Promise<{ readonly url: string }>;
  serve(handler: (request: IncomingMessage, response: ServerResponse) => void): void;
  /** Takes no more; gives requests under way a moment to end. */
  close(): Promise<void>;
}

export function createListener(options: {
  readonly listen: string;
  readonly tls: TlsMaterial | undefined;
  readonly now: () => number;
  /** Why everything is told to come back, until `serve`. */
  readonly waitingFor: () => string;
}): Listener {
  const { listen, tls } = options;
  let handler = waitingRoom;
  const handle = (request: IncomingMessage, response: ServerResponse): void => handler(request, response);
  const secure = tls?.cert !== undefined && tls.key !== undefined;
  const server = secure ? createTlsServer({ cert: tls.cert, key: tls.key }, handle) : createServer(handle);
  // Node's 5 s would close the sockets of senders that come every few seconds (stack.md).
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 30_000;
  server.requestTimeout = 120_000;

  function waitingRoom(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === "/healthz")
      return void response.writeHead(200, { "content-type": "text/plain" }).end("alive\n");
    const error = relayErrors.make("starting", { reason: options.waitingFor() }, { retryAfter: 10 });
    response.writeHead(error.status, problemHeaders(error)).end(JSON.stringify(problemOf(error, options.now())));
  }

  return {
    server,
    async listen() {
      const at = listen.lastIndexOf(":");
      const host = listen.slice(0, at).replace(/^\[|\]$/g, "");
      await new Promise<void>((resolve, reject) => {
        server.once("error", (error: NodeJS.ErrnoException) =>
          reject(relayErrors.make("listen-failed", { listen, reason: error.code ?? "unknown" }, { cause: error })),
        );
        server.listen({ host, port: Number(listen.slice(at + 1)), backlog: 4096 }, resolve);
      });
      const { address, family, port } = server.address() as AddressInfo;
      return { url: `${secure ? "https" : "http"}://${family === "IPv6" ? `[${address}]` : address}:${port}` };
    },
    serve(next) {
      handler = next;
    },
    async close() {
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const limit = setTimeout(() => server.closeAllConnections(), 2_000);
      await closed;
      clearTimeout(limit);
    },
  };
}
