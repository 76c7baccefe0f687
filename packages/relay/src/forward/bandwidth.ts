/**
 * Purpose: keeps a relay's traffic upward within `limits.bytesPerSecond`. A token bucket that may go into debt: whoever finds it
 * not empty may send, however much; the next one waits until the debt is paid. So any size gets through, and the mean holds.
 */
import { wait, type Clock } from "@daicho/kernel";

export interface Bandwidth {
  /** Bytes per second; undefined = not limited. */
  readonly rate: number | undefined;
  /** Waits for its turn, then takes `bytes`. Ends early when the signal aborts. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

export function createBandwidth(options: {
  readonly bytesPerSecond: number | undefined;
  readonly clock: Clock;
}): Bandwidth {
  const { bytesPerSecond: rate, clock } = options;
  if (rate === undefined) return { rate, take: () => Promise.resolve() };
  let tokens = rate;
  let at = clock.now();
  let turn: Promise<void> = Promise.resolve();

  function refill(): void {
    const now = clock.now();
    // A clock set back gives nothing; one set forward gives no more than a second's worth.
    tokens = Math.min(rate as number, tokens + (Math.max(0, now - at) / 1000) * (rate as number));
    at = now;
  }

  async function pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    for (refill(); tokens <= 0 && signal?.aborted !== true; refill())
      await wait(clock, Math.max(1, Math.ceil((-tokens / (rate as number)) * 1000) + 1), signal);
    tokens -= bytes;
  }

  return {
    rate,
    take(bytes, signal) {
      turn = turn.then(() => pass(bytes, signal));
      return turn;
    },
  };
}
