/**
 * Purpose: sets of device ordinals as containers of 65,536, the form postings are stored and answered in.
 * A container is a kind byte and its payload; the kind is told by the byte, never by the length:
 *   0  sorted 16-bit numbers (written by earlier versions, read still)
 *   1  bitmap of 8,192 bytes
 *   2  differences between sorted numbers as varints: a byte each where a title is on more than one device in 128
 * A set of ordinals is a map chunk → container.
 */
import { readVarint, writeVarint } from "../../db/varint.ts";

export const chunkSize = 65_536;
export const chunkOf = (device: number): number => Math.floor(device / chunkSize);
const bitmapBytes = chunkSize / 8;

/** The members of a container (numbers below 65,536), ascending. */
export function* members(container: Uint8Array): Generator<number> {
  if (container[0] === 1) yield* bitsIn(container.subarray(1));
  else if (container[0] === 2) {
    let member = 0;
    for (let at = 1; at < container.length;) {
      const [step, next] = readVarint(container, at);
      yield (member += step);
      at = next;
    }
  } else
    for (let at = 1; at + 1 < container.length; at += 2)
      yield (container[at] as number) | ((container[at + 1] as number) << 8);
}

export function containerSize(container: Uint8Array): number {
  if (container[0] === 1) return popcount(container.subarray(1));
  if (container[0] !== 2) return (container.length - 1) / 2;
  let count = 0;
  for (let at = 1; at < container.length; at++) if ((container[at] as number) < 0x80) count++;
  return count;
}

/** The container as a bitmap of 8,192 bytes. */
function bitmapOf(container: Uint8Array | undefined): Uint8Array {
  const bits = new Uint8Array(bitmapBytes);
  if (container !== undefined) layContainer(bits, container);
  return bits;
}

/** Sets the container's members, besides what is set. */
function layContainer(bits: Uint8Array, container: Uint8Array): void {
  if (container[0] === 1) layOver(bits, container.subarray(1));
  else if (container[0] !== 2)
    for (const member of members(container)) bits[member >> 3] = (bits[member >> 3] as number) | (1 << (member & 7));
  else {
    // The inner loop of "who has it": without a generator it takes a tenth.
    let member = 0;
    let step = 0;
    let shift = 0;
    for (let at = 1; at < container.length; at++) {
      const byte = container[at] as number;
      step |= (byte & 0x7f) << shift;
      if (byte >= 0x80) {
        shift += 7;
        continue;
      }
      member += step;
      bits[member >> 3] = (bits[member >> 3] as number) | (1 << (member & 7));
      step = 0;
      shift = 0;
    }
  }
}

/** How many members the containers have with these changes, oldest first (`~device` where it went). */
export function sizeWith(
  containers: ReadonlyMap<number, Uint8Array> | undefined,
  changes: readonly Int32Array[],
): number {
  if (changes.every((list) => list.length === 0)) {
    let size = 0;
    for (const container of containers?.values() ?? []) size += containerSize(container);
    return size;
  }
  let most = changes.reduce((sum, list) => sum + list.length, 0);
  for (const container of containers?.values() ?? []) most += containerSize(container);
  if (most <= few) {
    const set = new Set<number>();
    for (const [chunk, container] of containers ?? [])
      for (const member of members(container)) set.add(chunk * chunkSize + member);
    for (const list of changes)
      for (const entry of list)
        if (entry < 0) set.delete(~entry);
        else set.add(entry);
    return set.size;
  }
  const union = createBitmapUnion();
  union.add(containers, changes);
  return union.size();
}

/** A set this small is merged as numbers: most titles are rare, and a bitmap is 8 KB to fill and to read. */
const few = 512;

