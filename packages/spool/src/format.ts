/**
 * Purpose: the bytes on disk and the names of files, docs/specs/spool.md §2 and §3. Pure: nothing here opens anything.
 *
 * A segment file is records, one after another, and nothing else. What is needed to read one stands in its name, where a
 * flipped bit in the file cannot reach it: `<sequence>-<first position>-<marker>.seg`, all hexadecimal. The marker is eight
 * random bytes made with the segment; every record begins with it, so after damage the next record is found by searching
 * for it - and no sender can put a forged record inside a payload, because senders never learn it.
 */
import { crc32 } from "./crc32.ts";

/** marker 8 · crc 4 · length 4 · position 8 · time 8, then the payload; the crc covers everything after itself. */
export const headerBytes = 32;
export const maxRecordBytes = 16 * 1024 * 1024;

export interface SegmentName {
  /** Rises by one with every segment; a hole says that a file is missing. */
  readonly sequence: number;
  /** Position of the first record this segment may hold. */
  readonly first: number;
  readonly marker: Buffer;
}

export function segmentFileName(name: SegmentName): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  return `${hex(name.sequence, 8)}-${hex(name.first, 14)}-${name.marker.toString("hex")}.seg`;
}

export function parseSegmentFileName(file: string): SegmentName | undefined {
  const match = /^([0-9a-f]{8,14})-([0-9a-f]{14})-([0-9a-f]{16})\.seg$/.exec(file);
  if (match === null) return undefined;
  const sequence = Number.parseInt(match[1] ?? "", 16);
  const first = Number.parseInt(match[2] ?? "", 16);
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(first) || first < 1) return undefined;
  return { sequence, first, marker: Buffer.from(match[3] ?? "", "hex") };
}

/** Writes one record into `into` at `offset`; returns the offset behind it. */
export function encodeRecord(
  into: Buffer,
  offset: number,
  record: { marker: Buffer; position: number; at: number; data: Uint8Array },
): number {
  const end = offset + headerBytes + record.data.length;
  record.marker.copy(into, offset);
  into.writeUInt32LE(record.data.length, offset + 12);
  writeWhole(into, record.position, offset + 16);
  writeWhole(into, Math.max(0, Math.trunc(record.at)), offset + 24);
  into.set(record.data, offset + headerBytes);
  into.writeUInt32LE(crc32(into.subarray(offset + 12, end)), offset + 8);
  return end;
}

export interface DecodedRecord {
  readonly position: number;
  /** When it was appended, milliseconds since 1970. */
  readonly at: number;
  readonly data: Buffer;
}

/** An unsigned 64-bit number; what is beyond the safe integers comes out as one that is not safe. */
function readWhole(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 0x1_0000_0000 + bytes.readUInt32LE(offset);
}

function writeWhole(into: Buffer, value: number, offset: number): void {
  into.writeUInt32LE(value % 0x1_0000_0000, offset);
  into.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
}

/**
 * Reads the record that begins at `offset`. A number = so many bytes are needed from `offset` to decide;
 * undefined = no intact record begins here.
 */
export function decodeRecord(bytes: Buffer, offset: number, marker: Buffer): DecodedRecord | number | undefined {
  if (bytes.length - offset < headerBytes) return headerBytes;
  if (bytes.compare(marker, 0, marker.length, offset, offset + marker.length) !== 0) return undefined;
  const length = bytes.readUInt32LE(offset + 12);
  if (length > maxRecordBytes) return undefined;
  const end = offset + headerBytes + length;
  if (end > bytes.length) return headerBytes + length;
  if (bytes.readUInt32LE(offset + 8) !== crc32(bytes.subarray(offset + 12, end))) return undefined;
  const position = readWhole(bytes, offset + 16);
  const at = readWhole(bytes, offset + 24);
  if (!Number.isSafeInteger(position) || !Number.isSafeInteger(at)) return undefined;
  return { position, at, data: bytes.subarray(offset + headerBytes, end) };
}

/**
 * The acked file is two slots of 16 bytes written in turn (position 8, crc 4, zero 4): a torn write spoils one, the other
 * still holds. The highest valid one counts; with none, nothing counts as acked and everything is sent again.
 */
export const slotBytes = 16;

export function encodeSlot(position: number): Buffer {
  const slot = Buffer.alloc(slotBytes);
  writeWhole(slot, position, 0);
  slot.writeUInt32LE(crc32(slot.subarray(0, 8)), 8);
  return slot;
}

export function decodeSlots(bytes: Buffer): number {
  let acked = 0;
  for (let offset = 0; offset + slotBytes <= bytes.length; offset += slotBytes) {
    if (bytes.readUInt32LE(offset + 8) !== crc32(bytes.subarray(offset, offset + 8))) continue;
    const position = readWhole(bytes, offset);
    if (Number.isSafeInteger(position)) acked = Math.max(acked, position);
  }
  return acked;
}
