/**
 * Purpose: what of one licence counted by user changed hands between two moments, and what that did to `used`: of a person's devices in a department only
 * the first one that comes and the last one that goes count (domain.md §5).
 * Invariants: nothing is known before all devices were seen, so everything is kept until then - as numbers in arrays that the garbage collector need not
 * look into, 88 bytes a change and 16 a device in use at the beginning; everything that takes longer with their number stops to breathe.
 */
import type { Cause } from "./causes.ts";
import { createNumberTable } from "./number-table.ts";
import { countedBy, type Use } from "./usage.ts";

export interface UsePlace extends Use {
  readonly count: number;
}

/** One device, one moment. */
export interface HandedChange {
  readonly at: number;
  readonly device: number;
  /** `metric`: the licence is counted otherwise from then on. */
  readonly cause: Cause | "metric";
  readonly before: UsePlace | undefined;
  readonly after: UsePlace | undefined;
}

/** What a change did to `used`. */
export interface Effect {
  readonly department: number;
  readonly by: number;
}

export interface UserChanges {
  /** Rows that are kept. */
  readonly size: number;
  /** The person has a device there at the beginning. */
  has(employee: number, department: number): void;
  /** Whether the licence was counted by user until then, and is from then on. */
  add(change: HandedChange, wasByUser: boolean, isByUser: boolean): void;
  /** Tells every change with its effects, at most one per department and none of 0. Once; stops to breathe at each step. */
  tell(emit: (change: HandedChange, effects: readonly Effect[]) => void): Generator<void>;
}

/** Columns of a change; those of both its sides follow, each with its employee, its department, its count and what it does. */
const [at, device, cause, sides] = [0, 1, 2, 3];
const [employee, department, count, by] = [0, 1, 2, 3];
const sideWidth = 4;
const [noSide, noEmployee] = [-2, -1];
/** Steps between two breaths. */
const stride = 256;

