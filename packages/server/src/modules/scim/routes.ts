/**
 * Purpose: `/scim/v2` (RFC 7644): Users, Groups, searches and what the server offers. A world of its own within the server: its media type, its
 * errors, its 404.
 * Hostile input: bodies are bounded, read only after the token was checked, and parsed by a reader that refuses `__proto__`.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { DaichoError, isDaichoError, newId, type Clock, type Log } from "@daicho/kernel";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import type { Groups } from "./groups.ts";
import type { Lists, Query } from "./list.ts";
import { listResponse, resourceTypeDocuments, schemaDocuments, serviceProviderConfig } from "./protocol/discovery.ts";
import { errorBody, scimErrors, valueInvalid } from "./protocol/errors.ts";
import { politeJson } from "./protocol/json.ts";
import { isObject } from "./protocol/match.ts";
import { readOperations } from "./protocol/patch.ts";
import { projection } from "./protocol/projection.ts";
import { groupType, resourceTypes, userType, type Resource, type ResourceType } from "./protocol/schema.ts";
import type { Users } from "./users.ts";
import { sameVersion, type Caller } from "./versions.ts";

export const scimPrefix = "/scim/v2";
const scimJson = "application/scim+json";
/** A user is small; a group may name many members. */
const maxBody = { User: 256 * 1024, Group: 4 * 1024 * 1024, Search: 64 * 1024 } as const;

export function scimRoutes(
  app: FastifyInstance,
  deps: {
    readonly users: Users;
    readonly groups: Groups;
    readonly lists: Lists;
    readonly authorize: Authorize;
    readonly clock: Clock;
    readonly log: Log;
    /** Where clients reach this server, if not under the address they write into their requests. */
    readonly url: string | undefined;
  },
): void {
  void app.register(
    (scope, _options, done) => {
      installJson(scope);
      installErrors(scope, deps);
      publicRoutes(scope, deps);
      scope.register((inner, _inner, ready) => {
        inner.addHook("onRequest", deps.authorize.anyOf("admin", "manager", "provisioner"));
        protectedRoutes(inner, deps);
        ready();
      });
      done();
    },
    { prefix: scimPrefix },
  );
}

type Deps = Parameters<typeof scimRoutes>[1];

const documented = (summary: string, bodyLimit = maxBody.Search) => ({
  schema: { tags: ["scim"], summary },
  bodyLimit,
});

function publicRoutes(scope: FastifyInstance, deps: Deps): void {
  // RFC 7643 §5: how to authenticate can be seen before.
  scope.get("/ServiceProviderConfig", documented("What this SCIM server offers"), (request, reply) =>
    send(reply, serviceProviderConfig(baseOf(request, deps.url))),
  );
}

