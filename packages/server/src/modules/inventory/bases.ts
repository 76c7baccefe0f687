/**
 * Purpose: devices that were set up alike have most titles in common. A base is such a common set, stored once; a device's row then holds only
 * what it has more and less than its base - a quarter of the bytes.
 * Invariants: a base never changes and is never removed; its id is the hash of its bytes, so the same set has the same id everywhere and a decoded one
 * is good for every database. A row may name a base only where the base is committed, or is being committed with it.
 * Which base a row names decides nothing but its size: any choice, or none, decodes to the same titles.
 */
import { sha256 } from "@daicho/protocol";
import { readVarint, writeVarint } from "../../db/varint.ts";
import { applyDifference, packSorted, unpackSorted } from "./pack.ts";
import { scattered } from "./scattered.ts";

/** Titles as stored: packed ids where `base` is null, else varint length + packed ids added + packed ids removed. */
export interface PackedTitles {
  readonly base: number | null;
  readonly titles: Buffer;
}

export interface Base {
  readonly id: number;
  readonly bytes: Buffer;
}

const maxDecoded = 50_000;
const decoded = new Map<number, Uint32Array>();

export const isDecoded = (base: number): boolean => decoded.has(base);

export function remember({ id, bytes }: Base): Uint32Array {
  if (decoded.size >= maxDecoded) decoded.delete(decoded.keys().next().value as number);
  const ids = unpackSorted(bytes);
  decoded.set(id, ids);
  return ids;
}

/** @throws RangeError where the bytes do not fit their base */
export function unpackTitles(packed: PackedTitles): Uint32Array {
  const { base, added, removed } = partsOf(packed);
  if (base === null) return added;
  const ids = applyDifference(titlesOfBase(base), added, removed);
  if (ids === undefined) throw new RangeError(`titles do not fit base ${base}`);
  return ids;
}

/** What a row has more and less than its base. @throws RangeError */
export function unpackDifference(titles: Buffer): { readonly added: Uint32Array; readonly removed: Uint32Array } {
  const [length, at] = readVarint(titles, 0);
  return {
    added: unpackSorted(titles.subarray(at, at + length)),
    removed: unpackSorted(titles.subarray(at + length)),
  };
}

/** What a row says beside its base, if it has one. */
export interface TitleParts {
  readonly base: number | null;
  readonly added: Uint32Array;
  readonly removed: Uint32Array;
}

/** @throws RangeError */
export function partsOf({ base, titles }: PackedTitles): TitleParts {
  if (base === null) return { base, added: unpackSorted(titles), removed: none };
  return { base, ...unpackDifference(titles) };
}

const none = new Uint32Array(0);

/** @throws RangeError where it is not in memory (`isDecoded`) */
export function titlesOfBase(base: number): Uint32Array {
  const ids = decoded.get(base);
  if (ids === undefined) throw new RangeError(`base ${base} is not there`);
  return ids;
}

/** The titles of a row that tell something; rows with equal keys have the same ones. */
export interface Telling {
  readonly key: string;
  /** Sorted. @throws RangeError where the row's base is not in memory */
  titles(): Uint32Array;
}

/**
 * Reads of rows only the titles that tell something: what a base has of them is worked out once, and of a row only its own differences are walked,
 * without making anything of the others.
 */
export function createTellingReader(tells: (title: number) => boolean): (packed: PackedTitles) => Telling {
  const ofBase = new Map<number, readonly number[]>();
  const held = (base: number): readonly number[] => {
    let list = ofBase.get(base);
    if (list === undefined) ofBase.set(base, (list = [...titlesOfBase(base)].filter(tells)));
    return list;
  };
  return ({ base, titles }) => {
    const [length, at] = base === null ? [titles.length, 0] : readVarint(titles, 0);
    const added = tellingIn(titles, at, at + length, tells);
    const removed = tellingIn(titles, at + length, titles.length, tells);
    return {
      key: `${base}+${added.join()}-${removed.join()}`,
      titles: () =>
        Uint32Array.from([...(base === null ? [] : held(base).filter((id) => !removed.includes(id))), ...added]).sort(),
    };
  };
}

function tellingIn(bytes: Uint8Array, from: number, to: number, tells: (title: number) => boolean): number[] {
  const found: number[] = [];
  let id = 0;
  let value = 0;
  let factor = 1;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * factor;
    if (byte >= 0x80) {
      factor *= 128;
      continue;
    }
    id += value;
    if (tells(id)) found.push(id);
    value = 0;
    factor = 1;
  }
  return found;
}

/** Whether the bytes are those of the base with this id. */
export function isBase({ id, bytes }: Base): boolean {
  return idOf(bytes) === id;
}

function idOf(bytes: Buffer): number {
  return sha256(bytes).readUIntBE(0, 6);
}

interface Marked {
  readonly ids: Uint32Array;
  readonly marks: Uint32Array;
}

interface Entry extends Marked {
  readonly id: number;
  /** Zero between two searches. */
  votes: number;
}

/** The bases that rows may be written with, and the search for a fitting one. */
export interface BaseBook {
  readonly size: number;
  add(base: Base): void;
  remove(id: number): void;
  /** `hint`: the base the device's row names now. `made`: a new base that must be stored with the row. */
  pack(ids: Uint32Array, hint?: number | null): PackedTitles & { readonly made?: Base };
}

/** Titles below which a base is not worth its while. */
const fewest = 64;
const maxBases = 20_000;
const maxRecent = 512;
const markCount = 8;
const votesNeeded = 3;
/** Of the bases that have a mark, the newest so many are looked at: a search takes the same time however many there are. */
const mostVoters = 500;
/** A base is good where a row costs less than this part of its plain bytes; a better one is looked for otherwise. */
const good = 0.4;

