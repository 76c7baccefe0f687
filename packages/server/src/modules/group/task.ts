/**
 * Purpose: a job that runs again and again: every so often, soon after it was asked for, and later again when it could not be done.
 * Invariants: never twice at the same time; asked for while running, it runs once more; a burst of requests is one run, and runs
 * keep a least distance.
 */
import type { Clock, Timer } from "@daicho/kernel";

export interface Task {
  /** Run within `withinMs` (sooner, when it is due sooner). */
  soon(withinMs: number): void;
  /** Waits for a run under way; none begins after. */
  stop(): Promise<void>;
}

const afterErrorMs = 30_000;

/** `run` answers after how many milliseconds to try again, or undefined when it is done until the next time. */
export function createTask(options: {
  readonly clock: Clock;
  readonly everyMs: number;
  readonly leastDistanceMs: number;
  readonly run: () => Promise<number | undefined>;
  readonly onError: (error: unknown) => void;
}): Task {
  const { clock, everyMs, leastDistanceMs } = options;
  let timer: Timer | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let notBefore = 0;
  let running: Promise<void> | undefined;
  let stopped = false;

  function schedule(at: number): void {
    if (stopped || at >= dueAt) return;
    dueAt = at;
    timer?.cancel();
    if (running === undefined) timer = clock.after(Math.max(0, at - clock.now()), start);
  }

  function start(): void {
    dueAt = Number.POSITIVE_INFINITY;
    running = options.run().then(end, (error: unknown) => {
      options.onError(error);
      end(afterErrorMs);
    });
  }

  function end(againMs: number | undefined): void {
    running = undefined;
    const now = clock.now();
    // What waits for the node above waits for it as well when something else asks in between.
    notBefore = now + Math.max(leastDistanceMs, againMs ?? 0);
    const asked = dueAt;
    dueAt = Number.POSITIVE_INFINITY;
    schedule(Math.max(notBefore, Math.min(asked, now + (againMs ?? everyMs))));
  }

  return {
    soon: (withinMs) => schedule(Math.max(notBefore, clock.now() + withinMs)),
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
  };
}
