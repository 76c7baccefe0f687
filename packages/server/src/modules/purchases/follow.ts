/**
 * Purpose: what runs gave to a department that was merged or dissolved is held against who took over, as its rights are (domain.md §6): so a run
 * stays reversible through reorganisations. What is shown of a run keeps the codes it was made with.
 * Invariants: in the transaction of the change, so a code that is used again later never inherits what the former department was given.
 */
import type { Database } from "../../db/database.ts";
import type { DepartmentFollower } from "../organization/index.ts";
import { purchaseStore as store } from "./store.ts";

export function createPurchaseFollower(deps: { readonly db: Database }): DepartmentFollower {
  return {
    async departmentsChanged(trx, { merged }) {
      const formerOf = new Map<number, number[]>();
      for (const [former, heir] of merged) formerOf.set(heir, [...(formerOf.get(heir) ?? []), former]);
      for (const [heir, former] of formerOf) await store.handRights(trx, deps.db.dialect, former, heir);
    },
  };
}
