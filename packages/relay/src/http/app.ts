/**
 * Purpose: the HTTP face: admission first, then who is calling, then the body - and every refusal a problem document with a
 * stable code. Routes are registered by their own modules.
 * Invariant: an unexpected error answers with a reference only; its text stays in the log.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { createShares, DaichoError, newId, type Clock, type Log, type Shares } from "@daicho/kernel";
import {
  maxBatchBytes,
  protocolHeader,
  problemContentType,
  protocolVersion,
  type Certificate,
  type NodeKind,
  type Problem,
  type Validated,
} from "@daicho/protocol";
import { relayErrors } from "../errors.ts";
import type { Counter } from "../metrics.ts";
import type { Admission, Ticket } from "./admission.ts";
import type { Authenticate } from "./authenticate.ts";
import { unpackBody } from "./body.ts";

declare module "fastify" {
  interface FastifyRequest {
    ticket?: Ticket;
    /** Set by `node(…)`. */
    node?: Certificate;
  }
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

export interface Http {
  readonly app: FastifyInstance;
  /** For a route's `onRequest`: the caller must be an enrolled node of one of these kinds. */
  node(...kinds: readonly NodeKind[]): Hook;
  /** For a route's `onRequest` that anybody may call: each address has its share of the room. */
  readonly anybody: Hook;
  /** The body, unpacked. */
  body(request: FastifyRequest, limit: number): Promise<Buffer>;
  /** The body as JSON of this shape. @throws input-invalid */
  json<T>(request: FastifyRequest, limit: number, validate: (value: unknown) => Validated<T>): Promise<T>;
}

const defaultBodyLimit = 1024 * 1024;
/** Of the requests worked on at once (256): an agent has one connection, a relay a few; behind an address may be an office that enrols. */
const requestsPerNode = 8;
const requestsPerAddress = 128;
/** Of the bytes held at once: some batches of a relay, or one of the largest. */
const bytesPerNode = maxBatchBytes;

export function createHttp(deps: {
  readonly clock: Clock;
  readonly log: Log;
  /** The right time, as far as this node knows it. */
  readonly now: () => number;
  readonly admission: Admission;
  readonly authenticate: Authenticate;
  readonly refused: Counter;
}): Http {
  const { clock, log, admission, authenticate } = deps;
  const nodeShares = createShares(requestsPerNode);
  const addressShares = createShares(requestsPerAddress);
  const byteShares = createShares(bytesPerNode);
  const app = fastify({ logger: false, bodyLimit: defaultBodyLimit, routerOptions: { maxParamLength: 128 } });

  // Bodies stay bytes until the route that knows their bound and meaning takes them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  app.addHook("onRequest", (request, reply, done) => {
    if (!request.url.startsWith("/ingest/")) return done();
    void reply.header(protocolHeader, protocolVersion);
    const ticket = admission.enter(announcedBytes(request));
    request.ticket = ticket;
    // Also when the caller hangs up.
    reply.raw.once("close", () => ticket.leave());
    done();
  });

  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      relayErrors.make("route-not-found", { route: `${request.method} ${request.url.split("?")[0]}` }),
    ),
  );
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) =>
    sendProblem(reply, known(error, request)),
  );

  function known(error: Error & { statusCode?: number }, request: FastifyRequest): DaichoError {
    if (error instanceof DaichoError) return error;
    if (error.statusCode === 413) return relayErrors.make("too-large", { limit: request.routeOptions.bodyLimit });
    if (error.statusCode !== undefined && error.statusCode < 500)
      return relayErrors.make("input-invalid", { faults: (error as { code?: string }).code ?? "request" });
    const reference = newId(clock.now());
    log.error("request-failed", { reference, route: request.routeOptions.url, reason: error.message });
    return relayErrors.make("internal", { reference });
  }

  function sendProblem(reply: FastifyReply, error: DaichoError): FastifyReply {
    deps.refused.add(1, error.code);
    for (const [name, value] of Object.entries(problemHeaders(error))) void reply.header(name, value);
    // Closed at once, a sender still busy with a body that is too large would see a broken line instead of this answer.
    if (error.status === 413) void reply.removeHeader("connection");
    return reply.code(error.status).send(JSON.stringify(problemOf(error, deps.now())));
  }

  /** One that sends its bodies for ever must not hold the room of all. */
  function share(shares: Shares, caller: string, amount: number, reply: FastifyReply): void {
    const giveBack = shares.take(caller, amount);
    if (giveBack === undefined)
      throw relayErrors.make("overloaded", { reason: "requests of one caller" }, { retryAfter: 10 });
    reply.raw.once("close", giveBack);
  }

  const http: Http = {
    app,
    node:
      (...kinds) =>
      (request, reply, done) => {
        request.node = authenticate(callerOf(request.headers), kinds);
        share(nodeShares, request.node.id, 1, reply);
        share(byteShares, request.node.id, announcedBytes(request), reply);
        done();
      },
    anybody(request, reply, done) {
      share(addressShares, request.ip, 1, reply);
      done();
    },
    async body(request, limit) {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const ticket = request.ticket;
      if (ticket === undefined) throw new TypeError("a body is read under /ingest only");
      return unpackBody(body, request.headers["content-encoding"], { limit, ticket });
    },
    async json(request, limit, validate) {
      const body = await http.body(request, limit);
      let value: unknown;
      try {
        value = JSON.parse(body.toString("utf8"));
      } catch {
        throw relayErrors.make("input-invalid", { faults: "body: is not JSON" });
      }
      const checked = validate(value);
      if (checked.ok) return checked.value;
      const faults = checked.faults.map((fault) => `${fault.path === "" ? "body" : fault.path}: ${fault.message}`);
      throw relayErrors.make("input-invalid", { faults: faults.slice(0, 5).join("; ") });
    },
  };
  return http;
}

/** What the body will take; a body that does not say may be as large as its route allows. */
function announcedBytes(request: FastifyRequest): number {
  // The handler of unknown routes has no limit of its own.
  const limit = (request.routeOptions.bodyLimit as number | undefined) ?? defaultBodyLimit;
  const length = request.headers["content-length"];
  if (length === undefined) return request.headers["transfer-encoding"] === undefined ? 0 : limit;
  const bytes = Number(length);
  return Number.isFinite(bytes) && bytes >= 0 ? Math.min(bytes, limit) : limit;
}

export function callerOf(headers: Readonly<Record<string, string | string[] | undefined>>): {
  authorization: string | undefined;
  protocol: string | undefined;
} {
  const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
  return { authorization: one(headers["authorization"]), protocol: one(headers[protocolHeader]) };
}

export function problemOf(error: DaichoError, now: number): Problem {
  return {
    type: `https://daicho.example/errors/${error.code}`,
    title: error.message,
    status: error.status,
    code: error.code,
    action: error.action,
    ...(error.status === 401 && { time: new Date(now).toISOString() }),
  };
}

export function problemHeaders(error: DaichoError): Record<string, string> {
  return {
    "content-type": problemContentType,
    ...(error.retryAfter !== undefined && { "retry-after": String(Math.ceil(error.retryAfter)) }),
  };
}
