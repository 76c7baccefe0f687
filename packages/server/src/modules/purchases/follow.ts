/**
 * Purpose: what runs gave to a department is held against who has its rights now (domain.md §6): who took over one that was merged or dissolved, and
 * those to whom rights went with people, in a split, or as idle rights that an application took (licensing: purchase/follow.ts). So a run stays
 * reversible. What is shown of a run keeps the codes it was made with.
 * Invariants: in the transaction of the change, so a code that is used again later never inherits what the former department was given.
 */
import { followClaims, type RightsMove } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import type { DepartmentFollower } from "../organization/index.ts";
import { purchaseStore as store } from "./store.ts";

export interface PurchaseFollower extends DepartmentFollower {
  /** No department was taken over. The ledger's lock is held. */
  rightsMoved(trx: Trx, moves: readonly RightsMove[]): Promise<void>;
  /** Ids of the runs that may be taken back, newest first. */
  reversible(trx: Trx): Promise<readonly string[]>;
}

export function createPurchaseFollower({ db }: { readonly db: Database }): PurchaseFollower {
  return {
    reversible: (trx) => store.reversible(trx),
    rightsMoved: (trx, moves) => follow(trx, moves, new Map()),
    departmentsChanged: (trx, { merged, rightsMoves }) => follow(trx, rightsMoves, merged),
  };

  async function follow(trx: Trx, moves: readonly RightsMove[], merged: ReadonlyMap<number, number>): Promise<void> {
    const licenses = new Set(moves.flatMap(({ license }) => (license === undefined ? [] : [license])));
    const departments = new Set(moves.flatMap(({ from, to }) => [from, to]));
    const newest = licenses.size === 0 ? [] : await store.reversible(trx);
    const claims =
      newest.length === 0
        ? []
        : await store.claims(trx, db.dialect, { departments: [...departments], licenses: [...licenses] });
    const moved = followClaims(moves, claims, newest);

    const formerOf = new Map<number, number[]>();
    for (const [former, heir] of merged) formerOf.set(heir, [...(formerOf.get(heir) ?? []), former]);
    for (const [heir, former] of formerOf) await store.handRights(trx, db.dialect, former, heir);

    const heirOf = (department: number): number => merged.get(department) ?? department;
    await store.insertMoved(
      db,
      trx,
      moved.flatMap(({ run, license, rights, ...way }) => {
        const [from, to] = [heirOf(way.from), heirOf(way.to)];
        return from === to
          ? []
          : [
              { run, license, department: from, rights: -rights },
              { run, license, department: to, rights },
            ];
      }),
    );
  }
}
