/** Purpose: `GET /ingest/v1/dictionary`: the document held, with ETag, If-None-Match and gzip. */
import { relayErrors } from "../errors.ts";
import type { Http } from "../http/app.ts";
import type { DictionaryCache } from "./dictionary.ts";

export function registerDictionary(http: Http, dictionary: DictionaryCache): void {
  http.app.get("/ingest/v1/dictionary", { onRequest: http.node("agent", "relay") }, (request, reply) => {
    const { held } = dictionary;
    if (held === undefined) throw relayErrors.make("dictionary-none");
    void reply.header("etag", held.etag).header("vary", "accept-encoding").header("cache-control", "no-cache");
    if (matches(request.headers["if-none-match"], held.etag)) return reply.code(304).send();
    void reply.type("application/json");
    if (!/\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))) return reply.send(held.body);
    return reply.header("content-encoding", "gzip").send(held.gzipped);
  });
}

function matches(header: string | undefined, etag: string): boolean {
  return (header ?? "").split(",").some((part) => part.trim().replace(/^W\//, "") === etag || part.trim() === "*");
}
