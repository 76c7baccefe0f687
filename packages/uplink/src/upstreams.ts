/**
 * Purpose: which of the listed nodes above to use, and when. One at a time: the first of the list that works.
 * Rules. Fail-over: one that cannot be reached or fails (5xx, time-out, nonsense) is passed over for a while that doubles, and
 * the next is tried at once. Fail-back: when that while is over it is tried first again. Back-off: when none is left, all wait
 * (exponential, full jitter), at most until one of them is known to be there again. Overload (429, 503 with Retry-After) is
 * obeyed and is no failure - until it lasts, or is asked to be long: then the next in the list gets its chance.
 * Invariant: many requests that fail together count as one failure.
 */
import type { Clock } from "@daicho/kernel";
import { uplinkErrors } from "./errors.ts";

export interface BackoffOptions {
  /** First back-off, milliseconds; doubles with each failure. */
  readonly baseMs: number;
  readonly capMs: number;
}
export const defaultBackoff: BackoffOptions = { baseMs: 2_000, capMs: 300_000 };

/** Exponential with full jitter: anything between nothing and the doubled base. */
export function fullJitter(failures: number, { baseMs, capMs }: BackoffOptions, random: () => number): number {
  return Math.ceil(random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 30)));
}

export interface Upstream {
  /** Without a slash at the end. */
  readonly url: string;
}

export interface Attempt {
  readonly upstream: Upstream;
  succeeded(): void;
  /** It cannot be reached or does not work. */
  failed(): void;
  /** It works and says when to come again. */
  overloaded(afterMs: number): void;
}

export interface Upstreams {
  readonly list: readonly Upstream[];
  /** The one used last with success, or the first to try. */
  readonly current: Upstream;
  /** Before this time nothing is sent; 0 = at once. */
  readonly nextAttemptAt: number;
  /** Those to try now, best first; empty while waiting. */
  candidates(): readonly Attempt[];
  /** Says that all candidates failed: everyone waits. */
  exhausted(): void;
  /** Says that a node above is there, as its channel has opened: nobody waits any longer because it was not. What a node asked for stands. */
  reached(): void;
}

interface State extends Upstream {
  failures: number;
  passedOverUntil: number;
  overloads: number;
  generation: number;
}

const overloadsBeforeNext = 3;
const longOverloadMs = 5 * 60_000;
const passOver: BackoffOptions = { baseMs: 60_000, capMs: 3_600_000 };

export function createUpstreams(options: {
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly backoff?: BackoffOptions;
}): Upstreams {
  const { clock, random } = options;
  const backoff = options.backoff ?? defaultBackoff;
  const states: readonly State[] = options.urls.map((url) => ({
    url: checkUrl(url),
    failures: 0,
    passedOverUntil: 0,
    overloads: 0,
    generation: 0,
  }));
  const first = states[0];
  if (first === undefined) throw uplinkErrors.make("upstream-invalid", { upstream: "(none)" });
  let current: State = first;
  let rounds = 0;
  /** As a node above asked. */
  let askedUntil = 0;
  /** Because none could be reached. */
  let backedOffUntil = 0;
  const waitUntil = (): number => Math.max(askedUntil, backedOffUntil);

  function attempt(state: State): Attempt {
    const generation = state.generation;
    /** Of attempts that overlapped only the first to end badly counts. */
    const once = (effect: () => void): void => {
      if (state.generation !== generation) return;
      state.generation++;
      effect();
    };
    return {
      upstream: state,
      succeeded() {
        state.failures = 0;
        state.overloads = 0;
        state.passedOverUntil = 0;
        current = state;
        // Waiting stays: another request may just have been told to.
        rounds = 0;
      },
      failed: () => once(() => pass(state)),
      overloaded: (afterMs) =>
        once(() => {
          state.overloads++;
          const other = states.some((s) => s !== state && s.passedOverUntil <= clock.now());
          const lasting = state.overloads >= overloadsBeforeNext || afterMs > longOverloadMs;
          if (lasting && other) pass(state, afterMs);
          else askedUntil = Math.max(askedUntil, clock.now() + afterMs);
        }),
    };
  }

  function pass(state: State, atLeastMs = 0): void {
    state.overloads = 0;
    // Half to one and a half times, so that those who left together do not come back together.
    const length = Math.min(passOver.capMs, passOver.baseMs * 2 ** Math.min(state.failures, 30));
    state.passedOverUntil = clock.now() + Math.max(atLeastMs, length * (0.5 + random()));
    state.failures++;
  }

  return {
    list: states,
    get current() {
      return current;
    },
    get nextAttemptAt() {
      return waitUntil();
    },
    candidates() {
      const now = clock.now();
      // A clock that was set back must not silence a node for longer than the longest back-off.
      if ([askedUntil, backedOffUntil].some((until) => until > now && until - now <= longestWaitMs)) return [];
      const usable = states.filter((s) => s.passedOverUntil <= now || s.passedOverUntil - now > longestWaitMs);
      return (usable.length > 0 ? usable : states).map(attempt);
    },
    exhausted() {
      if (waitUntil() > clock.now()) return;
      backedOffUntil = clock.now() + fullJitter(rounds, backoff, random);
      rounds++;
    },
    reached() {
      // `rounds` stays: a node that opens channels and fails at requests is not asked more and more often.
      backedOffUntil = 0;
    },
  };
}

/** Nobody above can ask for more silence than this, the usual time between two scans; a longer wait is a mistake or an attack. */
export const longestWaitMs = 6 * 3_600_000;

/** What was asked for, and a little longer, so that those who were sent away together do not come back together. */
export function waitAsAsked(askedMs: number, random: () => number): number {
  return Math.min(askedMs * (1 + random() * 0.25), longestWaitMs);
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "")
    throw uplinkErrors.make("upstream-invalid", { upstream: text.replace(/\/\/[^/]*@/, "//***@") });
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}
