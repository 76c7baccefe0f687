/**
 * Purpose: the blobs of one table of an SQLite file, for `rpmdb.sqlite`. Own reader of 200 lines rather than sql.js, because sql.js
 * (1.3 MB of WebAssembly) wants the whole file in memory - rpm databases of servers have 200 MB -, cannot read a database in WAL mode
 * whose -wal file was left behind (as container images have), and gives up at the first broken page.
 * Format: sqlite.org/fileformat2.html. Only table b-trees, the last BLOB column of each row.
 * Invariants: pages come from the -wal file where it has a valid committed frame for them; no page is visited twice; every length is
 * checked against page and file.
 * On failure: a broken page or row is told to `fault` and skipped; a file that is no SQLite database throws a Fault.
 */
import { Fault } from "../findings.ts";
import type { OpenFile } from "../rooted-files.ts";

const maxRowBytes = 64 * 1024 * 1024;
const maxDepth = 24;

interface Pages {
  readonly usable: number;
  /** Page numbers count from 1. */
  page(number: number): Buffer;
}

export function* tableBlobs(
  file: OpenFile,
  wal: OpenFile | undefined,
  table: string,
  fault: (message: string) => void,
): Generator<Buffer> {
  const pages = openPages(file, wal);
  for (const row of rows(pages, 1, fault)) {
    const [type, name, , rootPage] = guarded(() => columns(row), fault) ?? [];
    if (text(type) !== "table" || text(name)?.toLowerCase() !== table.toLowerCase()) continue;
    if (typeof rootPage !== "number" || rootPage < 2)
      throw new Fault("malformed", `the table ${table} has no root page`);
    for (const record of rows(pages, rootPage, fault)) {
      const blob = guarded(() => columns(record).findLast((value) => Buffer.isBuffer(value)), fault);
      if (Buffer.isBuffer(blob)) yield blob;
    }
    return;
  }
  throw new Fault("malformed", `there is no table ${table}`);
}

function openPages(file: OpenFile, wal: OpenFile | undefined): Pages {
  if (file.size < 512) throw new Fault("malformed", "is too short for an SQLite database");
  const head = file.readAt(0, 100);
  if (head.toString("latin1", 0, 16) !== "SQLite format 3\0") throw new Fault("malformed", "is no SQLite database");
  const stated = head.readUInt16BE(16);
  const size = stated === 1 ? 65_536 : stated;
  if (size < 512 || (size & (size - 1)) !== 0) throw new Fault("malformed", `has a page size of ${size}`);
  const usable = size - head.readUInt8(20);
  if (usable < 480) throw new Fault("malformed", "reserves too much of each page");
  const newer = wal === undefined ? new Map<number, number>() : walFrames(wal, size);
  return {
    usable,
    page(number) {
      const frame = newer.get(number);
      if (wal !== undefined && frame !== undefined) return wal.readAt(frame, size);
      if (number < 1 || number * size > file.size) throw new Fault("malformed", `page ${number} lies outside the file`);
      return file.readAt((number - 1) * size, size);
    },
  };
}

/** Offsets of the newest committed copy of each page. Frames count while salts and running checksum agree, up to the last commit. */
function walFrames(wal: OpenFile, pageSize: number): Map<number, number> {
  const committed = new Map<number, number>();
  if (wal.size < 32) return committed;
  const head = wal.readAt(0, 32);
  const magic = head.readUInt32BE(0);
  if ((magic & 0xfffffffe) >>> 0 !== 0x377f0682 || head.readUInt32BE(8) !== pageSize) return committed;
  const bigEndian = (magic & 1) === 1;
  let sum = checksum(head.subarray(0, 24), [0, 0], bigEndian);
  if (sum[0] !== head.readUInt32BE(24) || sum[1] !== head.readUInt32BE(28)) return committed;

  let pending = new Map<number, number>();
  const frameSize = 24 + pageSize;
  for (let at = 32; at + frameSize <= wal.size; at += frameSize) {
    const frame = wal.readAt(at, frameSize);
    if (frame.compare(head, 16, 24, 8, 16) !== 0) break;
    sum = checksum(frame.subarray(24), checksum(frame.subarray(0, 8), sum, bigEndian), bigEndian);
    if (sum[0] !== frame.readUInt32BE(16) || sum[1] !== frame.readUInt32BE(20)) break;
    pending.set(frame.readUInt32BE(0), at + 24);
    if (frame.readUInt32BE(4) !== 0) {
      for (const [page, offset] of pending) committed.set(page, offset);
      pending = new Map();
    }
  }
  return committed;
}

type Sum = readonly [number, number];