export function createBaseBook(): BaseBook {
  const bases = new Map<number, Entry>();
  /** Mark → the bases that have it, oldest first. */
  const byMark = new Map<number, Entry[]>();
  /** Sets that no base fits well: when a second one like it comes, what they share becomes a base. */
  const recent: Marked[] = [];

  const candidates = (marks: Uint32Array): Entry[] => {
    const lists = [...marks].map((mark) => byMark.get(mark) ?? []);
    const found: Entry[] = [];
    for (const list of lists)
      for (let i = list.length - 1, last = Math.max(0, list.length - mostVoters); i >= last; i--) {
        const entry = list[i] as Entry;
        if (entry.votes++ === 0) found.push(entry);
      }
    const best = found.filter(({ votes }) => votes >= votesNeeded).sort((a, b) => b.votes - a.votes).slice(0, 3); // prettier-ignore
    for (const entry of found) entry.votes = 0;
    return best;
  };

  const add = ({ id, bytes }: Base): void => {
    const ids = remember({ id, bytes });
    const entry = { id, ids, marks: marksOf(ids), votes: 0 };
    bases.set(id, entry);
    for (const mark of entry.marks) {
      const list = byMark.get(mark);
      if (list === undefined) byMark.set(mark, [entry]);
      else list.push(entry);
    }
  };

  const founded = (ids: Uint32Array, marks: Uint32Array): Base | undefined => {
    if (bases.size >= maxBases) return undefined;
    const like = recent.findIndex((other) => agreeing(other.marks, marks) >= votesNeeded);
    if (like < 0) {
      if (recent.length >= maxRecent) recent.shift();
      recent.push({ ids, marks });
      return undefined;
    }
    const shared = common(ids, (recent[like] as Marked).ids);
    if (shared.length < fewest || shared.length < ids.length / 2) return undefined;
    recent.splice(like, 1);
    const bytes = packSorted(shared);
    const id = idOf(bytes);
    return bases.has(id) ? undefined : { id, bytes };
  };

  return {
    get size() {
      return bases.size;
    },
    add,
    remove(id) {
      const entry = bases.get(id);
      if (entry === undefined) return;
      for (const mark of entry.marks)
        byMark.set(
          mark,
          (byMark.get(mark) ?? []).filter((other) => other !== entry),
        );
      bases.delete(id);
    },
    pack(ids, hint = null) {
      if (ids.length < fewest) return { base: null, titles: packSorted(ids) };
      const enough = ids.length * good;
      const against = (base: Entry): PackedTitles => ({ base: base.id, titles: packAgainst(base.ids, ids) });
      const hinted = hint === null ? undefined : bases.get(hint);
      const held = hinted && against(hinted);
      if (held !== undefined && held.titles.length < enough) return held;
      const marks = marksOf(ids);
      let best: (PackedTitles & { readonly made?: Base }) | undefined = held;
      for (const base of candidates(marks)) {
        const packed = against(base);
        if (best === undefined || packed.titles.length < best.titles.length) best = packed;
        if (best.titles.length < enough) return best;
      }
      const plain = packSorted(ids);
      if (best === undefined || plain.length < best.titles.length) best = { base: null, titles: plain };
      const made = founded(ids, marks);
      if (made === undefined) return best;
      const titles = packAgainst(unpackSorted(made.bytes), ids);
      // Not good enough for this one, it is good for none.
      if (titles.length >= best.titles.length) return best;
      add(made);
      return { base: made.id, titles, made };
    },
  };
}

let more = Buffer.alloc(1 << 12);
let less = Buffer.alloc(1 << 12);

/** Both lists in one walk, straight into bytes: this runs for every state that is written. */
function packAgainst(base: Uint32Array, ids: Uint32Array): Buffer {
  if (more.length < ids.length * 5) more = Buffer.alloc(ids.length * 10);
  if (less.length < base.length * 5) less = Buffer.alloc(base.length * 10);
  let m = 0;
  let l = 0;
  let lastMore = 0;
  let lastLess = 0;
  for (let i = 0, j = 0; i < base.length || j < ids.length;) {
    const x = i < base.length ? (base[i] as number) : Infinity;
    const y = j < ids.length ? (ids[j] as number) : Infinity;
    if (x <= y) i++;
    if (y <= x) j++;
    if (x < y) {
      l = writeVarint(less, l, x - lastLess);
      lastLess = x;
    } else if (y < x) {
      m = writeVarint(more, m, y - lastMore);
      lastMore = y;
    }
  }
  const out = Buffer.alloc(6 + m + l);
  let at = writeVarint(out, 0, m);
  at += more.copy(out, at, 0, m);
  at += less.copy(out, at, 0, l);
  return out.subarray(0, at);
}

/**
 * A sketch of a set: its titles are dealt into eight heaps by their hash, and the least of each heap is a mark. Two sets agree in about as many of
 * the eight as they have titles in common (one-permutation min-hash).
 */
function marksOf(ids: Uint32Array): Uint32Array {
  const marks = new Uint32Array(markCount).fill(0xffffffff);
  for (let i = 0; i < ids.length; i++) {
    const h = scattered(ids[i] as number);
    const heap = h & (markCount - 1);
    // The heap stays in the low bits, so that marks of different heaps differ.
    if (h < (marks[heap] as number)) marks[heap] = h;
  }
  return marks;
}

function agreeing(a: Uint32Array, b: Uint32Array): number {
  let n = 0;
  for (let i = 0; i < markCount; i++) if (a[i] === b[i]) n++;
  return n;
}

function common(a: Uint32Array, b: Uint32Array): number[] {
  const out: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = a[i] as number;
    const y = b[j] as number;
    if (x === y) out.push(x);
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return out;
}
