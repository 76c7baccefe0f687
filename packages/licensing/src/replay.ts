/**
 * Purpose: walks through what devices used between two moments and tells every change of `used`, with its cause (domain.md §3, design.md "Time").
 * Invariants: for every department and licence, used at `from` plus all effects up to `to` is used at `to`, whatever the history; of a licence
 * counted by user only a person's first device counts and only the last one that goes takes it away; a change of the metric is a change like any
 * other.
 */
import type { Cause } from "./causes.ts";
import { valueAt, type Step } from "./steps.ts";
import { countedBy, createUsage, type LicenseCount, type Usage, type Use } from "./usage.ts";

export interface UseInterval extends Use {
  readonly since: number;
  /** Infinity: still so. */
  readonly until: number;
  readonly licenses: readonly LicenseCount[];
  /** Why it began, why it ended. */
  readonly cause: Cause;
  readonly closed: Cause;
}

export interface UsePlace extends Use {
  readonly count: number;
}

/** One device, one licence, one moment. */
export interface UseChange {
  readonly at: number;
  readonly device: number;
  readonly license: number;
  /** `metric`: the licence is counted otherwise from then on. */
  readonly cause: Cause | "metric";
  readonly before: UsePlace | undefined;
  readonly after: UsePlace | undefined;
  /** What it did to `used`: at most one per department, none of 0. */
  readonly effects: readonly Effect[];
}

export interface Effect {
  readonly department: number;
  readonly by: number;
}

export interface UseReplay {
  /** All of a device's intervals that touch the time, ascending. */
  device(device: number, intervals: readonly UseInterval[]): void;
  /** Tells what could not be told before all devices were seen: licences counted by user. */
  finish(): void;
}

interface Draft extends Omit<UseChange, "effects"> {
  readonly effects: Map<number, number>;
}
interface UserEvent {
  readonly at: number;
  readonly sign: 1 | -1;
  readonly change: Draft;
}

export function createUseReplay(options: {
  readonly from: number;
  readonly to: number;
  /** Whether a licence is counted by user, over time; undefined where it never is. */
  readonly byUser: (license: number) => readonly Step<boolean>[] | undefined;
  /** Licences to follow; absent = all. */
  readonly wanted?: (license: number) => boolean;
  readonly emit: (change: UseChange) => void;
}): UseReplay {
  const { from, to, emit } = options;
  const within = (at: number): boolean => at > from && at <= to;
  const byUserAt = (license: number, at: number, before = false): boolean => {
    const steps = options.byUser(license);
    return steps !== undefined && valueAt(steps, at, before);
  };
  // Only who uses what by user must be known from the start; everything else is a difference.
  const initial: Usage = createUsage((license) => byUserAt(license, from));
  const events = new Map<string, UserEvent[]>();
  const waiting: Draft[] = [];
  const userLicenses = (licenses: readonly LicenseCount[]): readonly LicenseCount[] =>
    licenses.filter(([license]) => options.byUser(license) !== undefined && (options.wanted?.(license) ?? true));

  const send = (change: Draft): void => {
    const effects = [...change.effects].filter(([, by]) => by !== 0).map(([department, by]) => ({ department, by }));
    if (effects.length > 0) emit({ ...change, effects });
  };

  const step = (draft: Draft): void => {
    let byUsers = false;
    const side = (place: UsePlace | undefined, sign: 1 | -1): void => {
      if (place === undefined) return;
      const how = countedBy(place, byUserAt(draft.license, draft.at, sign < 0));
      if (how === "copy") add(draft.effects, place.department, sign * place.count);
      if (how !== "user") return;
      byUsers = true;
      const key = `${place.employee}:${place.department}:${draft.license}`;
      const list = events.get(key);
      const event = { at: draft.at, sign, change: draft };
      if (list === undefined) events.set(key, [event]);
      else list.push(event);
    };
    side(draft.before, -1);
    side(draft.after, 1);
    if (byUsers) waiting.push(draft);
    else send(draft);
  };

  const transition = (
    device: number,
    at: number,
    before: UseInterval | undefined,
    after: UseInterval | undefined,
    cause: Cause | "metric",
    only?: number,
  ): void => {
    const sides = new Map<number, { before?: UsePlace; after?: UsePlace }>();
    const put = (interval: UseInterval | undefined, side: "before" | "after"): void => {
      for (const [license, count] of interval?.licenses ?? []) {
        if (options.wanted?.(license) === false || (only !== undefined && license !== only)) continue;
        const { employee, department } = interval as UseInterval;
        const both = sides.get(license) ?? {};
        both[side] = { employee, department, count };
        sides.set(license, both);
      }
    };
    put(before, "before");
    put(after, "after");
    for (const [license, both] of sides)
      if (cause === "metric" || !same(both.before, both.after) || byUserAt(license, at) !== byUserAt(license, at, true))
        step({ at, device, license, cause, before: both.before, after: both.after, effects: new Map() });
  };

  return {
    device(device, intervals) {
      for (const [i, interval] of intervals.entries()) {
        const { since, until } = interval;
        if (since <= from && from < until) initial.add(interval, userLicenses(interval.licenses), 1);
        if (within(since)) {
          const previous = intervals[i - 1];
          transition(device, since, previous?.until === since ? previous : undefined, interval, interval.cause);
        }
        if (within(until) && intervals[i + 1]?.since !== until)
          transition(device, until, interval, undefined, interval.closed);
        for (const [license] of userLicenses(interval.licenses)) {
          let last = -Infinity;
          for (const { at } of options.byUser(license) ?? []) {
            if (at > last && within(at) && since < at && at < until)
              transition(device, at, interval, interval, "metric", license);
            last = at;
          }
        }
      }
    },
    finish() {
      for (const [key, list] of events) {
        const [employee, department, license] = key.split(":").map(Number) as [number, number, number];
        // Who gets a second device at the moment the first one goes uses it all the time: first what comes, then what goes.
        list.sort((a, b) => a.at - b.at || b.sign - a.sign || a.change.device - b.change.device);
        let devices = initial.devicesOf(employee, department, license);
        for (const { sign, change } of list) {
          const by = Number(devices + sign > 0) - Number(devices > 0);
          devices += sign;
          if (by !== 0) add(change.effects, department, by);
        }
      }
      for (const change of waiting) send(change);
    },
  };
}

function same(a: UsePlace | undefined, b: UsePlace | undefined): boolean {
  return a?.count === b?.count && a?.department === b?.department && a?.employee === b?.employee;
}

function add(effects: Map<number, number>, department: number, by: number): void {
  effects.set(department, (effects.get(department) ?? 0) + by);
}
