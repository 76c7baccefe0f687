/**
 * Purpose: walks through what devices used between two moments and tells every change of `used`, with its cause (domain.md §3, design.md "Time").
 * Invariants: for every department and licence, used at `from` plus all effects up to `to` is used at `to`, whatever the history; of a licence
 * counted by user only a person's first device counts and only the last one that goes takes it away; a change of the metric is a change like any
 * other. A year of 100,000 devices is millions of steps: nothing is made for what stays as it is.
 */
import type { Cause } from "./causes.ts";
import { valueAt, type Step } from "./steps.ts";
import { countedBy, createUsage, type LicenseCount, type Usage, type Use } from "./usage.ts";

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
  /** Tells what could not be told before all devices were seen: licences counted by user. Stops to breathe at each step. */
  finish(): Generator<void>;
}

interface Draft extends Omit<UseChange, "effects"> {
  readonly effects: { department: number; by: number }[];
}
interface UserEvent {
  readonly sign: 1 | -1;
  readonly change: Draft;
}

export function createUseReplay(options: {
  readonly from: number;
  readonly to: number;
  /** By licence, whether it is counted by user, over time; absent where it never is. */
  readonly byUser: ReadonlyMap<number, readonly Step<boolean>[]>;
  /** Licences to follow; absent = all. */
  readonly wanted?: (license: number) => boolean;
  readonly emit: (change: UseChange) => void;
}): UseReplay {
  const { from, to, byUser, emit } = options;
  const wanted = options.wanted ?? (() => true);
  const within = (at: number): boolean => at > from && at <= to;
  const byUserAt = (license: number, at: number, before = false): boolean => {
    const steps = byUser.get(license);
    return steps !== undefined && valueAt(steps, at, before);
  };
  /** When the metric of which licence may have changed. */
  const switches = [...byUser].flatMap(([license, steps]) =>
    wanted(license) ? [...new Set(steps.map(({ at }) => at))].filter(within).map((at) => ({ license, at })) : [],
  );
  // Only who uses what by user must be known from the start; everything else is a difference.
  const initial: Usage = createUsage((license) => byUserAt(license, from));
  const userEvents = new Map<number, Map<number, UserEvent[]>>();
  const waiting: Draft[] = [];

  const send = (draft: Draft): void => {
    const { effects } = draft;
    for (let i = effects.length - 1; i >= 0; i--) if (effects[i]?.by === 0) effects.splice(i, 1);
    if (effects.length > 0) emit(draft);
  };

  const step = (draft: Draft): void => {
    let byUsers = false;
    const side = (place: UsePlace | undefined, sign: 1 | -1): void => {
      if (place === undefined) return;
      const how = countedBy(place, byUserAt(draft.license, draft.at, sign < 0));
      if (how === "copy") add(draft.effects, place.department, sign * place.count);
      if (how !== "user") return;
      byUsers = true;
      const keys = inner(userEvents, draft.license, () => new Map<number, UserEvent[]>());
      inner(keys, keyOf(place.employee as number, place.department), (): UserEvent[] => []).push({
        sign,
        change: draft,
      });
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
      step({
        at,
        device,
        license,
        cause,
        before: placeOf(before, counted),
        after: placeOf(after, counts),
        effects: [],
      });
    }
  };
  const switched = (license: number, at: number): boolean => byUserAt(license, at) !== byUserAt(license, at, true);

  return {
    device(device, intervals) {
      for (let i = 0; i < intervals.length; i++) {
        const interval = intervals[i] as UseInterval;
        const { since, until } = interval;
        if (since <= from && from < until && byUser.size > 0)
          initial.add(
            interval,
            interval.licenses.filter(([license]) => byUser.has(license) && wanted(license)),
            1,
          );
        if (within(since)) {
          const previous = intervals[i - 1];
          transition(device, since, previous?.until === since ? previous : undefined, interval, interval.cause);
        }
        if (within(until) && intervals[i + 1]?.since !== until)
          transition(device, until, interval, undefined, interval.closed);
        for (const { license, at } of switches) {
          if (since >= at || at >= until) continue;
          const place = placeOf(interval, interval.licenses.find(([l]) => l === license)?.[1]);
          if (place !== undefined)
            step({ at, device, license, cause: "metric", before: place, after: place, effects: [] });
        }
      }
    },
    *finish() {
      for (const [license, keys] of userEvents)
        for (const [key, list] of keys) {
          // Who gets a second device at the moment the first one goes uses it all the time: first what comes, then what goes.
          list.sort((a, b) => a.change.at - b.change.at || b.sign - a.sign || a.change.device - b.change.device);
          const department = key % departments;
          let devices = initial.devicesOf((key - department) / departments, department, license);
          for (const { sign, change } of list) {
            const by = Number(devices + sign > 0) - Number(devices > 0);
            devices += sign;
            if (by !== 0) add(change.effects, department, by);
          }
          yield;
        }
      for (const change of waiting) {
        send(change);
        yield;
      }
    },
  };
}

/** More than there are departments. */
const departments = 2 ** 24;
const keyOf = (employee: number, department: number): number => employee * departments + department;

function placeOf(use: Use | undefined, count: number | undefined): UsePlace | undefined {
  return use === undefined || count === undefined
    ? undefined
    : { employee: use.employee, department: use.department, count };
}

function add(effects: { department: number; by: number }[], department: number, by: number): void {
  const effect = effects.find((e) => e.department === department);
  if (effect === undefined) effects.push({ department, by });
  else effect.by += by;
}

function inner<V>(map: Map<number, V>, key: number, make: () => V): V {
  let found = map.get(key);
  if (found === undefined) map.set(key, (found = make()));
  return found;
}
