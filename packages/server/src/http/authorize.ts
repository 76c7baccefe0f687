/**
 * Purpose: who may call what. Two kinds of callers: people and scripts with API tokens (`/api/v1`), nodes with
 * credentials (`/ingest/v1`). Every route names what it needs; one that names nothing cannot be registered under these prefixes.
 *
 * Always as `onRequest`: nobody unknown has a body read, unpacked or judged, and whoever may not call is told just that.
 * An agent has a few requests under way at once and no more, so that one of them cannot take the room of all.
 */
import type { FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { createCredentialVerifier, type Certificate, type NodeKind } from "@daicho/protocol";
import { createShares, type Clock } from "@daicho/kernel";
import { serverErrors } from "../errors.ts";
import { apiRoles, type AccessService, type ApiRole, type Caller } from "../modules/access/index.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by `role()`: the token's id, role and employee. */
    caller?: Caller;
    /** Set by `node()`: the certificate of the calling node. */
    node?: Certificate;
  }
}

export interface Authorize {
  /** The caller's token must have this role or a mightier one. */
  role(needed: ApiRole): onRequestAsyncHookHandler;
  /** The caller's token must have one of these roles. */
  anyOf(...roles: readonly ApiRole[]): onRequestAsyncHookHandler;
  /** The caller must be an enrolled node of one of these kinds. */
  node(...kinds: readonly NodeKind[]): onRequestAsyncHookHandler;
}

/** An agent has one connection; what was cut off may seem to be under way for a while. */
const requestsPerAgent = 4;

export function createAuthorize(deps: {
  readonly access: AccessService;
  readonly clock: Clock;
  readonly removed: { has(node: string): boolean };
}): Authorize {
  const verify = createCredentialVerifier({ root: () => deps.access.root(), now: () => deps.clock.now() });
  const shares = createShares(requestsPerAgent);
  const callerOf = async (request: FastifyRequest): Promise<Caller> => {
    const header = request.headers.authorization;
    const token = header?.startsWith("Bearer ") === true ? header.slice(7).trim() : undefined;
    const caller = token === undefined ? undefined : await deps.access.authenticate(token);
    if (caller === undefined) throw serverErrors.make("not-authenticated");
    return caller;
  };
  return {
    role: (needed) => async (request) => {
      const caller = await callerOf(request);
      if (apiRoles.indexOf(caller.role) > apiRoles.indexOf(needed))
        throw serverErrors.make("not-allowed", { role: caller.role, needed });
      request.caller = caller;
    },
    anyOf:
      (...roles) =>
      async (request) => {
        const caller = await callerOf(request);
        if (!roles.includes(caller.role))
          throw serverErrors.make("not-allowed", { role: caller.role, needed: roles.join(" or ") });
        request.caller = caller;
      },
    node:
      (...kinds) =>
      async (request, reply) => {
        const result = verify(request.headers.authorization);
        if (!result.ok) throw serverErrors.make(result.refusal);
        const { id, kind } = result.certificate;
        if (!kinds.includes(kind)) throw serverErrors.make("not-allowed", { role: kind, needed: kinds.join(" or ") });
        if (deps.removed.has(id)) throw serverErrors.make("node-removed");
        // Channels stay open; their hub counts them.
        if (kind === "agent" && !request.ws) {
          const giveBack = shares.take(id);
          if (giveBack === undefined) throw serverErrors.make("overloaded", {}, { retryAfter: 5 + Math.random() * 25 });
          reply.raw.once("close", giveBack);
        }
        request.node = result.certificate;
        await Promise.resolve();
      },
  };
}
