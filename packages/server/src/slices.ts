/**
 * Purpose: long work in slices. Between two slices everything else that waits gets its turn, so no import, recount or list holds up
 * an agent's report for longer than one slice (issue: the event loop is never blocked for more than 50 ms).
 */

/** Lets everything that waits run. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The items in slices of `size`, with a breath after each. */
export async function* slicesOf<T>(items: Iterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < size) continue;
    yield slice;
    slice = [];
    await breathe();
  }
  if (slice.length === 0) return;
  yield slice;
  await breathe();
}

/** Calls `work` for each item and breathes whenever `milliseconds` have gone by. */
export async function eachPolitely<T>(items: Iterable<T>, work: (item: T) => void, milliseconds = 8): Promise<void> {
  let until = performance.now() + milliseconds;
  for (const item of items) {
    work(item);
    if (performance.now() < until) continue;
    await breathe();
    until = performance.now() + milliseconds;
  }
}

/** Takes the steps one after the other, in the same way; answers what they come to. */
export async function inSteps<T>(steps: Iterator<void, T>, milliseconds = 8): Promise<T> {
  let until = performance.now() + milliseconds;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await breathe();
    until = performance.now() + milliseconds;
  }
}

/** The same for work that waits: on SQLite every wait ends at once, and nobody else would get a turn. */
export async function eachInTurn<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  milliseconds = 8,
): Promise<void> {
  let until = performance.now() + milliseconds;
  for (const item of items) {
    await work(item);
    if (performance.now() < until) continue;
    await breathe();
    until = performance.now() + milliseconds;
  }
}

/** How many to take in one go: as many as took about `milliseconds`, as far as the last ones tell. */
export interface Pace {
  readonly size: number;
  /** What the last ones took. */
  took(milliseconds: number): void;
}

export function createPace(options: {
  readonly first: number;
  readonly least: number;
  readonly most: number;
  readonly milliseconds?: number;
}): Pace {
  const { least, most, milliseconds = 8 } = options;
  let size = options.first;
  return {
    get size() {
      return size;
    },
    took(last) {
      const fitting = (size * milliseconds) / Math.max(last, 0.001);
      size = Math.round(Math.min(most, size * 2, Math.max(least, size / 4, fitting)));
    },
  };
}

/**
 * What `read` finds for the numbers 1 to `last`, range by range, with a breath after each. How much lies behind a number is not known before: a range is
 * as long as was read in about `milliseconds`, so that the store - SQLite answers in one go - holds up nobody for longer.
 */
export async function* readInRanges<T>(
  last: number,
  read: (after: number, upTo: number) => Promise<T>,
  milliseconds = 8,
): AsyncGenerator<T> {
  const pace = createPace({ first: 32, least: 8, most: 1000, milliseconds });
  for (let after = 0; after < last;) {
    const upTo = Math.min(last, after + pace.size);
    const began = performance.now();
    const found = await read(after, upTo);
    pace.took(performance.now() - began);
    yield found;
    await breathe();
    after = upTo;
  }
}

/**
 * For many small pieces of work that become ready at once, each in a promise of its own: they await their turn one after the other, and everything else
 * runs whenever `milliseconds` have gone by.
 */
export function createTurns(milliseconds = 8): () => Promise<void> {
  let until = 0;
  let last = Promise.resolve();
  return () => {
    last = last.then(async () => {
      if (performance.now() < until) return;
      await breathe();
      until = performance.now() + milliseconds;
    });
    return last;
  };
}
