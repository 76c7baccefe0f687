/**
 * Purpose: what a relay cannot answer itself and passes to the node above while the caller waits: enrolments, and the question
 * which titles the server does not know yet.
 * Failure: the node above does not answer → 503 with Retry-After; it refuses → its problem document, as it is.
 */
import {
  isPackedHashes,
  eachHash,
  maxTitles,
  packHashes,
  problemContentType,
  titleHashBytes,
  validateEnrollRequest,
} from "@daicho/protocol";
import type { Uplink, UplinkResult } from "@daicho/uplink";
import type { FastifyReply } from "fastify";
import { relayErrors } from "../errors.ts";
import type { Http } from "../http/app.ts";

export interface PassThroughOptions {
  readonly http: Http;
  readonly uplink: Pick<Uplink, "request" | "unknownTitles">;
  readonly titles: KnownTitles;
}

export function registerPassThrough({ http, uplink, titles }: PassThroughOptions): void {
  const maxEnrollBytes = 64 * 1024;
  const maxHashBytes = maxTitles * titleHashBytes;

  // No credential yet: the token in the body is the proof, and the server checks it.
  http.app.post("/ingest/v1/enroll", { onRequest: http.anybody, bodyLimit: maxEnrollBytes }, async (request, reply) => {
    const asked = await http.json(request, maxEnrollBytes, validateEnrollRequest);
    const result = await uplink.request("POST", "/ingest/v1/enroll", {
      body: Buffer.from(JSON.stringify(asked)),
      headers: { "content-type": "application/json" },
      maxBytes: 256 * 1024,
    });
    if (result.kind !== "ok") return refuse(reply, result);
    return reply.code(result.value.status).type("application/json").send(result.value.body);
  });

  http.app.post(
    "/ingest/v1/titles",
    { onRequest: http.node("agent", "relay"), bodyLimit: maxHashBytes },
    async (request, reply) => {
      const asked = await http.body(request, maxHashBytes);
      if (!isPackedHashes(asked))
        throw relayErrors.make("input-invalid", { faults: "body: is not sorted 8-byte hashes" });
      const open = titles.notKnown(asked);
      void reply.type("application/octet-stream");
      if (open.length === 0) return reply.send(Buffer.alloc(0));
      const result = await uplink.unknownTitles(open);
      if (result.kind !== "ok") return refuse(reply, result);
      titles.learn(open, result.value);
      return reply.send(result.value);
    },
  );
}

/** Answers what `retry` or `refused` means for the caller. */
export function refuse(reply: FastifyReply, result: Exclude<UplinkResult<unknown>, { kind: "ok" }>): FastifyReply {
  if (result.kind === "retry")
    throw relayErrors.make(
      "upstream-unavailable",
      { reason: result.code },
      { retryAfter: Math.min(Math.max(Math.ceil(result.after / 1000), 5), 3600) },
    );
  const { problem } = result;
  return reply.code(problem.status).type(problemContentType).send(JSON.stringify(problem));
}

/** Titles whose text the server is known to have; bounded, those asked for longest ago are forgotten first. */
export interface KnownTitles {
  readonly size: number;
  /** Of these packed hashes those to ask for, packed. */
  notKnown(asked: Buffer): Buffer;
  /** Of `asked` the server does not have `unknown`; so it has the rest. */
  learn(asked: Buffer, unknown: Buffer): void;
  /** The server turned out not to know one: nothing is certain any more. */
  forget(): void;
}

export function createKnownTitles(limit = 200_000): KnownTitles {
  const known = new Set<string>();
  const nameOf = (hash: Buffer): string => hash.toString("latin1");
  return {
    get size() {
      return known.size;
    },
    notKnown(asked) {
      const open: Buffer[] = [];
      for (const hash of eachHash(asked)) {
        const name = nameOf(hash);
        if (known.delete(name)) known.add(name);
        else open.push(hash);
      }
      return packHashes(open);
    },
    learn(asked, unknown) {
      const missing = new Set([...eachHash(unknown)].map(nameOf));
      for (const hash of eachHash(asked)) {
        const name = nameOf(hash);
        if (missing.has(name)) continue;
        known.add(name);
        if (known.size > limit) known.delete(known.values().next().value as string);
      }
    },
    forget: () => known.clear(),
  };
}