function checksum(bytes: Buffer, [first, second]: Sum, bigEndian: boolean): Sum {
  let a = first;
  let b = second;
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    a = (a + (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + b) >>> 0;
    b = (b + (bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + a) >>> 0;
  }
  return [a, b];
}

const interior = 0x05;
const leaf = 0x0d;

/** The payloads of a table b-tree, in row order. */
function* rows(
  pages: Pages,
  number: number,
  fault: (message: string) => void,
  visited = new Set<number>(),
  depth = 0,
): Generator<Buffer> {
  if (visited.has(number) || depth > maxDepth) return fault(`page ${number} is reached twice`);
  visited.add(number);
  const page = guarded(() => pages.page(number), fault);
  if (page === undefined) return;
  const start = number === 1 ? 100 : 0;
  const kind = page.readUInt8(start);
  const cells = page.readUInt16BE(start + 3);
  const pointers = start + (kind === interior ? 12 : 8);
  if ((kind !== interior && kind !== leaf) || pointers + cells * 2 > page.length) {
    return fault(`page ${number} is no page of a table`);
  }
  for (let cell = 0; cell < cells; cell++) {
    const offset = page.readUInt16BE(pointers + cell * 2);
    if (kind === interior) {
      const child = guarded(() => readUInt32(page, offset), fault);
      if (child !== undefined) yield* rows(pages, child, fault, visited, depth + 1);
    } else {
      const payload = guarded(() => cellPayload(pages, page, offset), fault);
      if (payload !== undefined) yield payload;
    }
  }
  if (kind === interior) yield* rows(pages, page.readUInt32BE(start + 8), fault, visited, depth + 1);
}

function cellPayload(pages: Pages, page: Buffer, offset: number): Buffer {
  const [length, afterLength] = varint(page, offset);
  const [, start] = varint(page, afterLength); // row id
  if (length > maxRowBytes) throw new Fault("too-large", `a row of ${length} bytes`);
  const local = localLength(length, pages.usable);
  if (start + local > page.length) throw new Fault("malformed", "a row that leaves its page");
  const parts = [page.subarray(start, start + local)];
  let missing = length - local;
  let next = missing > 0 ? readUInt32(page, start + local) : 0;
  while (missing > 0) {
    // The length bounds the chain, so a chain in a circle ends as well.
    const overflow = pages.page(next);
    const part = overflow.subarray(4, 4 + Math.min(missing, pages.usable - 4));
    parts.push(part);
    missing -= part.length;
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts, length);
}

/** How much of a row stands on the leaf itself (file format, "cell payload overflow"). */
function localLength(length: number, usable: number): number {
  const most = usable - 35;
  if (length <= most) return length;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const fitting = least + ((length - least) % (usable - 4));
  return fitting <= most ? fitting : least;
}

type Value = Buffer | number | null | { readonly text: string };

function columns(record: Buffer): Value[] {
  const [headerLength, first] = varint(record, 0);
  if (headerLength > record.length) throw new Fault("malformed", "a row header longer than its row");
  const values: Value[] = [];
  let at = headerLength;
  for (let place = first; place < headerLength;) {
    const [type, after] = varint(record, place);
    place = after;
    const length = type >= 12 ? Math.floor((type - 12) / 2) : ([0, 1, 2, 3, 4, 6, 8, 8, 0, 0][type] ?? 0);
    if (at + length > record.length) throw new Fault("malformed", "a column that leaves its row");
    const bytes = record.subarray(at, at + length);
    at += length;
    if (type >= 12) values.push(type % 2 === 0 ? bytes : { text: bytes.toString("utf8") });
    else if (type >= 1 && type <= 5) values.push(bytes.readIntBE(0, length));
    else values.push(type === 8 ? 0 : type === 9 ? 1 : null);
  }
  return values;
}

function text(value: Value | undefined): string | undefined {
  return typeof value === "object" && value !== null && "text" in value ? value.text : undefined;
}

function varint(bytes: Buffer, offset: number): [value: number, next: number] {
  let value = 0;
  for (let index = 0; index < 9; index++) {
    const byte = bytes[offset + index];
    if (byte === undefined) throw new Fault("malformed", "a number cut off");
    if (index === 8) return [value * 256 + byte, offset + 9];
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, offset + index + 1];
  }
  return [value, offset];
}

function readUInt32(bytes: Buffer, offset: number): number {
  if (offset + 4 > bytes.length) throw new Fault("malformed", "a page number cut off");
  return bytes.readUInt32BE(offset);
}

function guarded<T>(action: () => T, fault: (message: string) => void): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault(error.message);
    return undefined;
  }
}
