/**
 * Purpose: 8-byte title hash ↔ title id, in memory, for every title the company has ever seen. 700 look-ups per report are the
 * innermost loop of ingest, so this is an open-addressing table over plain number arrays (SHA-256 prefixes are already evenly spread).
 * It only ever grows: a title once known stays known.
 */
export interface TitleTable {
  readonly size: number;
  /** Id of the hash at `offset`, 0 where it is not known (ids start at 1). */
  find(hashes: Uint8Array, offset: number): number;
  add(hash: Uint8Array, id: number): void;
  /** Writes the title's hash to `out`. */
  hashOf(id: number, out: Buffer, offset: number): void;
}

export function createTitleTable(): TitleTable {
  let capacity = 1 << 16;
  let high = new Uint32Array(capacity);
  let low = new Uint32Array(capacity);
  let ids = new Uint32Array(capacity);
  let highOf = new Uint32Array(1 << 16);
  let lowOf = new Uint32Array(1 << 16);
  let size = 0;

  const place = (h: number, l: number): number => {
    const mask = capacity - 1;
    let at = (h ^ l) & mask;
    while (ids[at] !== 0 && (high[at] !== h || low[at] !== l)) at = (at + 1) & mask;
    return at;
  };

  const grow = (): void => {
    const old = { high, low, ids };
    capacity *= 2;
    high = new Uint32Array(capacity);
    low = new Uint32Array(capacity);
    ids = new Uint32Array(capacity);
    for (let i = 0; i < old.ids.length; i++) {
      const id = old.ids[i] as number;
      if (id === 0) continue;
      const at = place(old.high[i] as number, old.low[i] as number);
      high[at] = old.high[i] as number;
      low[at] = old.low[i] as number;
      ids[at] = id;
    }
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
      return ids[place(read32(hashes, offset), read32(hashes, offset + 4))] as number;
    },
    add(hash, id) {
      if ((size + 1) * 2 > capacity) grow();
      const h = read32(hash, 0);
      const l = read32(hash, 4);
      const at = place(h, l);
      if (ids[at] === 0) size++;
      high[at] = h;
      low[at] = l;
      ids[at] = id;
      if (id >= highOf.length) {
        const length = Math.max(id + 1, highOf.length * 2);
        const wider = { high: new Uint32Array(length), low: new Uint32Array(length) };
        wider.high.set(highOf);
        wider.low.set(lowOf);
        highOf = wider.high;
        lowOf = wider.low;
      }
      highOf[id] = h;
      lowOf[id] = l;
    },
    hashOf(id, out, offset) {
      out.writeUInt32BE(highOf[id] ?? 0, offset);
      out.writeUInt32BE(lowOf[id] ?? 0, offset + 4);
    },
  };
}