/** Applies (offset → present?) to a container; undefined where the result is empty. */
export function changeContainer(
  container: Uint8Array | undefined,
  changes: ReadonlyMap<number, boolean>,
): Buffer | undefined {
  const size = container === undefined ? 0 : containerSize(container);
  if (size + changes.size <= few) {
    const set = new Set(container === undefined ? [] : members(container));
    for (const [offset, present] of changes)
      if (present) set.add(offset);
      else set.delete(offset);
    return set.size === 0 ? undefined : packSteps(Uint16Array.from(set).sort());
  }
  const bits = bitmapOf(container);
  for (const [offset, present] of changes) {
    const byte = bits[offset >> 3] as number;
    bits[offset >> 3] = present ? byte | (1 << (offset & 7)) : byte & ~(1 << (offset & 7));
  }
  const count = popcount(bits);
  if (count === 0) return undefined;
  const steps = count >= bitmapBytes ? undefined : packSteps(bitsIn(bits));
  return steps === undefined || steps.length > bitmapBytes + 1 ? Buffer.concat([Buffer.of(1), bits]) : steps;
}

export type BitmapUnion = ReturnType<typeof createBitmapUnion>;

/**
 * Devices of several titles together: bits of each are laid over each other, so a product on a million machines costs its bitmaps, not its devices. Where
 * a chunk is named, others are passed over.
 */
export function createBitmapUnion(only?: number) {
  const chunks = new Map<number, Uint8Array>();
  const over = (chunk: number): Uint8Array => {
    let bits = chunks.get(chunk);
    if (bits === undefined) chunks.set(chunk, (bits = new Uint8Array(bitmapBytes)));
    return bits;
  };
  return {
    /** One title's containers with its changes since, oldest first (`~device` where it went). */
    add(containers: ReadonlyMap<number, Uint8Array> | undefined, changes: readonly Int32Array[]): void {
      const changed = new Map<number, Uint8Array>();
      for (const list of changes)
        for (const entry of list) {
          const device = entry < 0 ? ~entry : entry;
          const chunk = chunkOf(device);
          if (only !== undefined && chunk !== only) continue;
          let bits = changed.get(chunk);
          if (bits === undefined) changed.set(chunk, (bits = bitmapOf(containers?.get(chunk))));
          const member = device % chunkSize;
          const byte = bits[member >> 3] as number;
          bits[member >> 3] = entry < 0 ? byte & ~(1 << (member & 7)) : byte | (1 << (member & 7));
        }
      for (const [chunk, container] of containers ?? []) {
        if (changed.has(chunk) || (only !== undefined && chunk !== only)) continue;
        layContainer(over(chunk), container);
      }
      for (const [chunk, bits] of changed) layOver(over(chunk), bits);
    },
    size(): number {
      let count = 0;
      for (const bits of chunks.values()) count += popcount(bits);
      return count;
    },
    /** Those in one chunk, ascending. */
    *devices(chunk: number): Generator<number> {
      const bits = chunks.get(chunk);
      if (bits !== undefined) for (const member of bitsIn(bits)) yield chunk * chunkSize + member;
    },
  };
}

function layOver(bits: Uint8Array, other: Uint8Array): void {
  for (let at = 0; at < bitmapBytes; at++) bits[at] = (bits[at] as number) | (other[at] as number);
}

function packSteps(sorted: Iterable<number>): Buffer {
  let out = Buffer.alloc(1024);
  out[0] = 2;
  let at = 1;
  let last = 0;
  for (const member of sorted) {
    if (at + 3 > out.length) out = Buffer.concat([out, Buffer.alloc(out.length)]);
    at = writeVarint(out, at, member - last);
    last = member;
  }
  return Buffer.from(out.subarray(0, at));
}

function* bitsIn(bits: Uint8Array): Generator<number> {
  for (let byte = 0; byte < bitmapBytes; byte++)
    for (let rest = bits[byte] as number; rest !== 0; rest &= rest - 1)
      yield byte * 8 + (31 - Math.clz32(rest & -rest));
}

function popcount(bits: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bits.length; at++) {
    let n = bits[at] as number;
    n -= (n >> 1) & 0x55;
    n = (n & 0x33) + ((n >> 2) & 0x33);
    count += (n + (n >> 4)) & 0x0f;
  }
  return count;
}
