/**
 * Purpose: what came of applied changes, kept for as long as they are.
 * Invariants: in parts, each an outcome with some of the items, written and read one by one: 10,000 people who move make megabytes, and nobody
 * else should wait for them.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { pagesOf, slicesOf } from "../../../slices.ts";
import { requestStore as store } from "./request-store.ts";
import type { OrgOutcome } from "./types.ts";

type Items = { readonly [list in keyof OrgOutcome]: unknown[] };

export const outcomes = {
  async keep(trx: Trx, change: string, outcome: OrgOutcome): Promise<void> {
    let place = 0;
    for (const [list, items] of Object.entries(outcome) as [string, readonly unknown[]][])
      for await (const slice of slicesOf(items, 1000))
        await store.keepOutcome(trx, { change, place: place++, part: JSON.stringify({ [list]: slice }) });
  },

  async of(db: Database["kysely"] | Trx, change: string): Promise<OrgOutcome> {
    const all: Items = { departments: [], employees: [], devices: [], positions: [], applications: [], allocations: [], handOvers: [], warnings: [] }; // prettier-ignore
    const pages = pagesOf(-1, (after, limit) => store.outcomeAfter(db, change, after, limit), ({ place }) => place, 4); // prettier-ignore
    for await (const page of pages)
      for (const { part } of page)
        for (const [list, items] of Object.entries(JSON.parse(part) as Partial<Items>))
          for (const item of items) all[list as keyof Items].push(item);
    return all as unknown as OrgOutcome;
  },
};
