/**
 * Purpose: long work in slices. Between two slices everything else that waits gets its turn, so no import, recount or list holds up
 * an agent's report for longer than one slice (issue: the event loop is never blocked for more than 50 ms).
 */

/** Lets everything that waits run. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The items in slices of `size`, with a breath after each. */
export async function* slicesOf<T>(items: readonly T[], size: number): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) {
    yield items.slice(at, at + size);
    await breathe();
  }
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
