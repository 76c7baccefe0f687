/**
 * Purpose: when something is due. Each device has a stable place in every interval (hash of its id), so that a fleet spreads
 * over it; and alarms that keep to the wall clock.
 */
import { sha256 } from "@daicho/protocol";
import type { Clock, Timer } from "@daicho/kernel";

/** The first time after `after` that is this device's place in the interval. */
export function nextSlot(id: string, purpose: string, everyMs: number, after: number): number {
  const every = Math.max(1, Math.floor(everyMs));
  const place = Number(sha256(`${purpose}\n${id}`).readBigUInt64BE() % BigInt(every));
  const begun = Math.floor((after - place) / every);
  return (begun + 1) * every + place;
}

export interface Alarm {
  readonly at: number | undefined;
  /** Replaces what was set before. */
  set(at: number): void;
  cancel(): void;
}

/** Timers stand still while a machine sleeps, and its clock may be set: so it is looked at again every few minutes. */
const lookMs = 5 * 60_000;

export function createAlarm(clock: Clock, task: () => void): Alarm {
  let timer: Timer | undefined;
  let due: number | undefined;

  function arm(at: number): void {
    const now = clock.now();
    const length = Math.min(Math.max(at - now, 0), lookMs);
    timer = clock.after(length, () => {
      const later = clock.now();
      // Set back while we waited: what was due so long from then is due so long from now, and not a year later.
      const moved = later < now ? at - (now + length - later) : at;
      if (later < moved) return again(moved);
      due = undefined;
      task();
    });
  }
  function again(at: number): void {
    due = at;
    arm(at);
  }

  return {
    get at() {
      return due;
    },
    set(at) {
      timer?.cancel();
      again(at);
    },
    cancel() {
      timer?.cancel();
      due = undefined;
    },
  };
}
