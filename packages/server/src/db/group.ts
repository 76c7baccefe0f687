/**
 * Purpose: many small writes that come at once share a commit (and its wait for the disk).
 * Invariants: each is answered only after the commit that holds it; they are done in the order they came. Where one fails nothing of the group is
 * kept, and each is done again alone, so that one bad write costs the others nothing but time.
 */
import { eachInTurn } from "../slices.ts";
import type { Database, Trx } from "./database.ts";

export function createGroupCommit<T, R>(options: {
  readonly db: Database;
  readonly most: number;
  readonly work: (trx: Trx, item: T) => Promise<R>;
}): (item: T) => Promise<R> {
  const { db, most, work } = options;
  const waiting: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[] = [];
  let running = false;

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting.splice(0, most);
      try {
        const results = await db.transaction(async (trx) => {
          const done: R[] = [];
          await eachInTurn(group, async ({ item }) => void done.push(await work(trx, item)));
          return done;
        });
        group.forEach(({ resolve }, i) => resolve(results[i] as R));
      } catch (error) {
        const [first] = group;
        if (group.length === 1) first?.reject(error);
        else
          for (const { item, resolve, reject } of group)
            await db.transaction((trx) => work(trx, item)).then(resolve, reject);
      }
    }
    running = false;
  };

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (running) return;
      running = true;
      // What else has arrived by now shares the first commit.
      setImmediate(() => void run());
    });
}