function protectedRoutes(scope: FastifyInstance, deps: Deps): void {
  const { users, groups, lists, url } = deps;

  discovery(scope, "/ResourceTypes", "Resource types", (request) => resourceTypeDocuments(baseOf(request, url)));
  discovery(scope, "/Schemas", "Schemas: every attribute of Users and Groups", (request) =>
    schemaDocuments(baseOf(request, url)),
  );

  for (const type of resourceTypes) {
    const at = type.endpoint;
    const one = `${at}/:id`;
    const what = type.name;
    const service = type === userType ? users : groups;

    scope.get(at, documented(`${what}s: filter, sort, page`), async (request, reply) =>
      sendLarge(reply, await lists.list([type], queryOf(request.query), baseOf(request, url))),
    );
    scope.post(`${at}/.search`, documented(`${what}s by a SearchRequest`), async (request, reply) =>
      sendLarge(reply, await lists.list([type], searchOf(request.body), baseOf(request, url))),
    );
    scope.get(one, documented(`One ${what}`), async (request, reply) => {
      const shown = await lists.one(type, idOf(request), queryOf(request.query), baseOf(request, url));
      const { version } = shown["meta"] as { version: string };
      void reply.header("etag", version);
      const known = request.headers["if-none-match"];
      if (known !== undefined && sameVersion(known, version)) return reply.code(304).send();
      return sendLarge(reply, narrowed(type, request, shown));
    });
    scope.post(at, documented(`Create a ${what}`, maxBody[what]), async (request, reply) => {
      const made = await service.create(request.body, callerOf(request, url));
      const shown = await complete(type, request, made);
      void reply.code(201).header("location", (made["meta"] as { location: string }).location);
      return sendLarge(reply, shown);
    });
    scope.put(one, documented(`Replace a ${what}`, maxBody[what]), async (request, reply) => {
      const made = await service.replace(idOf(request), request.body, callerOf(request, url));
      return sendLarge(reply, await complete(type, request, made));
    });
    scope.patch(one, documented(`Change a ${what}`, maxBody[what]), async (request, reply) => {
      const made = await service.patch(idOf(request), readOperations(request.body), callerOf(request, url));
      // A group may have very many members; clients that want to see it say so (RFC 7644 §3.5.2).
      if (type === groupType && queryOf(request.query).attributes === undefined) return reply.code(204).send();
      return sendLarge(reply, await complete(type, request, made));
    });
    scope.delete(one, documented(`Remove a ${what}`), async (request, reply) => {
      await service.remove(idOf(request), callerOf(request, url));
      return reply.code(204).send();
    });
  }

  scope.post("/.search", documented("Users and Groups by a SearchRequest"), async (request, reply) =>
    sendLarge(reply, await lists.list(resourceTypes, searchOf(request.body), baseOf(request, url))),
  );

  for (const path of ["/Bulk", "/Me"])
    scope.all(path, { schema: { hide: true } }, (request) => {
      throw scimErrors.make("scim-not-offered", { what: `${request.method} ${path}` });
    });

  /** As the client wants to see it; of a group with its members. */
  async function complete(type: ResourceType, request: FastifyRequest, made: Resource): Promise<Resource> {
    const query = queryOf(request.query);
    if (type === userType) return narrowed(type, request, made);
    const shown = await lists.one(type, made["id"] as string, query, baseOf(request, url));
    return narrowed(type, request, shown);
  }
}

function discovery(
  scope: FastifyInstance,
  path: string,
  summary: string,
  documents: (request: FastifyRequest) => readonly Resource[],
): void {
  scope.get(path, documented(summary), (request, reply) => {
    // RFC 7644 §4: filters are not for these.
    if (queryOf(request.query).filter !== undefined)
      throw serverErrors.make("not-allowed", { role: "filter", needed: "" });
    return send(reply, listResponse(documents(request)));
  });
  scope.get(`${path}/:id`, documented(`${summary}: one`), (request, reply) => {
    const id = idOf(request);
    const found = documents(request).find((d) => (d["id"] as string).toLowerCase() === id.toLowerCase());
    if (found === undefined) throw scimErrors.make("scim-not-found", { what: path.slice(1), id });
    return send(reply, found);
  });
}

function installJson(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  const parse = scope.getDefaultJsonParser("error", "ignore");
  scope.addContentTypeParser<string>(
    [scimJson, "application/json"],
    { parseAs: "string", bodyLimit: maxBody.Group },
    (request, body, done) => {
      // DELETE comes with a content type and nothing in it from some clients.
      if (body === "") done(null, undefined);
      else void parse(request, body, done);
    },
  );
}

function installErrors(scope: FastifyInstance, { clock, log }: Pick<Deps, "clock" | "log">): void {
  const refuse = (reply: FastifyReply, error: DaichoError): FastifyReply => {
    if (error.retryAfter !== undefined) void reply.header("retry-after", String(Math.ceil(error.retryAfter)));
    if (error.status === 401) void reply.header("www-authenticate", 'Bearer realm="daicho"');
    return send(reply.code(error.status), errorBody(error));
  };
  scope.setNotFoundHandler((request, reply) => refuse(reply, notThere(request)));
  scope.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof DaichoError) return refuse(reply, asScim(error));
    if (error.statusCode === 413)
      return refuse(
        reply,
        scimErrors.make("scim-too-large", { place: "body", limit: request.routeOptions.bodyLimit, what: "bytes" }),
      );
    if (error.statusCode === 415)
      return refuse(
        reply,
        serverErrors.make("media-type-unsupported", {
          type: request.headers["content-type"] ?? "(none)",
          supported: `${scimJson} or application/json`,
        }),
      );
    if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
      return refuse(reply, scimErrors.make("scim-syntax-invalid", { reason: error.message }));
    const reference = newId(clock.now());
    log.error("request-failed", {
      reference,
      route: request.routeOptions.url,
      reason: error instanceof Error ? error.message : "unknown",
      stack: error instanceof Error ? error.stack : undefined,
    });
    return refuse(reply, serverErrors.make("internal", { reference }));
  });
}

