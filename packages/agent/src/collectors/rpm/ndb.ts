/**
 * Purpose: the blobs of rpm's own `Packages.db` (ndb; SUSE). Little-endian. A header of 32 bytes, pages of 4096 bytes with slots of 16
 * (magic, package, offset, count - both in blocks of 16 bytes), then blobs between a head and a tail.
 * On failure: a broken slot or blob is told to `fault` and skipped; a file that is no such database throws a Fault.
 */
import { Fault } from "../findings.ts";
import type { OpenFile } from "../rooted-files.ts";

const databaseMagic = 0x506d7052; // RpmP
const slotMagic = 0x746f6c53; // Slot
const blobMagic = 0x53626c42; // BlbS
const pageSize = 4096;
const unit = 16;
const headerSize = 32;
const maxBlobBytes = 64 * 1024 * 1024;

export function* ndbBlobs(file: OpenFile, fault: (message: string) => void): Generator<Buffer> {
  if (file.size < pageSize) throw new Fault("malformed", "is too short for an rpm database");
  const head = file.readAt(0, headerSize);
  if (head.readUInt32LE(0) !== databaseMagic) throw new Fault("malformed", "is no rpm database");
  if (head.readUInt32LE(4) !== 0)
    throw new Fault("unsupported", `is an rpm database of version ${head.readUInt32LE(4)}`);
  const slotPages = head.readUInt32LE(12);
  if (slotPages * pageSize > file.size) fault("the file ends inside its table of packages");

  for (let page = 0; page < slotPages && (page + 1) * pageSize <= file.size; page++) {
    const slots = file.readAt(page * pageSize, pageSize);
    for (let at = page === 0 ? headerSize : 0; at < pageSize; at += unit) {
      const offset = slots.readUInt32LE(at + 8) * unit;
      const length = slots.readUInt32LE(at + 12) * unit;
      if (slots.readUInt32LE(at) !== slotMagic) fault(`slot at ${page * pageSize + at} is damaged`);
      else if (offset !== 0) {
        const blob = readBlob(file, slots.readUInt32LE(at + 4), offset, length);
        if (typeof blob === "string") fault(`package ${slots.readUInt32LE(at + 4)} ${blob}`);
        else yield blob;
      }
    }
  }
}

function readBlob(file: OpenFile, index: number, offset: number, length: number): Buffer | string {
  if (length < headerSize || offset + length > file.size) return "lies outside the file";
  const head = file.readAt(offset, unit);
  const blobLength = head.readUInt32LE(12);
  if (head.readUInt32LE(0) !== blobMagic || head.readUInt32LE(4) !== index) return "is damaged";
  if (blobLength > length - unit || blobLength > maxBlobBytes) return "is longer than its place";
  return file.readAt(offset + unit, blobLength);
}
