/**
 * Purpose: every answer that is not a success is an RFC 9457 problem document with a stable `code` (contract.md "Administration").
 * Unexpected errors answer with a reference only; their text stays in the server's log.
 */
import { problemContentType, type Problem } from "@daicho/protocol";
import { DaichoError, newId, type Clock, type Log } from "@daicho/kernel";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { connectionLoss } from "../db/database.ts";
import { serverErrors } from "../errors.ts";

export function problemOf(error: DaichoError, now: number): Problem {
  const faults = (error as { faults?: Problem["faults"] }).faults;
  return {
    type: `https://daicho.example/errors/${error.code}`,
    title: error.message,
    status: error.status,
    code: error.code,
    action: error.action,
    ...(faults !== undefined && { faults }),
    ...(error.status === 401 && { time: new Date(now).toISOString() }),
  };
}

/** An `input-invalid` error that names each wrong place. */
export function inputInvalid(faults: readonly { readonly path: string; readonly message: string }[]): DaichoError {
  const text = faults
    .slice(0, 5)
    .map((f) => `${f.path === "" ? "body" : f.path}: ${f.message}`)
    .join("; ");
  return Object.assign(serverErrors.make("input-invalid", { faults: text }), { faults: faults.slice(0, 100) });
}

/** For `frameworkErrors`: the address cannot be read, so there is no route to ask. */
export function unreadableAddress(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const message = error.code === "FST_ERR_MAX_PARAM_LENGTH" ? "has a part that is too long" : "cannot be decoded";
  void reply
    .code(400)
    .type(problemContentType)
    .send(JSON.stringify(problemOf(inputInvalid([{ path: "path", message }]), 0)));
}

export function installProblems(
  app: FastifyInstance,
  deps: {
    readonly clock: Clock;
    readonly log: Log;
    /** The methods a path is there for. */
    readonly methodsOf: (path: string) => readonly string[];
  },
): void {
  const send = (reply: FastifyReply, error: DaichoError): void => {
    if (error.retryAfter !== undefined) void reply.header("retry-after", String(Math.ceil(error.retryAfter)));
    // The page asks browsers in its own way.
    if (error.status === 401 && !reply.hasHeader("www-authenticate")) void reply.header("www-authenticate", "Bearer");
    // Closed at once, a sender still busy with a body that is too large would see a broken line instead of this answer.
    if (error.status === 413) void reply.removeHeader("connection");
    void reply
      .code(error.status)
      .type(problemContentType)
      .send(JSON.stringify(problemOf(error, deps.clock.now())));
  };
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?")[0] ?? "";
    const methods = deps.methodsOf(path);
    if (methods.length === 0)
      return send(reply, serverErrors.make("route-not-found", { route: `${request.method} ${path}` }));
    const allowed = methods.join(", ");
    void reply.header("allow", allowed);
    send(reply, serverErrors.make("method-not-allowed", { method: request.method, path, allowed }));
  });
  // No body of this type is any route's: it would be told as a wrong body otherwise.
  app.removeContentTypeParser("text/plain");
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof DaichoError) return send(reply, error);
    if (error.validation !== undefined) {
      const where =
        error.validationContext === undefined || error.validationContext === "body" ? "" : error.validationContext;
      return send(
        reply,
        inputInvalid(
          error.validation.map((v) => ({
            path: `${where}${v.instancePath}`,
            message:
              v.keyword === "additionalProperties"
                ? `unknown field ${String((v.params as { additionalProperty?: string }).additionalProperty)}`
                : v.keyword === "enum"
                  ? `must be one of ${((v.params as { allowedValues?: unknown[] }).allowedValues ?? []).join(", ")}`
                  : (v.message ?? "is not valid"),
          })),
        ),
      );
    }
    if (error.statusCode === 413)
      return send(reply, serverErrors.make("too-large", { limit: request.routeOptions.bodyLimit }));
    if (error.statusCode === 415)
      return send(
        reply,
        serverErrors.make("media-type-unsupported", {
          type: request.headers["content-type"] ?? "(none)",
          supported: (request.routeOptions.schema?.consumes ?? ["application/json"]).join(", "),
        }),
      );
    if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
      return send(reply, serverErrors.make("input-invalid", { faults: error.message }));
    const away = connectionLoss(error);
    if (away !== undefined) {
      deps.log.warn("store-away", { route: request.routeOptions.url, reason: away });
      return send(reply, serverErrors.make("store-away", { reason: away }, { retryAfter: 1 + Math.random() * 4 }));
    }
    const reference = newId(deps.clock.now());
    deps.log.error("request-failed", {
      reference,
      route: request.routeOptions.url,
      reason: error instanceof Error ? error.message : "unknown",
      stack: error instanceof Error ? error.stack : undefined,
    });
    send(reply, serverErrors.make("internal", { reference }));
  });
}
