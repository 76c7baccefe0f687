/**
 * Purpose: shows that a whole application was taken away, or put back as it was at an earlier time with its old seal: one signed row holds how many
 * applications there are and the sum of all their seals, in whatever order they came.
 * Invariants: whoever writes seals moves the register by exactly what it replaces, under the ledger's lock. A register that does not verify is never
 * signed again, so what was done to it stays visible. Not seen: everything, this row included, put back to the same moment - a restored backup is that.
 */
import { createHash } from "node:crypto";
import type { Database, Trx } from "../../db/database.ts";
import { slicesOf } from "../../slices.ts";
import type { Seals } from "./seal.ts";
import { applicationStore as store } from "./store.ts";

export interface Register {
  /** Seals that are replaced, and those that come. Call with the ledger's lock held. */
  move(trx: Trx, gone: readonly string[], come: readonly string[]): Promise<void>;
  /** Whether the applications that are there are those of the register. */
  agrees(): Promise<boolean>;
}

const modulus = 1n << 512n;

/** The sum with these seals added, or taken off. Kept in stores: never to be changed. */
export function sumWith(sum: string, seals: readonly string[], sign: 1n | -1n = 1n): string {
  let value = BigInt(`0x${sum}`);
  for (const seal of seals) value += sign * BigInt(`0x${createHash("sha512").update(seal).digest("hex")}`);
  return (((value % modulus) + modulus) % modulus).toString(16);
}

export function createRegister({ db, seals }: { readonly db: Database; readonly seals: Seals }): Register {
  // Before its first change the row is as the migration made it, without a signature.
  const isOurs = (row: { applications: number; sum: string; seal: string }): boolean =>
    row.seal === "" || seals.isRegister(row);
  return {
    async move(trx, gone, come) {
      const row = await store.register(trx);
      if (row === undefined || !isOurs(row)) return;
      const applications = row.applications + come.length - gone.length;
      const next = { applications, sum: sumWith(sumWith(row.sum, gone, -1n), come) };
      await store.setRegister(trx, { ...next, seal: seals.signRegister(next) });
    },

    async agrees() {
      const { row, all } = await db.snapshot(async (trx) => ({
        row: await store.register(trx),
        all: (await store.allSeals(trx)).map(({ seal }) => seal),
      }));
      let sum = "0";
      for await (const slice of slicesOf(all, 500)) sum = sumWith(sum, slice);
      return row !== undefined && isOurs(row) && row.applications === all.length && row.sum === sum;
    },
  };
}
