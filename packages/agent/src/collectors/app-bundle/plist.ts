/**
 * Purpose: the top-level dictionary of a property list (Info.plist), XML or binary, as flat text. The file may be hostile.
 * Invariants: only scalar values of the top dictionary are taken, so nesting, cycles and shared objects (a binary plist can name one
 * object a billion times) cost nothing: time and memory are bounded by the size of the bytes. Unknown kinds of value are left out;
 * a broken structure is a Fault.
 */
import { Fault } from "../findings.ts";
import { parseXmlPlist } from "./plist-xml.ts";

export type Plist = ReadonlyMap<string, string>;

export const maxPlist = 4 * 1024 * 1024;

export function parsePlist(bytes: Buffer): Plist {
  return bytes.toString("latin1", 0, 8) === "bplist00" ? parseBinary(bytes) : parseXmlPlist(bytes);
}

function parseBinary(bytes: Buffer): Plist {
  if (bytes.length < 8 + 32) throw new Fault("malformed", "the binary property list is cut off");
  const trailer = bytes.subarray(-32);
  const offsetSize = trailer[6] ?? 0;
  const referenceSize = trailer[7] ?? 0;
  const count = integer(trailer, 8, 8);
  const top = integer(trailer, 16, 8);
  const table = integer(trailer, 24, 8);
  const sizesFit = offsetSize >= 1 && offsetSize <= 8 && referenceSize >= 1 && referenceSize <= 8;
  if (!sizesFit || table + count * offsetSize > bytes.length - 32) {
    throw new Fault("malformed", "the binary property list's table does not fit the file");
  }

  const objectAt = (index: number): { kind: number; length: number; start: number } => {
    if (index >= count) throw new Fault("malformed", "the binary property list refers to an object that is not there");
    const offset = integer(bytes, table + index * offsetSize, offsetSize);
    const marker = integer(bytes, offset, 1);
    const [kind, low] = [marker >> 4, marker & 15];
    if (low !== 15 || kind === 0) return { kind, length: low, start: offset + 1 };
    const lengthMarker = integer(bytes, offset + 1, 1);
    const lengthSize = 1 << (lengthMarker & 15);
    if (lengthMarker >> 4 !== 1 || lengthSize > 8)
      throw new Fault("malformed", "the binary property list has a length of no kind");
    return { kind, length: integer(bytes, offset + 2, lengthSize), start: offset + 2 + lengthSize };
  };

  const scalar = (index: number): string | undefined => {
    const { kind, length, start } = objectAt(index);
    switch (kind) {
      case 0x0:
        return length === 8 ? "false" : length === 9 ? "true" : undefined;
      case 0x1:
        return length <= 3 ? String(integer(bytes, start, 1 << length)) : undefined;
      case 0x2:
        if (length === 2) return String(slice(bytes, start, 4).readFloatBE(0));
        return length === 3 ? String(slice(bytes, start, 8).readDoubleBE(0)) : undefined;
      case 0x5:
        return slice(bytes, start, length).toString("utf8");
      case 0x6:
        return Buffer.from(slice(bytes, start, length * 2))
          .swap16()
          .toString("utf16le");
      default:
        return undefined;
    }
  };

  const dictionary = objectAt(top);
  if (dictionary.kind !== 0xd) throw new Fault("malformed", "the property list is no dictionary");
  const { length, start } = dictionary;
  const references = slice(bytes, start, length * 2 * referenceSize);
  const entries = new Map<string, string>();
  let budget = bytes.length * 2;
  for (let i = 0; i < length; i++) {
    const key = scalar(integer(references, i * referenceSize, referenceSize));
    const value = scalar(integer(references, (length + i) * referenceSize, referenceSize));
    // Two entries may share one object; all of them together can still not be longer than the file.
    budget -= (key?.length ?? 0) + (value?.length ?? 0);
    if (budget < 0) throw new Fault("malformed", "the binary property list says the same too often");
    if (key !== undefined && value !== undefined) entries.set(key, value);
  }
  return entries;
}

function slice(bytes: Buffer, start: number, length: number): Buffer {
  if (!(start >= 0 && length >= 0 && start + length <= bytes.length)) {
    throw new Fault("malformed", "the binary property list refers beyond its end");
  }
  return bytes.subarray(start, start + length);
}

/** Big-endian; beyond 2^53 it is too big to be an offset anyway. */
function integer(bytes: Buffer, start: number, size: number): number {
  let value = 0;
  for (const byte of slice(bytes, start, size)) value = value * 256 + byte;
  return value;
}
