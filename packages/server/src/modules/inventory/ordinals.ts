/**
 * Purpose: sets of device ordinals as containers of 65,536, the form postings are stored and answered in.
 * A container is a kind byte and its payload; the kind is told by the byte, never by the length:
 *   0        sorted 16-bit numbers (written by earlier versions, read still)
 *   1        bitmap, as far as it has members; at most 8,192 bytes
 *   2        differences between sorted numbers as varints
 *   16 + k   varint count, then the gaps between members as Rice codes of k low bits (rice.ts): near the least that a title spread evenly can take
 *   32 + k   the same of the numbers that are missing below the last member; varint last + 1 comes first
 * Whichever is shortest is written. A set of ordinals is a map chunk → container.
 */
import { readVarint, writeVarint } from "../../db/varint.ts";
import { scattered } from "./scattered.ts";
import { packRice, unpackRice } from "./rice.ts";

export const chunkSize = 65_536;
export const chunkOf = (device: number): number => Math.floor(device / chunkSize);
const bitmapBytes = chunkSize / 8;
const bitmap = 1;
const steps = 2;
const rice = 16;
const missing = 32;

/** The members of a container (numbers below 65,536), ascending. */
export function members(container: Uint8Array): Uint16Array {
  const kind = container[0] as number;
  if (kind >= rice && kind < missing) {
    const [count, at] = readVarint(container, 1);
    return unpackRice(container.subarray(at), kind - rice, count).slice();
  }
  if (kind === 0 || kind === steps) {
    const list = new Uint16Array(containerSize(container));
    let member = 0;
    for (let at = 1, i = 0; i < list.length; i++)
      if (kind === 0) {
        list[i] = (container[at] as number) | ((container[at + 1] as number) << 8);
        at += 2;
      } else {
        const [step, next] = readVarint(container, at);
        list[i] = member += step;
        at = next;
      }
    return list;
  }
  return membersOf(bitmapOf(container));
}

/** Told by the first bytes, except of a bitmap and of what has a byte or two for each. */
export function containerSize(container: Uint8Array): number {
  const kind = container[0] as number;
  if (kind >= missing) {
    const [end, at] = readVarint(container, 1);
    return end - readVarint(container, at)[0];
  }
  if (kind >= rice) return readVarint(container, 1)[0];
  if (kind === bitmap) return popcount(container.subarray(1));
  if (kind !== steps) return (container.length - 1) / 2;
  let count = 0;
  for (let at = 1; at < container.length; at++) if ((container[at] as number) < 0x80) count++;
  return count;
}

/** The same where the beginning of a container tells it. */
export function sizeAhead(beginning: Uint8Array): number | undefined {
  return (beginning[0] as number) >= rice ? containerSize(beginning) : undefined;
}

/** Whether the beginning of a container is known to have all of its members below `upTo`. */
export function hasAllBelow(beginning: Uint8Array, upTo: number): boolean {
  const kind = beginning[0] as number;
  if (kind === bitmap) return (beginning.length - 1) * 8 >= upTo;
  if (kind < rice) return false;
  const dense = kind >= missing;
  const [count, at] = readVarint(beginning, dense ? readVarint(beginning, 1)[1] : 1);
  const list = unpackRice(beginning.subarray(at), kind - (dense ? missing : rice), count, 4 * upTo);
  // Of a code that is cut off something else is read: the last one does not count.
  return list.length > 1 && (list[list.length - 2] as number) >= upTo;
}

/** The container as a bitmap of 8,192 bytes. */
function bitmapOf(container: Uint8Array | undefined): Uint8Array {
  const bits = new Uint8Array(bitmapBytes);
  if (container !== undefined) layContainer(bits, container);
  return bits;
}

