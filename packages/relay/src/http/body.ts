/**
 * Purpose: a request's body as the sender meant it: gzip or zstd unpacked, never beyond its bound.
 * Invariant: room for the unpacked size is reserved before unpacking; a body that unpacks to more than it claims is refused.
 */
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { relayErrors } from "../errors.ts";
import type { Ticket } from "./admission.ts";

const gunzip = promisify(zlib.gunzip);
type Unpack = (
  data: Uint8Array,
  options: { maxOutputLength: number },
  done: (error: Error | null, out: Buffer) => void,
) => void;
// Node 22.15 and later.
const zstd = (zlib as { zstdDecompress?: Unpack }).zstdDecompress;

/** @throws too-large, body-malformed, media-type-unsupported, overloaded */
export async function unpackBody(
  body: Buffer,
  encoding: string | undefined,
  options: { readonly limit: number; readonly ticket: Ticket },
): Promise<Buffer> {
  const { limit, ticket } = options;
  switch (encoding?.trim().toLowerCase() ?? "identity") {
    case "identity":
    case "":
      return body;
    case "gzip": {
      // The last four bytes of a gzip stream say how much it unpacks to.
      const claimed = body.length >= 18 ? body.readUInt32LE(body.length - 4) : 0;
      if (claimed > limit) throw relayErrors.make("too-large", { limit });
      ticket.more(claimed);
      try {
        return await gunzip(body, { maxOutputLength: Math.max(claimed, 1) });
      } catch (cause) {
        throw relayErrors.make("body-malformed", { encoding: "gzip" }, { cause });
      }
    }
    case "zstd":
      if (zstd !== undefined) {
        ticket.more(limit);
        try {
          return await promisify(zstd)(body, { maxOutputLength: limit });
        } catch (cause) {
          throw relayErrors.make("body-malformed", { encoding: "zstd" }, { cause });
        }
      }
  }
  throw relayErrors.make("media-type-unsupported", {
    encoding: (encoding ?? "").slice(0, 32),
    supported: zstd === undefined ? "gzip" : "gzip or zstd",
  });
}
