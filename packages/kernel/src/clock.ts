/**
 * Purpose: time comes in from outside, so that tests need no sleeps. `manualClock` is for tests of every package.
 */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Runs `task` once after `ms`; does not keep the process alive. */
  after(ms: number, task: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    // setTimeout wraps beyond 2^31-1 ms and would fire at once.
    const handle = setTimeout(task, Math.min(Math.max(ms, 0), 2_147_483_647));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Waits on the given clock; ends early, without error, when the signal aborts. */
export function wait(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

export interface ManualClock extends Clock {
  /** Moves time forward and runs what falls due, in order. */
  advance(ms: number): void;
}

export function manualClock(start = 0): ManualClock {
  let time = start;
  let pending: { at: number; task: () => void }[] = [];
  return {
    now: () => time,
    after(ms, task) {
      const entry = { at: time + Math.max(ms, 0), task };
      pending.push(entry);
      return { cancel: () => void (pending = pending.filter((p) => p !== entry)) };
    },
    advance(ms) {
      const end = time + ms;
      for (;;) {
        const next = pending.filter((p) => p.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        pending = pending.filter((p) => p !== next);
        time = next.at;
        next.task();
      }
      time = end;
    },
  };
}