/** Sets the container's members, besides what is set; those from `upTo` on may be left out. */
function layContainer(bits: Uint8Array, container: Uint8Array, upTo = chunkSize): void {
  const kind = container[0] as number;
  if (kind >= missing) {
    const [end, from] = readVarint(container, 1);
    const [count, at] = readVarint(container, from);
    const own = new Uint8Array(bitmapBytes).fill(0xff, 0, end >> 3);
    if ((end & 7) !== 0) own[end >> 3] = (1 << (end & 7)) - 1;
    for (const gone of unpackRice(container.subarray(at), kind - missing, count)) setBit(own, ~gone);
    layOver(bits, own);
  } else if (kind >= rice) {
    const [count, at] = readVarint(container, 1);
    const list = unpackRice(container.subarray(at), kind - rice, count, upTo);
    // The inner loop of "who has it".
    for (let i = 0; i < list.length; i++) {
      const member = list[i] as number;
      bits[member >> 3] = (bits[member >> 3] as number) | (1 << (member & 7));
    }
  } else if (kind === bitmap) layOver(bits, container.subarray(1));
  else for (const member of members(container)) setBit(bits, member);
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

/** As much of a set of devices as tells it from others. */
export interface DeviceSet {
  readonly size: number;
  /** The marks of its members laid over each other (exclusive or). */
  readonly mark: number;
}

export const noDevices: DeviceSet = { size: 0, mark: 0 };

/** Sets that differ come to different marks, but for one in four thousand million. */
export const markOf = (device: number): number => scattered(device) | 0;

/** The set that the containers make with these changes, oldest first (`~device` where it went). */
export function setWith(
  containers: ReadonlyMap<number, Uint8Array> | undefined,
  changes: readonly Int32Array[],
): DeviceSet {
  if (changes.some((list) => list.length > 0)) {
    const union = createBitmapUnion();
    union.add(containers, changes);
    return union.set();
  }
  let size = 0;
  let mark = 0;
  for (const [chunk, container] of containers ?? []) {
    const list = members(container);
    size += list.length;
    mark ^= markOfAll(chunk, list);
  }
  return { size, mark };
}

function markOfAll(chunk: number, list: Uint16Array): number {
  const first = chunk * chunkSize;
  let mark = 0;
  for (let i = 0; i < list.length; i++) mark ^= markOf(first + (list[i] as number));
  return mark;
}

/** A set this small is merged as numbers: most titles are rare, and a bitmap is 8 KB to fill and to read. */
const few = 512;

/** Applies changes (offsets in their order, `~offset` where the device lost it) to a container; undefined where the result is empty. */
export function changeContainer(container: Uint8Array | undefined, changes: readonly number[]): Buffer | undefined {
  const size = container === undefined ? 0 : containerSize(container);
  if (size + changes.length <= few) {
    const set = new Set(container === undefined ? [] : members(container));
    for (const change of changes)
      if (change >= 0) set.add(change);
      else set.delete(~change);
    return packMembers(Uint16Array.from(set).sort());
  }
  const bits = bitmapOf(container);
  for (const change of changes) setBit(bits, change);
  return packMembers(membersOf(bits), bits);
}

/** `~offset` clears. */
function setBit(bits: Uint8Array, change: number): void {
  const offset = change < 0 ? ~change : change;
  const byte = bits[offset >> 3] as number;
  bits[offset >> 3] = change < 0 ? byte & ~(1 << (offset & 7)) : byte | (1 << (offset & 7));
}

/** The same members in the form that is shortest now: what an earlier version wrote becomes what this one writes. */
export const repackContainer = (container: Uint8Array): Buffer =>
  packMembers(members(container)) ?? Buffer.from(container);

/** Sorted members, which `bits` has, too, where there are many. */
function packMembers(list: Uint16Array, bits?: Uint8Array): Buffer | undefined {
  if (list.length === 0) return undefined;
  const end = (list[list.length - 1] as number) + 1;
  const dense = list.length > end / 2;
  const gaps = dense ? missingOf(list, end) : list;
  const { bytes, k } = packRice(gaps);
  const head = Buffer.alloc(8, dense ? missing + k : rice + k);
  const at = writeVarint(head, dense ? writeVarint(head, 1, end) : 1, gaps.length);
  const out = Buffer.concat([head.subarray(0, at), bytes]);
  if (list.length > few) {
    const length = (end + 7) >> 3;
    return out.length <= 1 + length
      ? out
      : Buffer.concat([Buffer.of(bitmap), (bits ?? bitmapOf(out)).subarray(0, length)]);
  }
  const others = packSteps(list);
  return others.length < out.length ? others : out;
}

function missingOf(list: Uint16Array, end: number): Uint16Array {
  const gone = new Uint16Array(end - list.length);
  for (let number = 0, i = 0, g = 0; number < end; number++)
    if (list[i] === number) i++;
    else gone[g++] = number;
  return gone;
}

export type BitmapUnion = ReturnType<typeof createBitmapUnion>;

/**
 * Devices of several titles together: bits of each are laid over each other, so a product on a million machines costs its bitmaps, not its devices. Where
 * a chunk is named, others are passed over, and in it what comes from the offset `upTo` on.
 */
export function createBitmapUnion(only?: number, upTo = chunkSize) {
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
          setBit(bits, entry < 0 ? ~member : member);
        }
      for (const [chunk, container] of containers ?? []) {
        if (changed.has(chunk) || (only !== undefined && chunk !== only)) continue;
        layContainer(over(chunk), container, upTo);
      }
      for (const [chunk, bits] of changed) layOver(over(chunk), bits);
    },
    size(): number {
      let count = 0;
      for (const bits of chunks.values()) count += popcount(bits);
      return count;
    },
    set(): DeviceSet {
      let mark = 0;
      for (const [chunk, bits] of chunks) mark ^= markOfAll(chunk, membersOf(bits));
      return { size: this.size(), mark };
    },
    /** Those in one chunk, ascending, above `after`, at most `limit`. */
    devices(chunk: number, after: number, limit: number): readonly number[] {
      const bits = chunks.get(chunk);
      const first = chunk * chunkSize;
      const found: number[] = [];
      if (bits === undefined) return found;
      for (let at = Math.max(0, after + 1 - first); at < upTo && found.length < limit; at++) {
        const byte = bits[at >> 3] as number;
        if (byte === 0) at |= 7;
        else if ((byte & (1 << (at & 7))) !== 0) found.push(first + at);
      }
      return found;
    },
  };
}

/** `other` may be shorter. */
function layOver(bits: Uint8Array, other: Uint8Array): void {
  for (let at = 0; at < other.length; at++) bits[at] = (bits[at] as number) | (other[at] as number);
}

function packSteps(sorted: Uint16Array): Buffer {
  const out = Buffer.alloc(1 + sorted.length * 3, steps);
  let at = 1;
  let last = 0;
  for (const member of sorted) {
    at = writeVarint(out, at, member - last);
    last = member;
  }
  return Buffer.from(out.subarray(0, at));
}

function membersOf(bits: Uint8Array): Uint16Array {
  const list = new Uint16Array(popcount(bits));
  for (let byte = 0, i = 0; byte < bitmapBytes; byte++)
    for (let rest = bits[byte] as number; rest !== 0; rest &= rest - 1)
      list[i++] = byte * 8 + (31 - Math.clz32(rest & -rest));
  return list;
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
