/**
 * Purpose: requests over a fixed number of kept connections, with the patience of the real agent: what gets no answer is sent again, after
 * a pause that grows and is random, and never sooner than Retry-After says.
 */
import { Pool } from "undici";
import { fullJitter } from "@daicho/uplink";
import { protocolHeader, protocolVersion } from "@daicho/protocol";
import { pause } from "../pause.ts";

export interface WireAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** Of the attempt that was answered. */
  readonly ms: number;
}

export interface WireTrouble {
  /** The node above had no room and said when to come back. */
  busy: number;
  /** No answer, or a failing server. */
  failed: number;
}

export interface WireRequest {
  readonly path: string;
  readonly type: string;
  readonly body: Buffer | string;
  /** Asked for at each attempt: a credential is good for minutes. */
  readonly authorization?: () => string;
  readonly trouble?: WireTrouble;
}

export interface Wire {
  /** Resolves with whatever is not `try again`; undefined when stopped. */
  post(request: WireRequest): Promise<WireAnswer | undefined>;
  close(): Promise<void>;
}

// Shorter than the agent's: here a pause is also a gap in the measurement.
const backoff = { baseMs: 250, capMs: 10_000 };

export function createWire(options: {
  readonly upstream: string;
  readonly connections: number;
  readonly ca?: string;
  readonly stop: AbortSignal;
  readonly random?: () => number;
}): Wire {
  const { stop, random = Math.random } = options;
  const pool = new Pool(options.upstream, {
    connections: options.connections,
    pipelining: 1,
    keepAliveTimeout: 60_000,
    headersTimeout: 120_000,
    bodyTimeout: 120_000,
    ...(options.ca !== undefined && { connect: { ca: options.ca } }),
  });

  async function attempt(request: WireRequest): Promise<WireAnswer & { readonly retryAfter: number | undefined }> {
    const since = performance.now();
    const { statusCode, headers, body } = await pool.request({
      method: "POST",
      path: request.path,
      headers: {
        "content-type": request.type,
        [protocolHeader]: protocolVersion,
        ...(request.authorization && { authorization: request.authorization() }),
      },
      body: request.body,
      signal: stop,
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    const after = Number(headers["retry-after"]);
    return {
      status: statusCode,
      body: bytes,
      ms: performance.now() - since,
      retryAfter: Number.isFinite(after) ? after : undefined,
    };
  }

  return {
    async post(request) {
      for (let failures = 0; !stop.aborted; failures++) {
        let waitMs: number | undefined;
        try {
          const answer = await attempt(request);
          const { status, retryAfter } = answer;
          if (status !== 429 && status < 500) return answer;
          if (retryAfter !== undefined) {
            waitMs = retryAfter * 1000 * (1 + random() * 0.25);
            if (request.trouble) request.trouble.busy++;
          } else if (request.trouble) request.trouble.failed++;
        } catch {
          if (stop.aborted) return undefined;
          if (request.trouble) request.trouble.failed++;
        }
        await pause(waitMs ?? fullJitter(failures, backoff, random), stop);
      }
      return undefined;
    },
    close: () => pool.destroy(),
  };
}
