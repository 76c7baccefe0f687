/**
 * Purpose: walks through what devices used between two moments and tells every change of `used`, with its cause (domain.md §3, design.md "Time").
 * Invariants: for every department and licence, used at `from` plus all effects up to `to` is used at `to`, whatever the history; of a licence
 * counted by user only a person's first device counts and only the last one that goes takes it away; a change of the metric is a change like any
 * other. A year of 100,000 devices is millions of steps: nothing is made for what stays as it is, and memory does not grow with them.
 */
import type { Cause } from "./causes.ts";
import { valueAt, type Step } from "./steps.ts";
import { countedBy, type LicenseCount, type Use } from "./usage.ts";
import {
  createUserChanges,
  put,
  type Effect,
  type HandedChange,
  type UsePlace,
  type UserChanges,
} from "./user-changes.ts";

export interface UseInterval extends Use {
  readonly since: number;
  /** Infinity: still so. */
  readonly until: number;
  /** By licence, ascending. */
  readonly licenses: readonly LicenseCount[];
  /** Why it began, why it ended. */
  readonly cause: Cause;
  readonly closed: Cause;
}

/** One device, one licence, one moment. */
export interface UseChange extends HandedChange {
  readonly license: number;
  /** What it did to `used`: at most one per department, none of 0. */
  readonly effects: readonly Effect[];
}

export interface UseReplay {
  /** All of a device's intervals that touch the time, ascending. */
  device(device: number, intervals: readonly UseInterval[]): void;
  /**
   * Tells what could not be told before all devices were seen: licences counted by user. Stops to breathe at each step. Answers the licences of which
   * nothing was told, because all at once would have been too much: they want a replay of their own.
   */
  finish(): Generator<void, ReadonlySet<number>>;
}

/** Rows of licences counted by user that are kept at once: some 100 MB. */
const roomForUsers = 1_000_000;

export function createUseReplay(options: {
  readonly from: number;
  readonly to: number;
  /** By licence, whether it is counted by user, over time; absent where it never is. */
  readonly byUser: ReadonlyMap<number, readonly Step<boolean>[]>;
  /** Licences to follow; absent = all. */
  readonly wanted?: (license: number) => boolean;
  readonly room?: number;
  readonly emit: (change: UseChange) => void;
}): UseReplay {
  const { from, to, byUser, emit, room = roomForUsers } = options;
  const putOff = new Set<number>();
  const wanted = (license: number): boolean =>
    (options.wanted === undefined || options.wanted(license)) && (putOff.size === 0 || !putOff.has(license));
  const within = (at: number): boolean => at > from && at <= to;
  const byUserAt = (license: number, at: number, before = false): boolean => {
    const steps = byUser.get(license);
    return steps !== undefined && valueAt(steps, at, before);
  };
  /** When the metric of which licence may have changed. */
  const switches = [...byUser].flatMap(([license, steps]) =>
    wanted(license) ? [...new Set(steps.map(({ at }) => at))].filter(within).map((at) => ({ license, at })) : [],
  );
  const users = new Map<number, UserChanges>();
  let kept = 0;

  const usersOf = (license: number): UserChanges => {
    let found = users.get(license);
    if (found === undefined) users.set(license, (found = createUserChanges()));
    if (++kept <= room || users.size === 1) return found;
    // It would get too much: the one with the most waits for another round.
    const [most, { size }] = [...users].reduce((a, b) => (b[1].size > a[1].size ? b : a));
    users.delete(most);
    putOff.add(most);
    kept -= most === license ? size + 1 : size;
    return found;
  };

  const step = (license: number, change: HandedChange): void => {
    if (byUser.has(license))
      return usersOf(license).add(change, byUserAt(license, change.at, true), byUserAt(license, change.at));
    const { before, after } = change;
    const effects: Effect[] = [];
    if (before !== undefined && before.department === after?.department)
      put(effects, before.department, after.count - before.count);
    else {
      if (before !== undefined) put(effects, before.department, -before.count);
      if (after !== undefined) put(effects, after.department, after.count);
    }
    if (effects.length > 0) emit({ ...change, license, effects });
  };

  const transition = (
    device: number,
    at: number,
    before: UseInterval | undefined,
    after: UseInterval | undefined,
    cause: Cause,
  ): void => {
    const was = before?.licenses ?? [];
    const is = after?.licenses ?? [];
    const moved = before?.department !== after?.department || before?.employee !== after?.employee;
    for (let i = 0, j = 0; i < was.length || j < is.length;) {
      const license = Math.min(was[i]?.[0] ?? Infinity, is[j]?.[0] ?? Infinity);
      const counted = was[i]?.[0] === license ? was[i++]?.[1] : undefined;
      const counts = is[j]?.[0] === license ? is[j++]?.[1] : undefined;
      const otherwise = counted !== counts || moved || (switches.length > 0 && switched(license, at));
      if (!otherwise || !wanted(license)) continue;
      step(license, { at, device, cause, before: placeOf(before, counted), after: placeOf(after, counts) });
    }
  };
  const switched = (license: number, at: number): boolean => byUserAt(license, at) !== byUserAt(license, at, true);

  return {
    device(device, intervals) {
      for (let i = 0; i < intervals.length; i++) {
        const interval = intervals[i] as UseInterval;
        const { since, until } = interval;
        if (since <= from && from < until && byUser.size > 0)
          for (const [license] of interval.licenses)
            if (byUserAt(license, from) && wanted(license) && countedBy(interval, true) === "user")
              usersOf(license).has(interval.employee as number, interval.department);
        if (within(since)) {
          const previous = intervals[i - 1];
          transition(device, since, previous?.until === since ? previous : undefined, interval, interval.cause);
        }
        if (within(until) && intervals[i + 1]?.since !== until)
          transition(device, until, interval, undefined, interval.closed);
        for (const { license, at } of switches) {
          if (since >= at || at >= until) continue;
          const place = placeOf(interval, interval.licenses.find(([l]) => l === license)?.[1]);
          if (place !== undefined && wanted(license))
            step(license, { at, device, cause: "metric", before: place, after: place });
        }
      }
    },
    *finish() {
      for (const [license, changes] of users) {
        yield* changes.tell((change, effects) => emit({ ...change, license, effects }));
        users.delete(license);
      }
      return putOff;
    },
  };
}

function placeOf(use: Use | undefined, count: number | undefined): UsePlace | undefined {
  return use === undefined || count === undefined
    ? undefined
    : { employee: use.employee, department: use.department, count };
}
