/** Purpose: ids of parts and of their reversals: companies fetch by them, so they must rise, whatever the clock does. */
import { newId } from "@daicho/kernel";
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import { poolingStore as store } from "./store.ts";

export interface RisingIds {
  /** The time they are of. */
  readonly at: number;
  next(): string;
}

/** Call with the ledger's lock held. */
export async function risingIds(trx: Trx, dialect: DialectName, now: number): Promise<RisingIds> {
  const newest = [await store.newestGrant(trx, dialect), await store.newestReversal(trx, dialect)];
  const at = newest.reduce((time, id) => (id == null ? time : Math.max(time, timeOf(id) + 1)), now);
  let made = 0;
  // Ids of one moment have no order: each has a moment of its own.
  return { at, next: () => newId(at + made++) };
}

/** The moment in an id: its first ten characters. */
function timeOf(id: string): number {
  return [...id.slice(0, 10)].reduce((time, digit) => time * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(digit), 0);
}