export function createUserChanges(): UserChanges {
  const beginnings = createNumberTable(2);
  const changes = createNumberTable(sides + 2 * sideWidth);
  const causes: HandedChange["cause"][] = [];

  const putSide = (row: number, side: number, place: UsePlace | undefined, byUser: boolean): void => {
    const column = sides + side * sideWidth;
    if (place === undefined) return changes.set(row, column + employee, noSide);
    const how = countedBy(place, byUser);
    changes.set(row, column + employee, place.employee ?? noEmployee);
    changes.set(row, column + department, place.department);
    changes.set(row, column + count, place.count);
    // What is counted by user is worked out when all is there.
    changes.set(row, column + by, how === "user" ? NaN : how === "copy" ? signOf(side) * place.count : 0);
  };
  const sideOf = (row: number, side: number): UsePlace | undefined => {
    const column = sides + side * sideWidth;
    const who = changes.get(row, column + employee);
    if (who === noSide) return undefined;
    return {
      employee: who === noEmployee ? null : who,
      department: changes.get(row, column + department),
      count: changes.get(row, column + count),
    };
  };

  /** Everything that is counted by user has a number: beginnings first, then both sides of each change. */
  const numberOf = (row: number, side: number): number => beginnings.size + row * 2 + side;
  const rowOf = (number: number): number => (number - beginnings.size) >> 1;
  const columnOf = (number: number): number => sides + ((number - beginnings.size) & 1) * sideWidth;
  const isBeginning = (number: number): boolean => number < beginnings.size;
  const keyOf = (number: number, part: number): number =>
    isBeginning(number) ? beginnings.get(number, part) : changes.get(rowOf(number), columnOf(number) + part);
  function* numbers(): Generator<number> {
    for (let i = 0; i < beginnings.size; i++) yield i;
    for (let row = 0; row < changes.size; row++)
      for (const side of [0, 1])
        if (Number.isNaN(changes.get(row, sides + side * sideWidth + by))) yield numberOf(row, side);
  }
  /** By person and department, then by time. Who gets a second device at the moment the first one goes uses it all the time: first what comes. */
  const compare = (a: number, b: number): number => {
    const differ = keyOf(a, employee) - keyOf(b, employee) || keyOf(a, department) - keyOf(b, department);
    if (differ !== 0 || isBeginning(a) || isBeginning(b)) return differ || a - b;
    const [x, y] = [rowOf(a), rowOf(b)];
    return (
      changes.get(x, at) - changes.get(y, at) ||
      columnOf(b) - columnOf(a) ||
      changes.get(x, device) - changes.get(y, device)
    );
  };

  function* work(): Generator<void> {
    // A few in each bucket: what belongs to one person and department is in one of them.
    const buckets = Math.max(1, (beginnings.size + changes.size) >> 1);
    const bucketOf = (number: number): number =>
      ((keyOf(number, employee) * 31 + keyOf(number, department)) >>> 0) % buckets;
    const starts = new Uint32Array(buckets + 1);
    let all = 0;
    for (const number of numbers()) {
      const next = bucketOf(number) + 1;
      starts[next] = (starts[next] as number) + 1;
      if (++all % stride === 0) yield;
    }
    for (let i = 1; i <= buckets; i++) {
      starts[i] = (starts[i] as number) + (starts[i - 1] as number);
      if (i % (stride * 16) === 0) yield;
    }
    const order = new Uint32Array(all);
    const filled = starts.slice();
    for (const number of numbers()) {
      const bucket = bucketOf(number);
      const place = filled[bucket] as number;
      filled[bucket] = place + 1;
      order[place] = number;
      if (place % stride === 0) yield;
    }
    for (let i = 0; i < buckets; i++) {
      const [from, to] = [starts[i] as number, starts[i + 1] as number];
      if (to - from > 1) yield* sort(order.subarray(from, to), compare);
    }
    let before = -1;
    let devices = 0;
    for (const [i, number] of order.entries()) {
      const same = before >= 0 && keyOf(before, employee) === keyOf(number, employee) && keyOf(before, department) === keyOf(number, department); // prettier-ignore
      if (!same) devices = 0;
      before = number;
      const sign = isBeginning(number) ? 1 : signOf(columnOf(number) === sides ? 0 : 1);
      if (!isBeginning(number))
        changes.set(rowOf(number), columnOf(number) + by, Number(devices + sign > 0) - Number(devices > 0));
      devices += sign;
      if (i % stride === 0) yield;
    }
  }

  return {
    get size() {
      return beginnings.size + changes.size;
    },
    has(who, where) {
      const row = beginnings.add();
      beginnings.set(row, employee, who);
      beginnings.set(row, department, where);
    },
    add(change, wasByUser, isByUser) {
      const row = changes.add();
      changes.set(row, at, change.at);
      changes.set(row, device, change.device);
      const known = causes.indexOf(change.cause);
      changes.set(row, cause, known === -1 ? causes.push(change.cause) - 1 : known);
      putSide(row, 0, change.before, wasByUser);
      putSide(row, 1, change.after, isByUser);
    },
    *tell(emit) {
      yield* work();
      for (let row = 0; row < changes.size; row++) {
        const [before, after] = [sideOf(row, 0), sideOf(row, 1)];
        const effects: Effect[] = [];
        const was = before === undefined ? 0 : changes.get(row, sides + by);
        const is = after === undefined ? 0 : changes.get(row, sides + sideWidth + by);
        if (before !== undefined && before.department === after?.department) put(effects, before.department, was + is);
        else {
          if (before !== undefined) put(effects, before.department, was);
          if (after !== undefined) put(effects, after.department, is);
        }
        if (effects.length > 0)
          emit(
            {
              at: changes.get(row, at),
              device: changes.get(row, device),
              cause: causes[changes.get(row, cause)] as HandedChange["cause"],
              before,
              after,
            },
            effects,
          );
        yield;
      }
    },
  };
}

const signOf = (side: number): 1 | -1 => (side === 0 ? -1 : 1);

/** Adds an effect, where there is one. */
export function put(effects: Effect[], department: number, by: number): void {
  if (by !== 0) effects.push({ department, by });
}

const run = 512;

/** Sorts in place, in steps: runs first, then merged two by two. */
function* sort(items: Uint32Array, compare: (a: number, b: number) => number): Generator<void> {
  for (let from = 0; from < items.length; from += run) {
    items.subarray(from, from + run).sort(compare);
    yield;
  }
  let [from, into] = [items, items.length > run ? new Uint32Array(items.length) : items];
  for (let width = run; width < items.length; width *= 2) {
    for (let start = 0; start < items.length; start += 2 * width) {
      const [middle, end] = [Math.min(start + width, items.length), Math.min(start + 2 * width, items.length)];
      for (let i = start, j = middle, to = start; to < end; to++) {
        const left = i < middle && (j === end || compare(from[i] as number, from[j] as number) <= 0);
        into[to] = from[left ? i++ : j++] as number;
        if (to % stride === 0) yield;
      }
    }
    [from, into] = [into, from];
  }
  if (from !== items) items.set(from);
}
