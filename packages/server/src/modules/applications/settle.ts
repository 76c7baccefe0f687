/**
 * Purpose: what happens to approved applications when others change the ledger: a purchase run grants (and its reversal takes back), a reorganisation
 * hands a department's applications on to another.
 * Invariants: grants settle the first approved first (domain.md §7: requested falls by what was granted); an application is `granted` when nothing
 * of it is outstanding; each grant remembers its source, so taking a source back undoes exactly what it did. None of this touches rights or requested:
 * the caller does, in the same transaction, with the ledger's lock held.
 */
import { settleInOrder, type RightsMove } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { slicesOf } from "../../slices.ts";
import type { Records } from "./records.ts";
import type { ApplicationRecord } from "./seal.ts";
import { applicationStore as store } from "./store.ts";

export interface Granted {
  /** Ordinals. Each pair at most once. */
  readonly department: number;
  readonly license: number;
  readonly quantity: number;
}

export interface OpenApplication {
  readonly id: string;
  readonly department: number;
  readonly license: number;
  /** Employee id. */
  readonly applicant: string | null;
  readonly outstanding: number;
}

/** What applications ask of those that keep purchase runs. */
export interface RunsFollower {
  /** Rights went from department to department. */
  rightsMoved(trx: Trx, moves: readonly RightsMove[]): Promise<void>;
  /** Sources that may be taken back. */
  reversible(trx: Trx): Promise<readonly string[]>;
}

export interface Settlement {
  /** `source` names the purchase run. */
  settle(
    trx: Trx,
    granted: readonly Granted[],
    options: { readonly source: string; readonly at: number },
  ): Promise<void>;
  /**
   * Takes back what `source` settled. @returns what is outstanding again, per department and licence: by so much the caller raises requested. It is less than
   * what was granted where an application was withdrawn since.
   */
  unsettle(trx: Trx, source: string): Promise<readonly Granted[]>;
  /** Open applications of departments, with what of each is outstanding. Ordinals. */
  openOf(trx: Trx, departments: readonly number[]): Promise<readonly OpenApplication[]>;
  /** These belong to another department from now on: a split. */
  hand(trx: Trx, applications: readonly string[], department: number): Promise<void>;
  /**
   * What a department that was merged or dissolved had open, or will have if a run is taken back, belongs to who took over, as its rights and requested
   * do. Ordinals.
   */
  departmentsChanged(trx: Trx, changed: { readonly merged: ReadonlyMap<number, number> }): Promise<void>;
}

export function createSettlement(deps: {
  readonly db: Database;
  readonly records: Records;
  readonly runs: Pick<RunsFollower, "reversible">;
}): Settlement {
  const { db, records, runs } = deps;
  const pairOf = (pair: { department: number; license: number }): string => `${pair.department}:${pair.license}`;

  const loaded = (trx: Trx, some: readonly { readonly id: string }[]): Promise<readonly ApplicationRecord[]> =>
    records.load(
      trx,
      some.map(({ id }) => id),
    );

  const handOn = async (
    trx: Trx,
    some: readonly { readonly id: string }[],
    to: (department: number) => number,
  ): Promise<void> => {
    for await (const slice of slicesOf(some, 200))
      await records.save(
        trx,
        (await loaded(trx, slice)).map((record) => ({
          ...record,
          row: { ...record.row, department: to(record.row.department) },
        })),
      );
  };

  return {
    async settle(trx, granted, { source, at }) {
      const wanted = new Map(granted.filter((g) => g.quantity > 0).map((g) => [pairOf(g), g.quantity]));
      const licenses = [...new Set(granted.map((g) => g.license))];
      const open = (await store.openOf(trx, db.dialect, licenses)).filter((a) => wanted.has(pairOf(a)));
      for await (const slice of slicesOf(open, 200)) {
        const settled = (await loaded(trx, slice)).flatMap((record) => {
          const pair = pairOf(record.row);
          const left = wanted.get(pair) ?? 0;
          const [share] = settleInOrder([{ outstanding: outstandingOf(record) }], left);
          if (share === undefined) return [];
          wanted.set(pair, left - share.quantity);
          return [grantedBy(record, source, share.quantity, at)];
        });
        await records.save(trx, settled);
      }
    },

    async unsettle(trx, source) {
      const back = new Map<string, Granted>();
      const grants = await store.grantsFrom(trx, source);
      for await (const slice of slicesOf(grants, 200)) {
        const some = slice.map((grant) => ({ id: grant.application }));
        const undone = (await loaded(trx, some)).map((record) => {
          const quantity = record.grants.find((grant) => grant.source === source)?.quantity ?? 0;
          const { department, license, state } = record.row;
          const reopened = state === "granted" || state === "approved";
          const pair = pairOf(record.row);
          if (reopened) back.set(pair, { department, license, quantity: (back.get(pair)?.quantity ?? 0) + quantity });
          return {
            ...record,
            row: {
              ...record.row,
              granted: record.row.granted - quantity,
              ...(reopened && { state: "approved", closed_at: null }),
            },
            grants: record.grants.filter((grant) => grant.source !== source),
          };
        });
        await records.save(trx, undone);
      }
      return [...back.values()];
    },

    async openOf(trx, departments) {
      const open: OpenApplication[] = [];
      for await (const slice of slicesOf(await store.unclosedOf(trx, db.dialect, departments), 200))
        for (const record of await loaded(trx, slice)) {
          const { id, department, license, applicant } = record.row;
          open.push({ id, department, license, applicant, outstanding: outstandingOf(record) });
        }
      return open;
    },

    hand: (trx, applications, department) =>
      handOn(
        trx,
        applications.map((id) => ({ id })),
        () => department,
      ),

    async departmentsChanged(trx, { merged }) {
      const former = [...merged.keys()];
      if (former.length === 0) return;
      const open = await store.unclosedOf(trx, db.dialect, former);
      const granted = await store.grantedBy(trx, db.dialect, former, await runs.reversible(trx));
      await handOn(trx, [...open, ...granted], (department) => merged.get(department) ?? department);
    },
  };
}

/** Approved and not granted. */
export function outstandingOf({ row }: ApplicationRecord): number {
  return row.state === "approved" ? row.requested - row.granted : 0;
}

function grantedBy(record: ApplicationRecord, source: string, quantity: number, at: number): ApplicationRecord {
  const granted = record.row.granted + quantity;
  const done = granted === record.row.requested;
  const before = record.grants.find((grant) => grant.source === source)?.quantity ?? 0;
  return {
    ...record,
    row: { ...record.row, granted, ...(done && { state: "granted", closed_at: at }) },
    grants: [
      ...record.grants.filter((grant) => grant.source !== source),
      { application: record.row.id, source, quantity: before + quantity, at },
    ],
  };
}
