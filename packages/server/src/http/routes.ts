/**
 * Purpose: the routes as they are registered. Three things follow: a route under `/api/v1` or `/ingest/v1` that names nobody who may call it stops
 * the start, and so does a list that cannot be had page by page; a list refuses filters that it does not have instead of answering as if nothing had
 * been asked; a path that is there for other methods answers 405 with `Allow`.
 */
import type { TObject } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { itemsOf } from "./list.ts";

/** Whoever enrols has no credential yet: the token in the body is checked. */
const open = new Set(["/ingest/v1/enroll"]);

/** Before the first route. Answers the methods a path is there for; none where there is no such path. */
export function watchRoutes(app: FastifyInstance): (path: string) => readonly string[] {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method, onRequest, schema }) => {
    const query = schema?.querystring as Partial<TObject> | undefined;
    const answers = schema?.response as Readonly<Record<string, unknown>> | undefined;
    if (schema !== undefined && method === "GET" && itemsOf(answers?.["200"]) !== undefined) {
      if (query?.properties?.["limit"] === undefined || query.properties["cursor"] === undefined)
        throw new Error(`the list ${url} takes no limit and cursor`);
      schema.querystring = { ...query, additionalProperties: false };
    }
    if (/^\/(api|ingest)\/v1\//.test(url) && !open.has(url) && onRequest === undefined)
      throw new Error(`the route ${url} does not say who may call it`);
    const methods = methodsOf.get(url) ?? new Set();
    for (const name of [method].flat()) methods.add(name);
    methodsOf.set(url, methods);
  });
  return (path) => {
    const parts = path.split("/");
    const found = [...methodsOf].filter(([url]) => fits(url.split("/"), parts));
    return [...new Set(found.flatMap(([, methods]) => [...methods]))].sort();
  };
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length && pattern.every((p, i) => (p.startsWith(":") ? parts[i] !== "" : p === parts[i]))
  );
}
