/**
 * Purpose: JSON bodies that come gzipped. A preParsing hook: what is behind it sees the unpacked bytes, and the route's bodyLimit
 * counts those - so a small body that unpacks to something huge is refused while it is being unpacked.
 */
import { createGunzip } from "node:zlib";
import type { preParsingHookHandler, RequestPayload } from "fastify";
import { serverErrors } from "../errors.ts";

export const unpackGzip: preParsingHookHandler = (request, _reply, payload, done) => {
  const encoding = request.headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "") return done(null, payload);
  if (encoding !== "gzip")
    return done(
      serverErrors.make("media-type-unsupported", { type: encoding.slice(0, 32), supported: "gzip, or no encoding" }),
    );
  const gunzip = createGunzip();
  const unpacked: RequestPayload = gunzip;
  unpacked.receivedEncodedLength = 0;
  payload.on("data", (part: Buffer) => {
    unpacked.receivedEncodedLength = (unpacked.receivedEncodedLength ?? 0) + part.length;
  });
  payload.on("error", (error) => gunzip.destroy(error));
  // Whoever reads has a listener of its own - until it gave up; a late error must not end the process.
  gunzip.on("error", () => undefined);
  payload.pipe(gunzip);
  done(null, unpacked);
};
