/**
 * Purpose: something between two nodes that can look into, alter, swallow and cut what passes. What it does not touch passes
 * untouched, WebSockets included; so whoever is behind it sees a real node.
 */
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { gunzipSync } from "node:zlib";
import { packBatch, protocolHeader, unpackBatch } from "@daicho/protocol";
import { freePort } from "./processes.ts";

export interface Between {
  readonly url: string;
  /** What becomes of a request's body (unpacked); undefined = as it was. */
  alterRequest: ((path: string, body: Buffer) => Buffer | undefined) | undefined;
  /** What becomes of an answer's body (unpacked). */
  alterAnswer: ((path: string, body: Buffer) => Buffer | undefined) | undefined;
  /** Answers in place of the node above, which never hears of it. */
  swallow: ((path: string, body: Buffer) => object | undefined) | undefined;
  /** The protocol version that each side is told the other speaks. */
  version: string | undefined;
  /** Nobody gets through. */
  away: boolean;
  close(): Promise<void>;
}

export async function createBetween(target: string): Promise<Between> {
  const to = new URL(target);
  const port = await freePort();
  const sockets = new Set<Socket>();
  const between: Between = {
    url: `http://127.0.0.1:${port}`,
    alterRequest: undefined,
    alterAnswer: undefined,
    swallow: undefined,
    version: undefined,
    away: false,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };

  const server = createServer((asked, answer) => {
    void (async () => {
      const path = asked.url ?? "/";
      if (between.away) return void asked.socket.destroy();
      const raw = await read(asked);
      const headers: IncomingHttpHeaders = { ...asked.headers, host: to.host };
      if (between.version !== undefined) headers[protocolHeader] = between.version;
      // Altered answers must be plain.
      if (between.alterAnswer !== undefined) delete headers["accept-encoding"];
      let body = raw;
      const plain = headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
      const answered = between.swallow?.(path, plain);
      if (answered !== undefined)
        return void answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answered));
      const altered = between.alterRequest?.(path, plain);
      if (altered !== undefined) {
        body = altered;
        delete headers["content-encoding"];
      }
      delete headers["transfer-encoding"];
      if (body.length > 0) headers["content-length"] = String(body.length);
      const passed = httpRequest({ host: to.hostname, port: to.port, path, method: asked.method ?? "GET", headers });
      passed.once("error", () => answer.destroy());
      passed.once("response", (given) => {
        void read(given).then(
          (bytes) => {
            const out = given.statusCode === 200 ? (between.alterAnswer?.(path, bytes) ?? bytes) : bytes;
            const givenHeaders = { ...given.headers };
            if (between.version !== undefined) givenHeaders[protocolHeader] = between.version;
            delete givenHeaders["transfer-encoding"];
            if (out.length > 0) givenHeaders["content-length"] = String(out.length);
            answer.writeHead(given.statusCode ?? 502, givenHeaders).end(out);
          },
          () => answer.destroy(),
        );
      });
      passed.end(body);
    })().catch(() => answer.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  server.on("upgrade", (asked, socket: Socket, head: Buffer) => {
    if (between.away) return void socket.destroy();
    const up = connect(Number(to.port), to.hostname, () => {
      const lines = [`GET ${asked.url ?? "/"} HTTP/1.1`];
      for (let i = 0; i + 1 < asked.rawHeaders.length; i += 2)
        if (between.version === undefined || asked.rawHeaders[i]?.toLowerCase() !== protocolHeader)
          lines.push(`${asked.rawHeaders[i]}: ${asked.rawHeaders[i + 1]}`);
      if (between.version !== undefined) lines.push(`${protocolHeader}: ${between.version}`);
      up.write(`${lines.join("\r\n")}\r\n\r\n`);
      up.write(head);
      socket.pipe(up).pipe(socket);
    });
    sockets.add(up);
    up.on("error", () => socket.destroy());
    up.once("close", () => {
      sockets.delete(up);
      socket.destroy();
    });
    socket.once("close", () => up.destroy());
    socket.on("error", () => up.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return between;
}

async function read(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** For `alterRequest`: a change to every envelope on its way up. */
export function alteringReports(
  change: (envelope: Buffer) => Buffer,
): (path: string, body: Buffer) => Buffer | undefined {
  return (path, body) => {
    if (path !== "/ingest/v1/reports") return undefined;
    return packBatch((unpackBatch(body) ?? []).map((envelope) => change(Buffer.from(envelope))));
  };
}

/** For `swallow`: answers `stored` to every report and keeps it to itself. */
export function swallowingReports(kept: Buffer[]): (path: string, body: Buffer) => object | undefined {
  return (path, body) => {
    if (path !== "/ingest/v1/reports") return undefined;
    const envelopes = (unpackBatch(body) ?? []).map((envelope) => Buffer.from(envelope));
    kept.push(...envelopes);
    return { results: envelopes.map(() => ({ status: "stored" })), time: new Date().toISOString() };
  };
}

/** One bit of what was found. */
export function flipBody(envelope: Buffer): Buffer {
  const last = envelope.length - 1;
  envelope.writeUInt8(envelope.readUInt8(last) ^ 1, last);
  return envelope;
}

/** A number in the header; everything still reads well. */
export function alterHeader(envelope: Buffer): Buffer {
  const at = envelope.indexOf('"dictionary":') + '"dictionary":'.length;
  envelope.write(envelope.toString("latin1", at, at + 1) === "9" ? "8" : "9", at, "latin1");
  return envelope;
}

/** For `alterAnswer`: one letter of the signed dictionary. */
export function alterDictionary(path: string, body: Buffer): Buffer | undefined {
  if (path !== "/ingest/v1/dictionary") return undefined;
  return Buffer.from(body.toString("utf8").replace("Product 1", "Product I"));
}
