/** Purpose: `GET /ingest/v1/blobs/:sha256`, with Range, from the cache; what is not held yet is fetched while the caller waits a while. */
import { createReadStream } from "node:fs";
import { wait, type Clock } from "@daicho/kernel";
import { relayErrors } from "../errors.ts";
import type { Http } from "../http/app.ts";
import { refuse } from "../intake/pass-through.ts";
import type { BlobCache } from "./blobs.ts";

/** Below the time after which callers give up waiting for an answer. */
const patienceMs = 20_000;

export function registerBlobs(http: Http, blobs: BlobCache, clock: Clock): void {
  http.app.get<{ Params: { digest: string } }>(
    "/ingest/v1/blobs/:digest",
    { onRequest: http.node("agent", "relay") },
    async (request, reply) => {
      const { digest } = request.params;
      if (!/^[0-9a-f]{64}$/.test(digest)) throw relayErrors.make("blob-not-found", { digest: "of this form" });
      const enough = new AbortController();
      const found = await Promise.race([blobs.get(digest), wait(clock, patienceMs, enough.signal)]);
      enough.abort();
      // The fetch goes on; by the time the caller is back there is more of it, or all.
      if (found === undefined)
        throw relayErrors.make("upstream-unavailable", { reason: "still fetching" }, { retryAfter: 15 });
      if (found.kind === "unusable")
        throw relayErrors.make("upstream-unavailable", { reason: found.code }, { retryAfter: 300 });
      if (found.kind === "refused" && found.problem.status === 404)
        throw relayErrors.make("blob-not-found", { digest });
      if (found.kind !== "held") return refuse(reply, found);
      const { path, size } = found.blob;
      void reply.type("application/octet-stream").header("accept-ranges", "bytes").header("etag", `"${digest}"`);
      const range = parseRange(request.headers.range, size);
      if (range === "outside") {
        void reply.header("content-range", `bytes */${size}`);
        throw relayErrors.make("range-not-satisfiable", { size });
      }
      if (range === undefined) return reply.header("content-length", size).send(createReadStream(path));
      return reply
        .code(206)
        .header("content-range", `bytes ${range.start}-${range.end}/${size}`)
        .header("content-length", range.end - range.start + 1)
        .send(createReadStream(path, range));
    },
  );
}

/** One range, as agents ask for; anything else is answered whole. */
export function parseRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | "outside" | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "outside" : { start: size - length, end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start >= size) return "outside";
  return start > end ? undefined : { start, end };
}
