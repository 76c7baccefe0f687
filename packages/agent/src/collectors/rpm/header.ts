/**
 * Purpose: one package of an rpm database: the header blob, big-endian. `il dl` (counts), il index entries of 16 bytes (tag, type,
 * offset, count), dl bytes of data.
 * Invariants: every count and offset is checked against the blob before use; a text ends at its NUL inside the data.
 * On failure: a Fault for a blob that is no header; an entry that points outside is a Fault too, because then nothing in it can be trusted.
 */
import { Fault } from "../findings.ts";

export interface RpmHeader {
  readonly name: string | undefined;
  readonly epoch: number | undefined;
  readonly version: string | undefined;
  readonly release: string | undefined;
  readonly arch: string | undefined;
  readonly vendor: string | undefined;
  readonly packager: string | undefined;
  /** Unix seconds. */
  readonly installTime: number | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

const tags = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  installTime: 1008,
  size: 1009,
  vendor: 1011,
  packager: 1015,
  arch: 1022,
  longSize: 5009,
} as const;
const int32 = 4;
const int64 = 5;
const textTypes = [6, 8, 9]; // string, array of strings, translated strings: the first is taken
const maxEntries = 65_535;

export function parseHeader(blob: Buffer): RpmHeader {
  if (blob.length < 8) throw new Fault("malformed", "a package header of less than 8 bytes");
  const count = blob.readUInt32BE(0);
  const dataLength = blob.readUInt32BE(4);
  const dataStart = 8 + count * 16;
  if (count > maxEntries || dataStart + dataLength > blob.length) {
    throw new Fault("malformed", "a package header longer than its record");
  }
  const data = blob.subarray(dataStart, dataStart + dataLength);
  const entries = new Map<number, { type: number; offset: number }>();
  for (let at = 8; at < dataStart; at += 16) {
    entries.set(blob.readUInt32BE(at), { type: blob.readUInt32BE(at + 4), offset: blob.readUInt32BE(at + 8) });
  }

  const text = (tag: number): string | undefined => {
    const entry = entries.get(tag);
    if (entry === undefined || !textTypes.includes(entry.type)) return undefined;
    const end = data.indexOf(0, entry.offset);
    if (entry.offset >= data.length || end === -1)
      throw new Fault("malformed", "a package header with text outside its data");
    return data.toString("utf8", entry.offset, end);
  };
  const number = (tag: number): number | undefined => {
    const entry = entries.get(tag);
    if (entry === undefined || (entry.type !== int32 && entry.type !== int64)) return undefined;
    if (entry.offset + (entry.type === int32 ? 4 : 8) > data.length) {
      throw new Fault("malformed", "a package header with a number outside its data");
    }
    return entry.type === int32 ? data.readUInt32BE(entry.offset) : Number(data.readBigUInt64BE(entry.offset));
  };

  return {
    name: text(tags.name),
    epoch: number(tags.epoch),
    version: text(tags.version),
    release: text(tags.release),
    arch: text(tags.arch),
    vendor: text(tags.vendor),
    packager: text(tags.packager),
    installTime: number(tags.installTime),
    size: number(tags.longSize) ?? number(tags.size),
  };
}
