/**
 * Purpose: the routes as they are registered. Three things follow: a route under `/api/v1` or `/ingest/v1` that names nobody who may call it stops
 * the start, a list refuses filters that it does not have instead of answering as if nothing had been asked, and a path that is there for other
 * methods answers 405 with `Allow`.
 */
import type { TObject } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";

/** Whoever enrols has no credential yet: the token in the body is checked. */
const open = new Set(["/ingest/v1/enroll"]);

/** Before the first route. Answers the methods a path is there for; none where there is no such path. */
export function watchRoutes(app: FastifyInstance): (path: string) => readonly string[] {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method, onRequest, schema }) => {
    const query = schema?.querystring as Partial<TObject> | undefined;
    if (schema !== undefined && query?.properties?.["limit"] !== undefined)
      schema.querystring = { ...query, additionalProperties: false };
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
