/**
 * Purpose: long work in slices. Between two slices everything else that waits gets its turn, so no import, recount or list holds up
 * an agent's report for longer than one slice (issue: the event loop is never blocked for more than 50 ms).
 */

/** Lets everything that waits run. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Since when this turn of the loop has been at work that gives way; undefined until it is. */
let begun: number | undefined;

/** Whether this turn of the loop has lasted so long, whoever it worked for: several short pieces of work in a row are a long one. */
function isLong(milliseconds: number): boolean {
  const now = performance.now();
  if (begun === undefined) {
    begun = now;
    setImmediate(() => (begun = undefined));
  }
  return now - begun >= milliseconds;
}

/** For how long this thread has worked since it began, ms, whoever for. Waiting for a store that answers by itself is no work. */
const worked = (): number => performance.eventLoopUtilization().active;

/** How many to take in one go: as many as took about `milliseconds`, as far as the last ones tell. */
export interface Pace {
  readonly size: number;
  /** Before they are taken; `end` when they are done. */
  begin(): void;
  end(): void;
}

export function createPace(options: {
  readonly first: number;
  readonly least: number;
  readonly most: number;
  readonly milliseconds?: number;
}): Pace {
  const { least, most, milliseconds = 8 } = options;
  let size = options.first;
  let began = 0;
  return {
    get size() {
      return size;
    },
    begin: () => void (began = worked()),
    end() {
      const fitting = (size * milliseconds) / Math.max(worked() - began, 0.001);
      size = Math.round(Math.min(most, size * 2, Math.max(least, size / 4, fitting)));
    },
  };
}

/**
 * The items in slices, with a breath after each: as many as are worked on in about 8 ms, at most `most`, at first `first`. Only what a slice costs
 * beyond its items - a statement, a round trip - speaks for more.
 */
export async function* slicesOf<T>(
  items: Iterable<T>,
  most: number,
  first = Math.ceil(most / 4),
): AsyncGenerator<readonly T[]> {
  const pace = createPace({ first, least: Math.ceil(first / 4), most });
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < pace.size) continue;
    pace.begin();
    yield slice;
    pace.end();
    slice = [];
    await breathe();
  }
  if (slice.length === 0) return;
  yield slice;
  await breathe();
}

/** What `read` finds behind `first`, page by page, in the order of keys; as many in one go as slices have. */
export async function* pagesOf<T, K>(
  first: K,
  read: (after: K, limit: number) => Promise<readonly T[]>,
  keyOf: (last: T) => K,
  most = 2000,
): AsyncGenerator<readonly T[]> {
  const pace = createPace({ first: Math.ceil(most / 4), least: Math.ceil(most / 16), most });
  for (let after = first; ;) {
    const limit = pace.size;
    pace.begin();
    const rows = await read(after, limit);
    if (rows.length > 0) yield rows;
    pace.end();
    await breathe();
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < limit) return;
    after = keyOf(last);
  }
}

/** Calls `work` for each item and breathes whenever the loop has been held for `milliseconds`. */
export async function eachPolitely<T>(items: Iterable<T>, work: (item: T) => void, milliseconds = 8): Promise<void> {
  isLong(milliseconds);
  for (const item of items) {
    work(item);
    if (isLong(milliseconds)) await breathe();
  }
}

/** What `make` makes of each item, in the same way. */
export async function mapPolitely<T, U>(items: Iterable<T>, make: (item: T) => U, milliseconds = 8): Promise<U[]> {
  const made: U[] = [];
  await eachPolitely(items, (item) => void made.push(make(item)), milliseconds);
  return made;
}

/** Takes the steps one after the other, in the same way; answers what they come to. */
export async function inSteps<T>(steps: Iterator<void | undefined, T>, milliseconds = 8): Promise<T> {
  isLong(milliseconds);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (isLong(milliseconds)) await breathe();
  }
}

/** The same for work that waits: on SQLite every wait ends at once, and nobody else would get a turn. */
export async function eachInTurn<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  milliseconds = 8,
): Promise<void> {
  isLong(milliseconds);
  for (const item of items) {
    await work(item);
    if (isLong(milliseconds)) await breathe();
  }
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
    pace.begin();
    const found = await read(after, upTo);
    pace.end();
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
