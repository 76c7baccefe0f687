/**
 * Purpose: at a company: which licences its group may be ordering for it - what it was told, until it says that it knows better. A company buys
 * itself only what neither its configuration nor that word leaves to the group, so a change of `pooled` never buys twice, whatever is under way.
 * Invariants: the word is widened before the group is told, in a transaction that holds the ledger, as purchase runs do: what was bought before shows
 * in the inventory that tells it. It is narrowed only by the group's own answer, given when it had no part left to give out, and only if nobody
 * widened it since the question. Failure: as long as the group is away, what it may have ordered is not bought.
 */
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { isPooled, union, type Pooled } from "./setting.ts";
import { poolingStore as store } from "./store.ts";

export interface Word {
  /** What the group buys, or may be buying. Call with the ledger's lock held before anything is bought by the answer. */
  within(trx: Trx): Promise<(license: string) => boolean>;
  /** Before the group is told what the configuration says. */
  give(): Promise<void>;
  /** How often it was given: what an answer is held against. */
  count(): Promise<number>;
  /** The group answered that it knows this, and that nothing is left to fetch. */
  settle(known: Pooled, count: number): Promise<void>;
}

export function createWord(deps: {
  readonly db: Database;
  readonly pooled: Pooled;
  /** There is a group above that was or will be told. */
  readonly told: boolean;
}): Word {
  const { db, pooled, told } = deps;
  const given = async (from: Parameters<typeof store.word>[0]): Promise<{ pooled: Pooled; count: number }> => {
    const row = await store.word(from);
    return row === undefined ? { pooled: false, count: 0 } : { ...row, pooled: JSON.parse(row.pooled) as Pooled };
  };
  const keep = (trx: Trx, next: Pooled, count: number): Promise<unknown> =>
    store.setWord(trx, { pooled: JSON.stringify(next), count });

  return {
    async within(trx) {
      const all = told ? union(pooled, (await given(trx)).pooled) : pooled;
      return (license) => isPooled(all, license);
    },
    give: () =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const last = await given(trx);
        await keep(trx, union(pooled, last.pooled), last.count + 1);
      }),
    count: async () => (await given(db.kysely)).count,
    settle: (known, count) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        if ((await given(trx)).count === count) await keep(trx, union(pooled, known), count);
      }),
  };
}
