/**
 * Purpose: the values of a Berkeley DB hash file, for rpm's `Packages` of before rpm 4.16 (CentOS 7, RHEL 8, Amazon Linux 2).
 * Format: page 0 is the hash metadata; hash pages hold key, value, key, value …; a value too long for a page is a chain of overflow
 * pages. Written in the byte order of the machine that made it; the magic number tells which.
 * Invariants: all pages are looked at once in file order (no bucket arithmetic); chains are bounded by their stated length.
 * On failure: a broken item is told to `fault` and skipped; a file that is no such database throws a Fault.
 */
import { Fault } from "../findings.ts";
import type { OpenFile } from "../rooted-files.ts";

const hashMagic = 0x061561;
const pageHeader = 26;
const pageTypes = { hashUnsorted: 2, overflow: 7, hash: 13 } as const;
const itemTypes = { keyData: 1, offPage: 3 } as const;
const maxValueBytes = 64 * 1024 * 1024;

interface Format {
  readonly pageSize: number;
  u16(bytes: Buffer, offset: number): number;
  u32(bytes: Buffer, offset: number): number;
}

export function* bdbValues(file: OpenFile, fault: (message: string) => void): Generator<Buffer> {
  const format = readMetadata(file);
  const { pageSize, u16, u32 } = format;
  for (let number = 1; (number + 1) * pageSize <= file.size; number++) {
    const page = file.readAt(number * pageSize, pageSize);
    const type = page.readUInt8(25);
    if (type !== pageTypes.hash && type !== pageTypes.hashUnsorted) continue;
    const count = u16(page, 20);
    if (pageHeader + count * 2 > pageSize) {
      fault(`page ${number} claims ${count} items`);
      continue;
    }
    const starts = Array.from({ length: count }, (_, index) => u16(page, pageHeader + index * 2));
    for (let index = 0; index + 1 < count; index += 2) {
      // Items are laid down from the end of the page: each ends where the one before it begins.
      const key = item(page, starts[index], index === 0 ? pageSize : starts[index - 1]);
      const value = item(page, starts[index + 1], starts[index]);
      if (key === undefined || value === undefined) {
        fault(`page ${number}, item ${index}: leaves its page`);
        continue;
      }
      if (isCounter(key)) continue;
      if (value[0] === itemTypes.keyData) yield value.subarray(1);
      else if (value[0] === itemTypes.offPage && value.length >= 12) {
        const long = overflow(file, format, u32(value, 4), u32(value, 8));
        if (typeof long === "string") fault(`page ${number}, item ${index}: ${long}`);
        else yield long;
      } else fault(`page ${number}, item ${index}: is of an unknown type`);
    }
  }
  if (file.size % pageSize !== 0) fault("the file ends in the middle of a page");
}

function readMetadata(file: OpenFile): Format {
  if (file.size < 512) throw new Fault("malformed", "is too short for a Berkeley DB file");
  const head = file.readAt(0, 72);
  const little = head.readUInt32LE(12) === hashMagic;
  if (!little && head.readUInt32BE(12) !== hashMagic) throw new Fault("malformed", "is no Berkeley DB hash file");
  if (head.readUInt8(24) !== 0) throw new Fault("unsupported", "is encrypted");
  const u16 = (bytes: Buffer, offset: number): number =>
    little ? bytes.readUInt16LE(offset) : bytes.readUInt16BE(offset);
  const u32 = (bytes: Buffer, offset: number): number =>
    little ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
  const pageSize = u32(head, 20);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) {
    throw new Fault("malformed", `has a page size of ${pageSize}`);
  }
  return { pageSize, u16, u32 };
}

function item(page: Buffer, start: number | undefined, end: number | undefined): Buffer | undefined {
  if (start === undefined || end === undefined || start < pageHeader || start >= end || end > page.length)
    return undefined;
  return page.subarray(start, end);
}

/** Record 0 is no package but the highest record number. */
function isCounter(key: Buffer): boolean {
  return key[0] === itemTypes.keyData && key.length === 5 && key.readUInt32LE(1) === 0;
}

function overflow(file: OpenFile, { pageSize, u16, u32 }: Format, first: number, length: number): Buffer | string {
  if (length > maxValueBytes) return `is ${length} bytes long`;
  const parts: Buffer[] = [];
  let missing = length;
  for (let number = first; missing > 0;) {
    if (number === 0 || (number + 1) * pageSize > file.size) return "its overflow pages end too early";
    const page = file.readAt(number * pageSize, pageSize);
    const part = page.subarray(pageHeader, pageHeader + Math.min(missing, u16(page, 22)));
    if (page.readUInt8(25) !== pageTypes.overflow || part.length === 0) return `page ${number} is no overflow page`;
    parts.push(part);
    missing -= part.length;
    number = u32(page, 16);
  }
  return Buffer.concat(parts, length);
}
