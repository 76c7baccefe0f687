/**
 * Purpose: sorted sets of ordinals as bytes: differences, as LEB128 variable-length numbers. A device's 700 titles take about a
 * byte each, because common titles have small ids.
 */

import { readVarint, writeVarint } from "../../db/varint.ts";

export function packSorted(ids: ArrayLike<number>): Buffer {
  const out = Buffer.allocUnsafe(ids.length * 5);
  let at = 0;
  let previous = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    at = writeVarint(out, at, id - previous);
    previous = id;
  }
  return Buffer.from(out.subarray(0, at));
}

/** @throws RangeError where the bytes end in the middle of a number */
export function unpackSorted(bytes: Uint8Array): Uint32Array {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) if (((bytes[i] as number) & 0x80) === 0) count++;
  const ids = new Uint32Array(count);
  let id = 0;
  let value = 0;
  let factor = 1;
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte < 0x80 && factor === 1) {
      ids[n++] = id += byte;
      continue;
    }
    value += (byte & 0x7f) * factor;
    if ((byte & 0x80) !== 0) {
      factor *= 128;
      continue;
    }
    id += value;
    ids[n++] = id;
    value = 0;
    factor = 1;
  }
  if (factor !== 1) throw new RangeError("packed numbers end early");
  return ids;
}

/** Sorted sets: what `to` has more and less than `from`. */
export function difference(from: Uint32Array, to: Uint32Array): { added: number[]; removed: number[] } {
  const added: number[] = [];
  const removed: number[] = [];
  let a = 0;
  let b = 0;
  while (a < from.length || b < to.length) {
    const x = from[a];
    const y = to[b];
    if (x === y) {
      a++;
      b++;
    } else if (y === undefined || (x !== undefined && x < y)) {
      removed.push(x as number);
      a++;
    } else {
      added.push(y);
      b++;
    }
  }
  return { added, removed };
}

/** `from` without `removed`, with `added`; undefined where they do not fit (removes what is not there, adds what is). */
export function applyDifference(from: Uint32Array, added: Uint32Array, removed: Uint32Array): Uint32Array | undefined {
  const out = new Uint32Array(
    from.length + added.length - removed.length < 0 ? 0 : from.length + added.length - removed.length,
  );
  let n = 0;
  let a = 0;
  let r = 0;
  for (let i = 0; i <= from.length; i++) {
    const current = i < from.length ? (from[i] as number) : Infinity;
    while (a < added.length && (added[a] as number) < current) out[n++] = added[a++] as number;
    if (a < added.length && added[a] === current) return undefined;
    if (i === from.length) break;
    if (r < removed.length && removed[r] === current) r++;
    else out[n++] = current;
  }
  return r === removed.length ? out : undefined;
}

/**
 * A change of a device's titles, for the append-only log: byte 0 = the device's first inventory (its titles are in its state), byte 1 = lists
 * of ids added and removed, each as varint length + packed ids.
 */
export type TitleChange =
  { readonly first: true } | { readonly first: false; readonly added: Uint32Array; readonly removed: Uint32Array };

export function packChange(
  change: { readonly added: ArrayLike<number>; readonly removed: ArrayLike<number> } | "first",
): Buffer {
  if (change === "first") return Buffer.of(0);
  const added = packSorted(change.added);
  const head = Buffer.alloc(6);
  head[0] = 1;
  const length = writeVarint(head, 1, added.length);
  return Buffer.concat([head.subarray(0, length), added, packSorted(change.removed)]);
}

export function unpackChange(bytes: Buffer): TitleChange {
  if (bytes[0] === 0) return { first: true };
  const [length, at] = readVarint(bytes, 1);
  return {
    first: false,
    added: unpackSorted(bytes.subarray(at, at + length)),
    removed: unpackSorted(bytes.subarray(at + length)),
  };
}
