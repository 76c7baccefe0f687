/**
 * Purpose: 8-byte title hash ↔ title id, in memory, for every title the company has ever seen. 700 look-ups per report are the
 * innermost loop of ingest, so this is an open-addressing table over plain number arrays (SHA-256 prefixes are already evenly spread).
 * It only ever grows: a title once known stays known.
 */
import { packSum, titleHashBytes } from "@daicho/protocol";

export interface TitleTable {
  readonly size: number;
  /** Id of the hash at `offset`, 0 where it is not known (ids start at 1). */
  find(hashes: Uint8Array, offset: number): number;
  /** Whether there is a title with this id. */
  has(id: number): boolean;
  add(hash: Uint8Array, id: number): void;
  /** Writes the title's hash to `out`. */
  hashOf(id: number, out: Buffer, offset: number): void;
  /** The sum of the titles' hashes, as the state's digest has it (protocol/state.ts). */
  sumOf(ids: Uint32Array): Buffer;
}

/** The ids in the order of their hashes, as agents send what is parallel to their titles. */
export function sortedByHash(ids: Uint32Array, table: Pick<TitleTable, "hashOf">): number[] {
  const keyed = Array.from(ids, (id) => {
    const hash = Buffer.alloc(titleHashBytes);
    table.hashOf(id, hash, 0);
    return { id, hash };
  });
  return keyed.sort((a, b) => Buffer.compare(a.hash, b.hash)).map((k) => k.id);
}

export function createTitleTable(): TitleTable {
  let capacity = 1 << 16;
  /** Three numbers a slot - high, low, id - side by side, so that a look-up touches one cache line. */
  let slots = new Uint32Array(capacity * 3);
  let highOf = new Uint32Array(1 << 16);
  let lowOf = new Uint32Array(1 << 16);
  let size = 0;

  const place = (high: number, low: number): number => {
    const mask = capacity - 1;
    let slot = (high ^ low) & mask;
    for (;;) {
      const at = slot * 3;
      if (slots[at + 2] === 0 || (slots[at] === high && slots[at + 1] === low)) return at;
      slot = (slot + 1) & mask;
    }
  };

  const grow = (): void => {
    const old = slots;
    capacity *= 2;
    slots = new Uint32Array(capacity * 3);
    for (let from = 0; from < old.length; from += 3)
      if (old[from + 2] !== 0)
        slots.set(old.subarray(from, from + 3), place(old[from] as number, old[from + 1] as number));
  };

  const read32 = (bytes: Uint8Array, at: number): number =>
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0;

  return {
    get size() {
      return size;
    },
    find(hashes, offset) {
      return slots[place(read32(hashes, offset), read32(hashes, offset + 4)) + 2] as number;
    },
    add(hash, id) {
      if ((size + 1) * 2 > capacity) grow();
      const high = read32(hash, 0);
      const low = read32(hash, 4);
      const at = place(high, low);
      if (slots[at + 2] === 0) size++;
      slots[at] = high;
      slots[at + 1] = low;
      slots[at + 2] = id;
      if (id >= highOf.length) {
        const length = Math.max(id + 1, highOf.length * 2);
        const wider = { high: new Uint32Array(length), low: new Uint32Array(length) };
        wider.high.set(highOf);
        wider.low.set(lowOf);
        highOf = wider.high;
        lowOf = wider.low;
      }
      highOf[id] = high;
      lowOf[id] = low;
    },
    has: (id) => ((highOf[id] as number) | (lowOf[id] as number)) !== 0,
    hashOf(id, out, offset) {
      out.writeUInt32BE(highOf[id] ?? 0, offset);
      out.writeUInt32BE(lowOf[id] ?? 0, offset + 4);
    },
    sumOf(ids) {
      let sumHigh = 0;
      let sumLow = 0;
      let xorHigh = 0;
      let xorLow = 0;
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i] as number;
        const high = highOf[id] ?? 0;
        const low = lowOf[id] ?? 0;
        sumHigh += high;
        sumLow += low;
        xorHigh ^= high;
        xorLow ^= low;
      }
      return packSum(ids.length, sumHigh, sumLow, xorHigh, xorLow);
    },
  };
}
