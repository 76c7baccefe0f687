import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { tableCrc32, crc32 } from "./crc32.ts";
import {
  decodeRecord,
  decodeSlots,
  encodeRecord,
  encodeSlot,
  headerBytes,
  parseSegmentFileName,
  segmentFileName,
  slotBytes,
} from "./format.ts";

const position = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const marker = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));

test("the CRC by table is the CRC of zlib, for any bytes", () => {
  expect(tableCrc32(Buffer.from("123456789"))).toBe(0xcbf43926);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect(tableCrc32(bytes)).toBe(zlibCrc32(bytes));
      expect(crc32(bytes)).toBe(zlibCrc32(bytes));
    }),
  );
});

test("spool §2.1: a segment's name says its sequence, first position and marker, and nothing else is taken for one", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 53 - 1 }), position, marker, (sequence, first, bytes) => {
      const name = { sequence, first, marker: bytes };
      expect(parseSegmentFileName(segmentFileName(name))).toEqual(name);
    }),
  );
  for (const other of ["lock", "acked", "x.seg", "00000001-00000000000001-0011223344556677.seg.bak", ".seg"])
    expect(parseSegmentFileName(other)).toBeUndefined();
});

test("spool §3: a record reads back as it was written, and as nothing once any one bit of it is flipped", () => {
  fc.assert(
    fc.property(
      ...([marker, position, position, fc.uint8Array({ maxLength: 60 }), fc.nat()] as const),
      (bytes, at, when, data, bit) => {
        const record = { marker: bytes, position: at, at: when, data };
        const into = Buffer.alloc(headerBytes + data.length);
        expect(encodeRecord(into, 0, record)).toBe(into.length);
        expect(decodeRecord(into, 0, bytes)).toEqual({ position: at, at: when, data: Buffer.from(data) });
        const place = bit % (into.length * 8);
        into[place >> 3] = (into[place >> 3] ?? 0) ^ (1 << (place & 7));
        // A changed length may ask for more bytes than there are; it never yields a record.
        expect(typeof decodeRecord(into, 0, bytes)).not.toBe("object");
      },
    ),
  );
});

test("spool §4.1: of two slots the higher valid one counts; with none valid nothing is acknowledged", () => {
  const slots = Buffer.concat([encodeSlot(700), encodeSlot(699)]);
  expect(decodeSlots(slots)).toBe(700);
  slots[1] = 0xff;
  expect(decodeSlots(slots)).toBe(699);
  slots[slotBytes + 9] = (slots[slotBytes + 9] ?? 0) ^ 1;
  expect(decodeSlots(slots)).toBe(0);
  expect(decodeSlots(Buffer.alloc(0))).toBe(0);
  expect(decodeSlots(Buffer.from("garbage of any length"))).toBe(0);
});
