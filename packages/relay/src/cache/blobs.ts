/**
 * Purpose: content by digest, fetched once from the node above and kept on disk for the nodes below.
 * Invariants: a file stands under its digest only after its bytes were hashed to it; the cache stays within its bound (used
 * longest ago goes first); memory holds one piece at a time, however large the content; a fetch goes on where it stopped.
 * Failure: not there above → unknown; the node above is gone → the caller says so and asks again.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Log } from "@daicho/kernel";
import type { Problem } from "@daicho/protocol";
import type { Uplink, UplinkResult } from "@daicho/uplink";
import type { Bandwidth } from "../forward/bandwidth.ts";

export interface Blob {
  readonly path: string;
  readonly size: number;
}

export type BlobFetch =
  | { readonly kind: "held"; readonly blob: Blob }
  | { readonly kind: "retry"; readonly code: string; readonly after: number }
  | { readonly kind: "refused"; readonly problem: Problem }
  /** What came does not hash to the digest, or does not fit the cache. */
  | { readonly kind: "unusable"; readonly code: "blob-altered" | "blob-too-large" };

export interface BlobCache {
  readonly bytes: number;
  /** Fetches what is not held; calls for the same digest share one fetch. */
  get(digest: string): Promise<BlobFetch>;
  stop(): Promise<void>;
}

export interface BlobCacheOptions {
  readonly dir: string;
  readonly maxBytes: number;
  readonly uplink: Pick<Uplink, "request" | "upstream">;
  readonly bandwidth: Bandwidth;
  readonly clock: Clock;
  readonly log: Log;
  readonly pieceBytes?: number;
}

export async function openBlobCache(options: BlobCacheOptions): Promise<BlobCache> {
  const { dir, maxBytes, uplink, bandwidth, clock, log } = options;
  const pieceBytes =
    options.pieceBytes ?? Math.min(4 * 1024 * 1024, Math.max(64 * 1024, (bandwidth.rate ?? Infinity) * 2));
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const held = await list(dir);
  let bytes = [...held.values()].reduce((sum, size) => sum + size, 0);
  const fetching = new Map<string, Promise<BlobFetch>>();
  const stopping = new AbortController();

  async function get(digest: string): Promise<BlobFetch> {
    const size = held.get(digest);
    const path = join(dir, digest);
    if (size !== undefined && (await stat(path).catch(() => undefined))?.size === size) {
      // Used now: to the end of the line, and on disk for the next start.
      held.delete(digest);
      held.set(digest, size);
      await utimes(path, clock.now() / 1000, clock.now() / 1000).catch(() => undefined);
      return { kind: "held", blob: { path, size } };
    }
    if (size !== undefined) await drop(digest);
    const known = fetching.get(digest);
    if (known !== undefined) return known;
    const fetched = fetch(digest).finally(() => fetching.delete(digest));
    fetching.set(digest, fetched);
    return fetched;
  }

  async function fetch(digest: string): Promise<BlobFetch> {
    const partial = join(dir, `${digest}.part`);
    const file = await open(partial, "a+", 0o600);
    try {
      let size = (await file.stat()).size;
      for (;;) {
        await bandwidth.take(pieceBytes, stopping.signal);
        const piece = await uplink.request("GET", `/ingest/v1/blobs/${digest}`, {
          headers: { range: `bytes=${size}-${size + pieceBytes - 1}`, "accept-encoding": "identity" },
          signal: stopping.signal,
          maxBytes: pieceBytes,
        });
        if (piece.kind === "refused" && piece.problem.status === 416 && size > 0) break;
        if (piece.kind !== "ok") return await failed(piece, partial);
        const { status, headers, body } = piece.value;
        // A whole answer instead of a range: take it from the beginning.
        if (status === 200 && size > 0) await file.truncate((size = 0));
        await file.write(body);
        size += body.length;
        if (size > maxBytes) return await refuse(partial, digest, "blob-too-large");
        const total = totalOf(headers["content-range"]);
        if (status === 200 || body.length === 0 || (total !== undefined && size >= total)) break;
      }
      if ((await digestOf(partial)) !== digest) return await refuse(partial, digest, "blob-altered");
      await file.datasync();
      await makeRoom(size);
      await rename(partial, join(dir, digest));
      held.set(digest, size);
      bytes += size;
      return { kind: "held", blob: { path: join(dir, digest), size } };
    } finally {
      await file.close();
    }
  }

  async function failed(
    result: Exclude<UplinkResult<unknown>, { kind: "ok" }>,
    partial: string,
  ): Promise<Exclude<UplinkResult<unknown>, { kind: "ok" }>> {
    // What has come so far is kept for the next try, unless there is nothing to try.
    if (result.kind === "refused") await unlink(partial).catch(() => undefined);
    return result;
  }

  async function refuse(
    partial: string,
    digest: string,
    code: "blob-altered" | "blob-too-large",
  ): Promise<{ kind: "unusable"; code: "blob-altered" | "blob-too-large" }> {
    log.error("blob-refused", { upstream: uplink.upstream, digest, code });
    await unlink(partial).catch(() => undefined);
    return { kind: "unusable", code };
  }

  async function makeRoom(size: number): Promise<void> {
    for (const digest of [...held.keys()]) {
      if (bytes + size <= maxBytes) return;
      await drop(digest);
    }
  }

  async function drop(digest: string): Promise<void> {
    bytes -= held.get(digest) ?? 0;
    held.delete(digest);
    await unlink(join(dir, digest)).catch(() => undefined);
  }

  return {
    get bytes() {
      return bytes;
    },
    get,
    async stop() {
      stopping.abort();
      await Promise.allSettled(fetching.values());
    },
  };
}

/** What is in the directory, used longest ago first. */
async function list(dir: string): Promise<Map<string, number>> {
  const found: { name: string; size: number; at: number }[] = [];
  for (const name of await readdir(dir)) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    const { size, mtimeMs } = await stat(join(dir, name));
    found.push({ name, size, at: mtimeMs });
  }
  return new Map(found.sort((a, b) => a.at - b.at).map(({ name, size }) => [name, size]));
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

function totalOf(contentRange: string | undefined): number | undefined {
  const match = /\/(\d{1,15})$/.exec(contentRange ?? "");
  return match === null ? undefined : Number(match[1]);
}
