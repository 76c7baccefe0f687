/**
 * Purpose: one registry hive as Windows keeps it on disk ("regf"), read without Windows: keys, subkeys and values, nothing else.
 * Format: a base block of 4,096 bytes, then bins of cells; a cell begins with its size (negative = in use). Cells point to each other by their
 * offset behind the base block: `nk` a key, `lf` `lh` `li` `ri` lists of subkeys, `vk` a value, `db` a value above 16,344 bytes.
 * Sources: Windows registry file format specification (M. Suhanov), checked against hives written by Samba's and hivex's tools.
 * Invariants: every offset, count and size is checked against the file before it is used; lists and names are bounded and no chain is followed
 * in a circle, so no hive makes it crash, hang or grow. A key or value that cannot be read is told to `onFault` with its offset and left out; the
 * rest of the hive stays readable.
 */
import { Fault } from "../findings.ts";
import type { OpenFile } from "../rooted-files.ts";
import { decodeValue, type RegistryValue } from "./tree.ts";

export interface Hive {
  readonly root: HiveKey;
  /** Changes that Windows had not yet written into the file lie in its log: the newest of it is not here. */
  readonly unfinished: boolean;
}

export interface HiveKey {
  readonly name: string;
  subkeys(): readonly HiveKey[];
  values(): readonly RegistryValue[];
  child(name: string): HiveKey | undefined;
}

const baseBytes = 4096;
const none = 0xffffffff;
const maxCellBytes = 1024 * 1024;
const maxSubkeys = 200_000;
const maxValues = 20_000;
/** Windows' own limit for a value that is kept in one cell. */
const bigValueBytes = 16_344;

/** @throws Fault where the file is no hive. */
export function openHive(file: OpenFile, onFault: (fault: Fault) => void): Hive {
  const base = file.size < baseBytes ? Buffer.alloc(0) : file.readAt(0, 512);
  if (base.length === 0 || base.toString("latin1", 0, 4) !== "regf")
    throw new Fault("malformed", "is no registry hive");

  function told<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      onFault(error);
      return undefined;
    }
  }
  const each = <T>(offsets: readonly number[], read: (offset: number) => T): T[] =>
    offsets.flatMap((offset) => told(() => [read(offset)]) ?? []);

  function cell(offset: number): Buffer {
    const at = baseBytes + offset;
    if (offset === none || offset % 8 !== 0 || at + 8 > file.size) throw bad(offset);
    const size = -file.readAt(at, 4).readInt32LE(0);
    if (size < 8 || size > maxCellBytes || at + size > file.size) throw bad(offset);
    return file.readAt(at + 4, size - 4);
  }

  /** Offsets of the `nk` cells that a list names; `ri` lists name other lists, one level deep. */
  function listed(offset: number, deep = true): number[] {
    const list = cell(offset);
    const kind = list.toString("latin1", 0, 2);
    const count = list.readUInt16LE(2);
    const width = kind === "lf" || kind === "lh" ? 8 : 4;
    if (!["lf", "lh", "li", "ri"].includes(kind) || list.length < 4 + count * width) throw bad(offset);
    const offsets = Array.from({ length: count }, (_, i) => list.readUInt32LE(4 + i * width));
    if (kind !== "ri") return offsets;
    if (!deep) throw bad(offset);
    const all: number[] = [];
    for (const one of offsets) {
      all.push(...listed(one, false));
      if (all.length > maxSubkeys) throw new Fault("too-large", `a key has more than ${maxSubkeys} subkeys`);
    }
    return all;
  }

  function key(offset: number): HiveKey {
    const nk = cell(offset);
    if (nk.toString("latin1", 0, 2) !== "nk" || nk.length < 76) throw bad(offset);
    const count = nk.readUInt32LE(20);
    const nameBytes = nk.readUInt16LE(72);
    if (76 + nameBytes > nk.length || count > maxSubkeys) throw bad(offset);
    let subkeys: readonly HiveKey[] | undefined;
    const made: HiveKey = {
      name: text(nk.subarray(76, 76 + nameBytes), (nk.readUInt16LE(2) & 0x20) !== 0),
      subkeys() {
        subkeys ??= count === 0 ? [] : each(told(() => listed(nk.readUInt32LE(28)).slice(0, count)) ?? [], key);
        return subkeys;
      },
      values() {
        const count = nk.readUInt32LE(36);
        if (count === 0) return [];
        const offsets = told(() => {
          if (count > maxValues) throw new Fault("too-large", `a key has more than ${maxValues} values`);
          const list = cell(nk.readUInt32LE(40));
          if (list.length < count * 4) throw bad(offset);
          return Array.from({ length: count }, (_, i) => list.readUInt32LE(i * 4));
        });
        return each(offsets ?? [], value);
      },
      child(name) {
        const wanted = name.toLowerCase();
        return made.subkeys().find((one) => one.name.toLowerCase() === wanted);
      },
    };
    return made;
  }

  function value(offset: number): RegistryValue {
    const vk = cell(offset);
    if (vk.toString("latin1", 0, 2) !== "vk" || vk.length < 20) throw bad(offset);
    const nameBytes = vk.readUInt16LE(2);
    if (20 + nameBytes > vk.length) throw bad(offset);
    const name = text(vk.subarray(20, 20 + nameBytes), (vk.readUInt16LE(16) & 1) !== 0);
    const size = vk.readUInt32LE(4);
    // Up to four bytes stand in the place of their offset.
    const inline = (size & 0x80000000) !== 0;
    const bytes = size & 0x7fffffff;
    if (inline && bytes > 4) throw bad(offset);
    const data = inline ? vk.subarray(8, 8 + bytes) : bytes === 0 ? Buffer.alloc(0) : bulk(vk.readUInt32LE(8), bytes);
    return decodeValue(name, vk.readUInt32LE(12), data);
  }

  function bulk(offset: number, bytes: number): Buffer {
    const data = cell(offset);
    if (bytes <= data.length && !(bytes > bigValueBytes && data.toString("latin1", 0, 2) === "db"))
      return data.subarray(0, bytes);
    if (data.toString("latin1", 0, 2) !== "db" || bytes > maxCellBytes) throw bad(offset);
    const parts: Buffer[] = [];
    const list = cell(data.readUInt32LE(4));
    let left = bytes;
    for (let i = 0; i < data.readUInt16LE(2) && left > 0; i++) {
      if (list.length < (i + 1) * 4) throw bad(offset);
      const part = cell(list.readUInt32LE(i * 4)).subarray(0, Math.min(left, bigValueBytes));
      parts.push(part);
      left -= part.length;
    }
    if (left > 0) throw bad(offset);
    return Buffer.concat(parts);
  }

  return { root: key(base.readUInt32LE(36)), unfinished: base.readUInt32LE(4) !== base.readUInt32LE(8) };
}

function text(bytes: Buffer, narrow: boolean): string {
  return narrow ? bytes.toString("latin1") : bytes.subarray(0, bytes.length & ~1).toString("utf16le");
}

function bad(offset: number): Fault {
  return new Fault("malformed", `the hive is damaged at offset ${baseBytes + (offset === none ? 0 : offset)}`);
}
