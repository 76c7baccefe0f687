/**
 * Purpose: one segment as the open spool knows it, and how that knowledge is won back from the disk.
 * Invariants: `size` never covers a byte that is not synced; positions within are consecutive but for the noted gaps.
 */
import { join } from "node:path";
import { parseSegmentFileName, segmentFileName, type SegmentName } from "./format.ts";
import type { SpoolFs } from "./fs.ts";
import { createScanner, isDamaged } from "./scan.ts";

export interface Segment {
  readonly file: string;
  readonly path: string;
  readonly name: SegmentName;
  /** Bytes that are committed. */
  size: number;
  /** Position of its last record; first - 1 while it has none. */
  last: number;
  /** Positions that were damaged away, oldest first. */
  readonly gaps: { readonly from: number; readonly to: number }[];
  /** Where reading may begin and what the time was: one mark about every 64 KiB, and one a minute. */
  readonly marks: { readonly position: number; readonly offset: number; readonly at: number }[];
}

export interface Damage {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  /**
   * `torn`: a record that was being written when the process or the power died (never acknowledged, unless the file was cut).
   * `corrupt`: bytes that are no intact record. `missing`: a whole segment is gone. `leftover`: records of a failed write.
   */
  readonly kind: "torn" | "corrupt" | "missing" | "leftover";
}

const markEvery = 64 * 1024;
/** A quiet node fills 64 KiB in days: without it, what waits would seem to have waited since the first of them. */
const markEveryMs = 60_000;

export function newSegment(dir: string, name: SegmentName): Segment {
  const file = segmentFileName(name);
  return { file, path: join(dir, file), name, size: 0, last: name.first - 1, gaps: [], marks: [] };
}

/** Takes note of a record that is in the file at `offset`. */
export function note(segment: Segment, record: { position: number; at: number }, offset: number): void {
  if (record.position > segment.last + 1) segment.gaps.push({ from: segment.last + 1, to: record.position - 1 });
  segment.last = record.position;
  const mark = segment.marks.at(-1);
  if (mark === undefined || offset - mark.offset >= markEvery || record.at - mark.at >= markEveryMs)
    segment.marks.push({ position: record.position, offset, at: record.at });
}

/** Records of this segment behind `acked`. */
export function countAfter(segment: Segment, acked: number): number {
  const from = Math.max(acked + 1, segment.name.first);
  let count = Math.max(0, segment.last - from + 1);
  for (const gap of segment.gaps) count -= Math.max(0, gap.to - Math.max(gap.from, from) + 1);
  return count;
}

/** The last mark at or before `position`, where a read for it begins. */
export function markFor(
  segment: Segment,
  position: number,
): { position: number; offset: number; at: number } | undefined {
  let low = 0;
  let high = segment.marks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((segment.marks[middle]?.position ?? Infinity) <= position) low = middle;
    else high = middle - 1;
  }
  return segment.marks[low];
}

export interface Recovered {
  /** Oldest first; empty ones are gone from disk already. */
  readonly segments: Segment[];
  readonly nextPosition: number;
  readonly nextSequence: number;
  readonly damage: Damage[];
}

/**
 * Reads every segment from beginning to end (docs/specs/spool.md §5). What is damaged is stepped over and reported; a torn
 * end of the last segment is cut off. Nothing is appended to a recovered segment: new records begin a new one.
 */
export async function recoverSegments(options: { fs: SpoolFs; dir: string; acked: number }): Promise<Recovered> {
  const { fs, dir, acked } = options;
  const names = (await fs.list(dir))
    .map(parseSegmentFileName)
    .filter((name) => name !== undefined)
    .sort((a, b) => a.sequence - b.sequence || a.first - b.first);
  const segments: Segment[] = [];
  const damage: Damage[] = [];
  let before: { sequence: number; last: number } | undefined;
  for (const [index, name] of names.entries()) {
    const next = names[index + 1];
    const segment = newSegment(dir, name);
    const found = await recoverOne(fs, segment, next);
    damage.push(...found);
    const lost =
      before !== undefined && name.sequence > before.sequence + 1 && name.first > Math.max(before.last, acked) + 1;
    if (lost) damage.push({ file: segment.file, offset: 0, bytes: 0, kind: "missing" });
    before = { sequence: name.sequence, last: segment.last };
    if (segment.size === 0 || segment.last < name.first) {
      // Nothing in it to read; leaving it would only be found again at every start.
      await fs.unlink(segment.path);
    } else segments.push(segment);
  }
  const highest = Math.max(acked, ...names.map((n) => n.first - 1), ...segments.map((s) => s.last));
  return {
    segments,
    nextPosition: highest + 1,
    nextSequence: Math.max(0, ...names.map((n) => n.sequence)) + 1,
    damage,
  };
}

async function recoverOne(fs: SpoolFs, segment: Segment, next: SegmentName | undefined): Promise<Damage[]> {
  const damage: Damage[] = [];
  const file = await fs.open(segment.path, next === undefined ? "update" : "read");
  try {
    segment.size = await file.size();
    const { marker, first } = segment.name;
    const last = next === undefined ? Number.MAX_SAFE_INTEGER : next.first - 1;
    const scanner = createScanner({ file, marker, start: 0, end: segment.size, first, last });
    let end = 0;
    for (let items = await scanner.next(); items !== undefined; items = await scanner.next()) {
      for (const item of items) {
        if (isDamaged(item)) damage.push({ file: segment.file, ...item });
        else {
          note(segment, item, item.offset);
          end = item.end;
        }
      }
    }
    const tail = damage.at(-1);
    if (next === undefined && tail !== undefined && tail.offset === end && tail.kind === "corrupt") {
      damage[damage.length - 1] = { ...tail, kind: "torn" };
      await file.truncate(end);
      await file.datasync();
      segment.size = end;
    }
  } finally {
    await file.close();
  }
  return damage;
}
