/**
 * Purpose: what nodes call: `/ingest/v1/enroll`, `dictionary`, `policy`, `blobs`, `channel`, `status` (contract.md "Between nodes").
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { validateEnrollRequest, validateStatusReport } from "@daicho/protocol";
import { isDaichoError, sparing, type Clock, type Log } from "@daicho/kernel";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { inputInvalid } from "../../http/problem.ts";
import { unpackGzip } from "../../http/unpack.ts";
import type { Policies, Served } from "../policies/index.ts";
import { parseRange } from "./blobs.ts";
import { createAttemptLimit } from "./enrollment.ts";
import type { Nodes } from "./service.ts";

const maxStatusBytes = 12 * 1024 * 1024;

export function nodeIngestRoutes(
  app: FastifyInstance,
  deps: {
    readonly nodes: Nodes;
    readonly policies: Policies;
    readonly authorize: Authorize;
    readonly clock: Clock;
    readonly log: Log;
    readonly role: "corporate" | "group" | "both";
  },
): void {
  const { nodes, policies, authorize } = deps;
  const hidden = { hide: true };
  const { warn } = sparing(deps.log, deps.clock);
  const limit = createAttemptLimit({ clock: deps.clock });
  const relay = authorize.node("relay");

  /** A relay passes on what others send; one of them must not be able to shut it out. */
  async function isRelay(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    if (request.headers.authorization === undefined) return false;
    try {
      await relay.call(app, request, reply);
      return true;
    } catch {
      return false;
    }
  }

  app.post(
    "/ingest/v1/enroll",
    { schema: hidden, bodyLimit: 64 * 1024, preParsing: unpackGzip },
    async (request, reply) => {
      const counted = !(await isRelay(request, reply));
      if (counted) limit.check(request.ip);
      try {
        const asked = validateEnrollRequest(request.body);
        if (!asked.ok) throw inputInvalid(asked.faults);
        return await nodes.enrollment.enroll(asked.value);
      } catch (error) {
        if (isDaichoError(error) && error.status < 500) {
          if (counted) limit.failed(request.ip);
          // Whoever tries tokens is seen: by itself, or through which relay.
          warn("enrollment-refused", { node: request.node?.id, code: error.code });
        }
        throw error;
      }
    },
  );

  app.get(
    "/ingest/v1/dictionary",
    { schema: hidden, onRequest: authorize.node("agent", "relay") },
    async (request, reply) => sendDocument(request, reply, policies.dictionary(), "dictionary"),
  );

  app.get("/ingest/v1/policy", { schema: hidden, onRequest: authorize.node("server") }, async (request, reply) => {
    if (deps.role === "corporate")
      throw serverErrors.make("wrong-role", { role: deps.role, what: "the enterprise policy", needed: "group" });
    return sendDocument(request, reply, await policies.enterprise(), "enterprise policy");
  });

  app.get<{ Params: { sha256: string } }>(
    "/ingest/v1/blobs/:sha256",
    { schema: hidden, onRequest: authorize.node("agent", "relay", "server") },
    async (request, reply) => {
      const { sha256 } = request.params;
      const blob = await nodes.blobs.find(sha256);
      if (blob === undefined) throw serverErrors.make("not-found", { what: "content", id: sha256.slice(0, 64) });
      const etag = `"${sha256}"`;
      void reply.headers({ etag, "accept-ranges": "bytes", "cache-control": "private, immutable, max-age=31536000" });
      if (matches(request.headers["if-none-match"], etag)) return reply.code(304).send();
      void reply.type("application/octet-stream");
      const ifRange = request.headers["if-range"];
      const range =
        ifRange === undefined || ifRange === etag ? parseRange(request.headers.range, blob.size) : undefined;
      if (range === "invalid") {
        void reply.header("content-range", `bytes */${blob.size}`);
        throw serverErrors.make("range-not-satisfiable", { size: blob.size });
      }
      if (range === undefined) return reply.header("content-length", blob.size).send(blob.open());
      return reply
        .code(206)
        .headers({
          "content-range": `bytes ${range.start}-${range.end}/${blob.size}`,
          "content-length": range.end - range.start + 1,
        })
        .send(blob.open(range));
    },
  );

  app.get(
    "/ingest/v1/channel",
    { websocket: true, schema: hidden, onRequest: authorize.node("agent", "relay", "server") },
    (socket, request) => {
      if (request.node === undefined) return socket.close(1008, "not authorised");
      nodes.channel.accept(socket, request.node);
    },
  );

  app.post(
    "/ingest/v1/status",
    {
      schema: hidden,
      bodyLimit: maxStatusBytes,
      preParsing: unpackGzip,
      onRequest: authorize.node("agent", "relay", "server"),
    },
    async (request) => {
      const report = validateStatusReport(request.body);
      if (!report.ok) throw inputInvalid(report.faults);
      if (request.node === undefined) throw serverErrors.make("credential-missing");
      return nodes.status.accept(request.node, report.value);
    },
  );
}

async function sendDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  served: Served | undefined,
  what: string,
): Promise<FastifyReply> {
  if (served === undefined) throw serverErrors.make("not-found", { what, id: "yet" });
  void reply.headers({ etag: served.etag, "cache-control": "private, no-cache", vary: "accept-encoding" });
  if (matches(request.headers["if-none-match"], served.etag)) return reply.code(304).send();
  void reply.type("application/json; charset=utf-8");
  const gzip = /(^|,)\s*gzip\s*(;|,|$)/.test(request.headers["accept-encoding"] ?? "");
  return gzip ? reply.header("content-encoding", "gzip").send(served.gzipped) : reply.send(served.body);
}

/** Weak comparison, as RFC 9110 asks for If-None-Match. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === "*" || header.split(",").some((one) => one.trim().replace(/^W\//, "") === etag);
}
