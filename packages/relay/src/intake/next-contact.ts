/**
 * Purpose: when those below are asked to come next (design.md "Herds"): the relay keeps what arrives, so it passes on what a loaded server asks for,
 * and asks for the same by itself while its spool fills up because the node above is away.
 * Invariants: what was heard from above counts for a few minutes after the last answer that said so and ends with the first that does not;
 * whatever is said above, nobody is asked to stay away longer than `longestWaitMs`; each caller gets a time of its own.
 */
import type { Clock } from "@daicho/kernel";
import type { SpoolStats } from "@daicho/spool";
import { longestWaitMs } from "@daicho/uplink";

export interface NextContact {
  /** As an answer of the node above said it; undefined = it said nothing. */
  heard(seconds: number | undefined): void;
  /** Seconds, for an answer to one below; undefined = by its own schedule. */
  readonly seconds: number | undefined;
}

const heardLastsMs = 5 * 60_000;
/** The usual time between two heartbeats of an agent. */
const usualSeconds = 3_600;

export function createNextContact(options: {
  readonly spool: { stats(): Pick<SpoolStats, "bytes"> };
  readonly spoolBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
}): NextContact {
  const { spool, spoolBytes, clock, random } = options;
  let last: { readonly seconds: number; readonly at: number } | undefined;

  function asked(): number | undefined {
    if (last !== undefined && Math.abs(clock.now() - last.at) < heardLastsMs) return last.seconds;
    return spool.stats().bytes > spoolBytes / 2 ? usualSeconds * 1.5 : undefined;
  }

  return {
    heard(seconds) {
      last = seconds === undefined ? undefined : { seconds, at: clock.now() };
    },
    get seconds() {
      const mean = asked();
      // Half to one and a half times: a batch from a relay is answered once for hundreds of agents.
      return mean === undefined ? undefined : Math.ceil(Math.min(mean * (0.5 + random()), longestWaitMs / 1000));
    },
  };
}
