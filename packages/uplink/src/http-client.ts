/**
 * Purpose: one HTTP exchange over kept connections. Node's own client: a resident agent has no room for a larger one
 * (undici costs 12 MB of memory more, measured).
 * Invariants: an answer is never read beyond its bound, packed or not; every silence has a time limit; redirects are not followed.
 * A kept connection that the peer closed while it lay idle costs one silent second try - every request here may be sent twice.
 */
import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { TlsMaterial } from "@daicho/kernel";

export interface HttpClientOptions {
  readonly tls: TlsMaterial | undefined;
  /** Connections kept to one peer. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** Longest silence while waiting for an answer. */
  readonly answerTimeoutMs: number;
}

export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal | undefined;
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface HttpClient {
  /** Rejects with an error whose `code` says why there is no answer. */
  exchange(request: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

/** Shorter than what servers keep open, where they give no hint of their own. */
const idleMs = 30_000;
const unzip = promisify(gunzip);

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const pool = { keepAlive: true, maxSockets: options.connections, timeout: idleMs };
  const agents = { http: new http.Agent(pool), https: new https.Agent({ ...pool, ...options.tls }) };
  if (process.platform === "win32") for (const agent of Object.values(agents)) withoutTcpKeepAlive(agent);
  let closed = false;

  function once(request: HttpRequest): Promise<HttpAnswer & { readonly reused: boolean }> {
    return new Promise((resolve, reject) => {
      const secure = request.url.startsWith("https:");
      const outgoing = (secure ? https : http).request(request.url, {
        method: request.method,
        agent: secure ? agents.https : agents.http,
        headers: {
          ...request.headers,
          ...(request.body !== undefined && { "content-length": String(request.body.length) }),
        },
        ...(request.signal && { signal: request.signal }),
      });
      const silent = (): void => void outgoing.destroy(withCode("ETIMEDOUT"));
      const connecting = setTimeout(silent, options.connectTimeoutMs);
      outgoing.on("socket", (socket: Socket) => {
        const connected = (): void => clearTimeout(connecting);
        if (!socket.connecting) connected();
        else socket.once(secure ? "secureConnect" : "connect", connected);
      });
      outgoing.setTimeout(options.answerTimeoutMs, silent);
      outgoing.on("close", () => clearTimeout(connecting));
      outgoing.on("error", (error) => reject(Object.assign(error, { reused: outgoing.reusedSocket })));
      outgoing.on("response", (response) => {
        readBody(response, request.maxBytes).then(
          (body) =>
            resolve({ status: response.statusCode ?? 0, headers: flatten(response.headers), body, reused: false }),
          reject,
        );
      });
      outgoing.end(request.body);
    });
  }

  return {
    async exchange(request) {
      const answer = await once(request).catch((error: NodeJS.ErrnoException & { reused?: boolean }) => {
        const stale = error.reused === true && (error.code === "ECONNRESET" || error.code === "EPIPE");
        if (closed || !stale) throw error;
        return once(request);
      });
      if (answer.headers["content-encoding"] !== "gzip") return answer;
      return { ...answer, body: await unzip(answer.body, { maxOutputLength: request.maxBytes }) };
    },
    close() {
      closed = true;
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

async function readBody(response: http.IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > limit) {
      response.destroy();
      throw withCode("answer-too-large");
    }
    parts.push(part);
  }
  if (!response.complete) throw withCode("ECONNRESET");
  return Buffer.concat(parts, length);
}

function flatten(headers: http.IncomingHttpHeaders): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  return flat;
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** TCP keep-alive cannot be switched on under wine; requests have time limits of their own. */
function withoutTcpKeepAlive(agent: http.Agent): void {
  Object.assign((agent as http.Agent & { readonly options: object }).options, { keepAlive: false });
  Object.assign(agent, {
    keepSocketAlive(socket: Socket): boolean {
      socket.unref();
      socket.setTimeout(4_000);
      return true;
    },
  });
}
