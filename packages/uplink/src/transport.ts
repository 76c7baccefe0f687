/**
 * Purpose: one request to the node above - with fail-over, back-off and Retry-After - and an answer that never throws.
 * Invariants: every request may be sent twice (all of `/ingest/v1` is idempotent). A 2xx that is no answer counts as a failure
 * of that upstream, not as success.
 */
import type { Clock, Log, TlsMaterial } from "@daicho/kernel";
import { protocolHeader, protocolVersion, type Problem } from "@daicho/protocol";
import { createHttpClient } from "./http-client.ts";
import {
  createUpstreams,
  longestWaitMs,
  waitAsAsked,
  type Attempt,
  type BackoffOptions,
  type Upstreams,
} from "./upstreams.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Which node answered. */
  readonly upstream: string;
}

/**
 * `ok`: it worked. `retry`: it did not, and can work later; `after` = milliseconds until trying makes sense. `refused`: it will not
 * work by trying again; the problem says why.
 */
export type UplinkResult<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "retry"; readonly code: string; readonly after: number }
  | { readonly kind: "refused"; readonly problem: Problem };

export interface RequestOptions {
  readonly body?: Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Bound of the answer's body, after unpacking. Default 16 MiB. */
  readonly maxBytes?: number;
}

/** What the sender above adds and learns. */
export interface TransportHooks {
  readonly headers: () => Readonly<Record<string, string>>;
  /** Sees a 401; true = something was learnt, try once more. */
  readonly onUnauthorized?: (problem: Problem) => boolean;
  /** False = a 2xx that is no answer (a captive portal's page, say): counts as a failure of that upstream. */
  readonly accept?: (answer: Answer) => boolean;
}

export interface Transport {
  readonly upstreams: Upstreams;
  readonly lastError: string | undefined;
  send(method: Method, path: string, options: RequestOptions, hooks: TransportHooks): Promise<UplinkResult<Answer>>;
  close(): Promise<void>;
}
export type Method = "GET" | "POST" | "PUT" | "HEAD" | "DELETE";

export interface TransportOptions {
  /** Addresses of the nodes above, the preferred one first. */
  readonly upstreams: readonly string[];
  readonly tls?: TlsMaterial | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  readonly backoff?: BackoffOptions;
  /** Connections kept to one upstream. Default 4. */
  readonly connections?: number;
  /** Time limit for connecting, and for each silence while waiting for the answer. Default 10 s and 60 s. */
  readonly connectTimeoutMs?: number;
  readonly answerTimeoutMs?: number;
}

const defaultMaxBytes = 16 * 1024 * 1024;

export function createTransport(options: TransportOptions): Transport {
  const { clock, log } = options;
  const random = options.random ?? Math.random;
  const upstreams = createUpstreams({
    urls: options.upstreams,
    clock,
    random,
    ...(options.backoff && { backoff: options.backoff }),
  });
  const client = createHttpClient({
    tls: options.tls,
    connections: options.connections ?? 4,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    answerTimeoutMs: options.answerTimeoutMs ?? 60_000,
  });
  let closed = false;
  let lastError: string | undefined;
  /** What the log was told of why none answers: once, however long it lasts. */
  let told: string | undefined;

  /** One exchange with one upstream; throws where there was none. */
  async function exchange(
    attempt: Attempt,
    method: Method,
    path: string,
    request: RequestOptions,
    hooks: TransportHooks,
  ): Promise<Answer> {
    const answer = await client.exchange({
      url: `${attempt.upstream.url}${path}`,
      method,
      headers: {
        accept: "application/json, application/problem+json, application/octet-stream",
        "accept-encoding": "gzip",
        [protocolHeader]: protocolVersion,
        ...hooks.headers(),
        ...request.headers,
      },
      body: request.body,
      signal: request.signal,
      maxBytes: request.maxBytes ?? defaultMaxBytes,
    });
    return { ...answer, upstream: attempt.upstream.url };
  }

  function note(attempt: Attempt, code: string): void {
    lastError = code;
    log.debug("upstream-failed", { upstream: attempt.upstream.url, code });
  }

  return {
    upstreams,
    get lastError() {
      return lastError;
    },
    async send(method, path, request, hooks) {
      // While everyone waits the reason is still what went wrong last.
      let code = lastError ?? "waiting";
      let tried = false;
      for (const attempt of upstreams.candidates()) {
        tried = true;
        let answer: Answer;
        try {
          answer = await exchange(attempt, method, path, request, hooks);
          if (answer.status === 401 && hooks.onUnauthorized?.(problemOf(answer)) === true)
            answer = await exchange(attempt, method, path, request, hooks);
        } catch (error) {
          if (closed) return { kind: "retry", code: "closed", after: 0 };
          if (request.signal?.aborted === true) return { kind: "retry", code: "aborted", after: 0 };
          code = codeOf(error);
          note(attempt, code);
          attempt.failed();
          continue;
        }
        const { status } = answer;
        const retryAfter = parseRetryAfter(answer.headers["retry-after"], clock.now());
        if (status === 429 || (status === 503 && retryAfter !== undefined)) {
          attempt.overloaded(waitAsAsked(retryAfter ?? 5_000, random));
          lastError = problemOf(answer).code;
          return { kind: "retry", code: lastError, after: Math.max(0, upstreams.nextAttemptAt - clock.now()) };
        }
        const ok = (status >= 200 && status < 300) || status === 304;
        if (status >= 500 || status === 408 || (status >= 300 && status < 400 && !ok)) {
          code = problemOf(answer).code;
          note(attempt, code);
          attempt.failed();
          continue;
        }
        if (!ok) {
          attempt.succeeded();
          const problem = problemOf(answer);
          lastError = problem.code;
          return { kind: "refused", problem };
        }
        if (hooks.accept?.(answer) === false) {
          code = "answer-invalid";
          note(attempt, code);
          attempt.failed();
          continue;
        }
        attempt.succeeded();
        lastError = told = undefined;
        return { kind: "ok", value: answer };
      }
      if (tried) {
        upstreams.exhausted();
        if (told !== code) log.warn("upstream-unreachable", { code: (told = code) });
      }
      return { kind: "retry", code, after: Math.max(0, upstreams.nextAttemptAt - clock.now()) };
    },
    async close() {
      closed = true;
      client.close();
    },
  };
}

/** The problem document of an answer; made from the status where the peer sent none. */
export function problemOf(answer: Pick<Answer, "status" | "headers" | "body">): Problem {
  const fallback = { type: "about:blank", title: `HTTP ${answer.status}`, status: answer.status };
  if (/json/.test(answer.headers["content-type"] ?? "") && answer.body.length <= 65_536)
    try {
      const value = JSON.parse(answer.body.toString("utf8")) as Partial<Record<keyof Problem, unknown>> | null;
      if (typeof value?.code === "string" && /^[a-z0-9-]{1,64}$/.test(value.code))
        return {
          ...fallback,
          code: value.code,
          ...(typeof value.title === "string" && { title: value.title.slice(0, 256) }),
          ...(typeof value.detail === "string" && { detail: value.detail.slice(0, 1024) }),
          ...(typeof value.action === "string" && { action: value.action.slice(0, 1024) }),
          ...(typeof value.time === "string" && { time: value.time.slice(0, 40) }),
        };
    } catch {
      // Not a problem document after all.
    }
  return { ...fallback, code: `http-${answer.status}` };
}

/** Seconds or a date → milliseconds, bounded. */
export function parseRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), longestWaitMs) : undefined;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (code === "answer-too-large") return code;
  if (code === "ERR_BUFFER_TOO_LARGE") return "answer-too-large";
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? code : "upstream-unreachable";
}
