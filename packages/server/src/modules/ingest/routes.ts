/**
 * Purpose: `/ingest/v1/reports`, `/ingest/v1/titles` and the import of inventory files. The rest of `/ingest/v1` is in modules/nodes.
 */
import { gunzip, type ZlibOptions } from "node:zlib";
import * as zlib from "node:zlib";
import { promisify } from "node:util";
import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { maxBatchBytes, reportsContentType, ReportsResponse, unpackBatch, maxTitles } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import { serverErrors } from "../../errors.ts";
import type { Authorize } from "../../http/authorize.ts";
import { jsonItems } from "../../http/json-items.ts";
import { eachPolitely, slicesOf } from "../../slices.ts";
import type { Titles } from "../inventory/titles.ts";
import type { InventoryImport } from "./inventories.ts";
import type { Intake } from "./intake.ts";
import type { NextContact } from "./next-contact.ts";

const gunzipAsync = promisify<Uint8Array, ZlibOptions, Buffer>(gunzip);
// Node 22.15 and later; without it zstd is refused with the encodings that are understood.
const zstd = (zlib as { zstdDecompress?: (b: Uint8Array, o: object, cb: (e: Error | null, r: Buffer) => void) => void })
  .zstdDecompress;

export function ingestRoutes(
  app: FastifyInstance,
  deps: {
    readonly intake: Intake;
    readonly titles: Titles;
    readonly inventories: InventoryImport;
    readonly authorize: Authorize;
    readonly clock: Clock;
    readonly dictionary: () => number;
    readonly nextContact: NextContact;
  },
): void {
  const { authorize } = deps;
  for (const type of [reportsContentType, "application/octet-stream"])
    app.addContentTypeParser(type, { parseAs: "buffer", bodyLimit: maxBatchBytes }, (_request, body, done) =>
      done(null, body),
    );

  app.post<{ Body: Buffer }>(
    "/ingest/v1/reports",
    {
      onRequest: authorize.node("agent", "relay"),
      schema: { hide: true, response: { 200: ReportsResponse } },
    },
    async (request) => {
      if (!Buffer.isBuffer(request.body))
        throw serverErrors.make("media-type-unsupported", {
          type: request.headers["content-type"] ?? "(none)",
          supported: reportsContentType,
        });
      const since = deps.clock.now();
      const bytes = await decode(request.body, request.headers["content-encoding"]);
      const envelopes = unpackBatch(bytes);
      if (envelopes === undefined)
        throw serverErrors.make("input-invalid", { faults: "the batch is torn or holds too many envelopes" });
      const results = await deps.intake.submit(envelopes, request.node?.id);
      const now = deps.clock.now();
      const nextContactSeconds = deps.nextContact(now - since);
      return {
        results,
        dictionary: deps.dictionary(),
        time: new Date(now).toISOString(),
        ...(nextContactSeconds !== undefined && { nextContactSeconds }),
      };
    },
  );

  app.post<{ Body: Buffer }>(
    "/ingest/v1/titles",
    { onRequest: authorize.node("agent", "relay"), schema: { hide: true } },
    async (request, reply) => {
      const hashes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      if (hashes.length % 8 !== 0 || hashes.length > maxTitles * 8 * 50)
        throw serverErrors.make("input-invalid", { faults: "the body is a run of 8-byte title hashes" });
      return reply.type("application/octet-stream").send(await deps.titles.unknown(hashes));
    },
  );

  app.register((scope, _options, done) => {
    inventoryRoutes(scope, deps);
    done();
  });
}

function inventoryRoutes(
  app: FastifyInstance,
  { inventories, authorize }: { readonly inventories: InventoryImport; readonly authorize: Authorize },
): void {
  // Tens of megabytes: they stay bytes until they are parsed one by one. Putting them together took long enough.
  app.addContentTypeParser(
    ["application/json", "application/x-ndjson"],
    { parseAs: "buffer", bodyLimit: 64 * 1024 * 1024 },
    (_request, body, done) => void setImmediate(done, null, body),
  );
  app.post<{ Body: Buffer }>(
    "/api/v1/imports/inventories",
    {
      bodyLimit: 64 * 1024 * 1024,
      onRequest: authorize.role("manager"),
      schema: {
        tags: ["imports"],
        summary: "Take in inventories made by `daicho agent scan`: one, a list, or one per line (application/x-ndjson)",
        response: {
          200: Type.Object({
            items: Type.Array(
              Type.Object({
                status: Type.String({ description: "stored, older (what is held is newer) or rejected" }),
                device: Type.Optional(Type.String()),
                faults: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
              }),
            ),
          }),
        },
      },
    },
    async (request) => {
      const list: unknown[] = [];
      await eachPolitely(jsonItems(request.body), (value) => void list.push(value));
      const items = [];
      // Slices, so that a long file neither blocks the loop nor holds the store.
      for await (const slice of slicesOf(list, 50)) items.push(...(await inventories.store(slice)));
      return { items };
    },
  );
}

async function decode(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  try {
    if (encoding === undefined || encoding === "identity") return body;
    if (encoding === "gzip") return await gunzipAsync(body, { maxOutputLength: maxBatchBytes });
    if (encoding === "zstd" && zstd !== undefined) {
      const inflate = zstd;
      return await new Promise((resolve, reject) =>
        inflate(body, { maxOutputLength: maxBatchBytes }, (error, result) =>
          error === null ? resolve(result) : reject(error),
        ),
      );
    }
  } catch {
    throw serverErrors.make("input-invalid", {
      faults: `the body is not ${encoding}, or larger than ${maxBatchBytes} bytes when unpacked`,
    });
  }
  throw serverErrors.make("media-type-unsupported", {
    type: encoding,
    supported: zstd === undefined ? "gzip" : "gzip or zstd",
  });
}
