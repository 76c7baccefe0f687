/**
 * Purpose: what has come for each title since its posting was written: devices in the order they came, `~device` where the device lost the title.
 * A load brings hundreds of millions of entries, each for another title than the one before. They lie in blocks of one kind, a chain for each title, and
 * an entry costs two places in memory: where its title's chain ends, and that end. A map of lists costs four times as much.
 */
export interface Tail {
  /** Entries in all. */
  readonly size: number;
  append(title: number, entry: number): void;
  entriesOf(title: number): Int32Array;
  /** Ascending. */
  titles(): number[];
}

/** Numbers in a block; the last one is the next block of the chain. */
const block = 32;
const segmentSize = 1 << 16;

export function createTail(): Tail {
  /** Place p is in segment p >> 16: nothing is ever moved. */
  const segments: Int32Array[] = [];
  let free = 0;
  /** By title: its first block, how many entries it has, and where the next one goes. */
  let first = new Int32Array(0);
  let count = new Int32Array(0);
  let next = new Int32Array(0);
  let size = 0;

  const newBlock = (): number => {
    if (free === segments.length * segmentSize) segments.push(new Int32Array(segmentSize));
    return (free += block) - block;
  };
  const widen = (title: number): void => {
    const length = Math.max(1 << 16, title + 1, first.length * 2);
    const wider = (numbers: Int32Array): Int32Array<ArrayBuffer> => {
      const copy = new Int32Array(length);
      copy.set(numbers);
      return copy;
    };
    [first, count, next] = [wider(first), wider(count), wider(next)];
  };

  return {
    get size() {
      return size;
    },
    append(title, entry) {
      if (title >= count.length) widen(title);
      let place = next[title] as number;
      if (count[title] === 0) first[title] = place = newBlock();
      else if ((place & (block - 1)) === block - 1) {
        const another = newBlock();
        (segments[place >> 16] as Int32Array)[place & 0xffff] = another;
        place = another;
      }
      (segments[place >> 16] as Int32Array)[place & 0xffff] = entry;
      next[title] = place + 1;
      count[title] = (count[title] as number) + 1;
      size++;
    },
    entriesOf(title) {
      const entries = new Int32Array(count[title] ?? 0);
      for (let at = 0, place = first[title] ?? 0; at < entries.length; at += block - 1) {
        const segment = segments[place >> 16] as Int32Array;
        const from = place & 0xffff;
        entries.set(segment.subarray(from, from + Math.min(block - 1, entries.length - at)), at);
        place = segment[from + block - 1] as number;
      }
      return entries;
    },
    titles() {
      const titles: number[] = [];
      for (let title = 0; title < count.length; title++) if (count[title] !== 0) titles.push(title);
      return titles;
    },
  };
}
