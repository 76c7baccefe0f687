/**
 * Purpose: content by its SHA-256 from the blob directory, with Range: `GET /ingest/v1/blobs/:sha256`.
 * Invariants: only a regular file whose content has the digest that is its name is ever served - one that is damaged or still
 * being copied is not there; the check is made once per size and time of change.
 */
import { createHash } from "node:crypto";
import { createReadStream, type ReadStream, type Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

export interface Blob {
  readonly size: number;
  open(range?: ByteRange): ReadStream;
}

export interface ByteRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

export interface Blobs {
  find(sha256: string): Promise<Blob | undefined>;
}

export function createBlobs(options: { readonly dir: string }): Blobs {
  const checked = new Map<string, { readonly stamp: string; readonly valid: Promise<boolean> }>();

  async function hasDigest(file: string, sha256: string): Promise<boolean> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    return hash.digest("hex") === sha256;
  }

  return {
    async find(sha256) {
      if (!/^[0-9a-f]{64}$/.test(sha256)) return undefined;
      const file = join(options.dir, sha256);
      let stats: Stats;
      try {
        stats = await lstat(file);
      } catch {
        return undefined;
      }
      if (!stats.isFile()) return undefined;
      const stamp = `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
      let check = checked.get(sha256);
      if (check?.stamp !== stamp) {
        if (checked.size >= 10_000) checked.delete(checked.keys().next().value as string);
        check = { stamp, valid: hasDigest(file, sha256).catch(() => false) };
        checked.set(sha256, check);
      }
      if (!(await check.valid)) return undefined;
      return { size: stats.size, open: (range) => createReadStream(file, range) };
    },
  };
}

/** One range of bytes; `invalid` where it lies outside, undefined where the header is none (then the whole is sent). */
export function parseRange(header: string | undefined, size: number): ByteRange | "invalid" | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const last = Math.min(Number(match[2]), size);
    return last === 0 ? "invalid" : { start: size - last, end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < start) return undefined;
  return start >= size ? "invalid" : { start, end };
}