/** What the organisation refuses is a value the client can correct. */
function asScim(error: DaichoError): DaichoError {
  return isDaichoError(error, "org-change-invalid") ? valueInvalid("request", error.message) : error;
}

function notThere(request: FastifyRequest): DaichoError {
  return serverErrors.make("route-not-found", {
    route: `${request.method} ${request.url.split("?")[0] ?? ""}`.slice(0, 200),
  });
}

function send(reply: FastifyReply, body: Resource): FastifyReply {
  return reply.type(`${scimJson}; charset=utf-8`).send(JSON.stringify(body));
}

/** The same for what may hold a department's members, of whom there may be very many. */
async function sendLarge(reply: FastifyReply, body: Resource): Promise<FastifyReply> {
  return reply.type(`${scimJson}; charset=utf-8`).send(await politeJson(body));
}

function narrowed(type: ResourceType, request: FastifyRequest, shown: Resource): Resource {
  return projection(type, queryOf(request.query)).of(shown);
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}

function callerOf(request: FastifyRequest, url: string | undefined): Caller {
  return {
    base: baseOf(request, url),
    by: `token ${request.caller?.tokenId ?? ""}`,
    ifMatch: request.headers["if-match"],
  };
}

function baseOf(request: FastifyRequest, url: string | undefined): string {
  return `${url?.replace(/\/+$/, "") ?? `${request.protocol}://${request.host}`}${scimPrefix}`;
}

/** A query string: everything is text, and a name given twice is a list. */
function queryOf(query: unknown): Query {
  return readQuery(isObject(query) ? query : {}, (name, value) => {
    const text = Array.isArray(value) ? (value as unknown[]).join(",") : String(value);
    return name === "attributes" || name === "excludedAttributes" ? text.split(",") : text;
  });
}

/** @throws scim-syntax-invalid */
function searchOf(body: unknown): Query {
  if (!isObject(body))
    throw scimErrors.make("scim-syntax-invalid", { reason: "a SearchRequest as a JSON object is expected" });
  return readQuery(body, (_name, value) => value);
}

function readQuery(given: Resource, read: (name: keyof Query, value: unknown) => unknown): Query {
  const value = (name: keyof Query): unknown => {
    const key = Object.keys(given).find((one) => one.toLowerCase() === name.toLowerCase());
    return key === undefined || given[key] === null || given[key] === undefined ? undefined : read(name, given[key]);
  };
  const text = (name: keyof Query): string | undefined => {
    const found = value(name);
    if (found === undefined) return undefined;
    if (typeof found !== "string") throw valueInvalid(name, "must be a text");
    return found.trim() === "" ? undefined : found;
  };
  const integer = (name: keyof Query): number | undefined => {
    const found = value(name);
    if (found === undefined || found === "") return undefined;
    const number = Number(found);
    if (!Number.isSafeInteger(number)) throw valueInvalid(name, "must be a whole number");
    return number;
  };
  const names = (name: keyof Query): readonly string[] | undefined => {
    const found = value(name);
    if (found === undefined) return undefined;
    const listed = Array.isArray(found) ? (found as unknown[]) : [found];
    if (listed.length > 200 || !listed.every((one) => typeof one === "string"))
      throw valueInvalid(name, "must be names of attributes, at most 200");
    const trimmed = listed.map((one) => one.trim()).filter((one) => one !== "");
    return trimmed.length === 0 ? undefined : trimmed;
  };
  const query = {
    filter: text("filter"),
    sortBy: text("sortBy"),
    sortOrder: text("sortOrder"),
    startIndex: integer("startIndex"),
    count: integer("count"),
    attributes: names("attributes"),
    excludedAttributes: names("excludedAttributes"),
  };
  return Object.fromEntries(Object.entries(query).filter(([, one]) => one !== undefined));
}
