/**
 * Purpose: reads a stretch of a segment record by record, in bounded memory, stepping over whatever is damaged.
 * Invariants (docs/specs/spool.md §3): an intact record is always found, whatever surrounds it; nothing that fails its
 * checksum, belongs to another segment or runs backwards is ever yielded. Cost is linear in the bytes read.
 */
import { decodeRecord, headerBytes, type DecodedRecord } from "./format.ts";
import type { SpoolFile } from "./fs.ts";

export interface Stretch {
  readonly file: SpoolFile;
  readonly marker: Buffer;
  /** Bytes from `start` up to `end` (never beyond what is committed). */
  readonly start: number;
  readonly end: number;
  /** Records outside first..last are leftovers of a failed write. */
  readonly first: number;
  readonly last: number;
  readonly chunkBytes?: number;
}

export interface FoundRecord extends DecodedRecord {
  readonly offset: number;
  readonly end: number;
}

export interface Damaged {
  readonly offset: number;
  readonly bytes: number;
  /** `leftover`: intact, but a later segment has begun at its position - the append it belonged to failed. */
  readonly kind: "corrupt" | "leftover";
}

export interface Scanner {
  /** The next records and damaged places, in file order; undefined at the end. */
  next(): Promise<readonly (FoundRecord | Damaged)[] | undefined>;
}

export function isDamaged(item: FoundRecord | Damaged): item is Damaged {
  return "kind" in item;
}

export function createScanner(stretch: Stretch): Scanner {
  const { file, marker, end } = stretch;
  const chunkBytes = stretch.chunkBytes ?? 1024 * 1024;
  let cursor = stretch.start;
  let highest = stretch.first - 1;
  let badFrom: number | undefined;
  let wanted = headerBytes;
  let fileEnd = end;

  return {
    async next() {
      if (cursor >= fileEnd && badFrom === undefined) return undefined;
      // A fresh buffer per chunk: yielded payloads are views into it and stay valid.
      const window = Buffer.allocUnsafe(Math.min(Math.max(chunkBytes, wanted), Math.max(fileEnd - cursor, 0)));
      const base = cursor;
      const filled = await file.read(window, base);
      if (filled < window.length) fileEnd = base + filled; // The file is shorter than it was: somebody cut it.
      const items = parse(window.subarray(0, filled), base);
      if (cursor >= fileEnd) {
        if (fileEnd < end) badFrom ??= fileEnd;
        damage(items, end);
        cursor = fileEnd;
      }
      return items;
    },
  };

  function parse(bytes: Buffer, base: number): (FoundRecord | Damaged)[] {
    const items: (FoundRecord | Damaged)[] = [];
    const final = base + bytes.length >= fileEnd;
    let at = 0;
    wanted = headerBytes;
    while (at < bytes.length) {
      const record = decodeRecord(bytes, at, marker);
      if (typeof record === "number" && base + at + record <= fileEnd && !final) {
        wanted = record;
        break;
      }
      if (typeof record === "object" && record.position > highest) {
        const offset = base + at;
        const behind = at + headerBytes + record.data.length;
        damage(items, offset);
        if (record.position > stretch.last) {
          items.push({ kind: "leftover", offset, bytes: behind - at });
        } else {
          highest = record.position;
          const { position, at: time, data } = record;
          items.push({ position, at: time, data, offset, end: base + behind });
        }
        at = behind;
        continue;
      }
      badFrom ??= base + at;
      const next = bytes.indexOf(marker, at + 1);
      // Without a marker in sight, the last seven bytes may be the beginning of one.
      at = next >= 0 ? next : final ? bytes.length : Math.max(at + 1, bytes.length - marker.length + 1);
      if (next < 0) break;
    }
    cursor = base + at;
    return items;
  }

  function damage(items: (FoundRecord | Damaged)[], upTo: number): void {
    if (badFrom !== undefined && upTo > badFrom)
      items.push({ kind: "corrupt", offset: badFrom, bytes: upTo - badFrom });
    badFrom = undefined;
  }
}
