/**
 * Purpose: licences for organisation changes (domain.md §6): rights and used of departments, entitlements and quotas that follow who takes over, and
 * allocations that end with their person.
 * Invariants: every change of rights keeps what was so before; the caller holds the ledger's lock and all counting.
 */
import type { Database, Trx } from "../../db/database.ts";
import { eachPolitely, slicesOf } from "../../slices.ts";
import type { DepartmentFollower, OrgLicenses } from "../organization/index.ts";
import { endAllocationsOf } from "./allocations/index.ts";
import { entitlementsOfDepartments, handEntitlements } from "./entitlements/index.ts";
import { orgLicenseStore as store } from "./organization-store.ts";
import { eachCounts, type Positions } from "./positions/index.ts";
import { handQuotas, setRightsRows } from "./rights/index.ts";
import { touchPositions } from "./version.ts";

export function createOrgLicenses(deps: {
  readonly db: Database;
  readonly positions: Pick<Positions, "cubeWithin">;
}): OrgLicenses & DepartmentFollower {
  const { db, positions } = deps;
  const usedBy = (trx: Trx, departments: readonly number[]) =>
    eachOf(departments, (slice) => store.used(trx, db.dialect, slice));
  return {
    rights: (trx, departments) => eachOf(departments, (slice) => store.rights(trx, db.dialect, slice)),
    async setRights(trx, rows, at) {
      for await (const slice of slicesOf(rows, 1000)) await setRightsRows(db, trx, slice, at);
    },
    used: (trx, departments) => usedBy(trx, departments),
    async shown(trx, departments) {
      const cube = await positions.cubeWithin(trx);
      if (cube.covered === undefined) return usedBy(trx, departments);
      const rows: { department: number; license: number; used: number }[] = [];
      await eachPolitely(cube.rows, ([department, counts]) =>
        eachCounts(counts, (place, { used }) => {
          const license = cube.licenses[place];
          // What is not managed is no use.
          if (used !== 0 && license?.base === null) rows.push({ department, license: license.ordinal, used });
        }),
      );
      return rows;
    },
    codes: async (trx) => new Map((await store.codes(trx)).map((row) => [row.ordinal, row.code])),
    managing: (trx, departments) => entitlementsOfDepartments(db, trx, departments),
    endAllocations: (trx, employees, at) => endAllocationsOf(db, trx, employees, at),
    async touch(trx, departments, at) {
      await touchPositions(db, trx, at, { departments });
    },
    async departmentsChanged(trx, { merged, made, at }) {
      await handEntitlements(db, trx, merged, at);
      await handQuotas(db, trx, merged, made);
    },
  };
}

/** What is read for departments, a few at a time: each may have thousands of rows. */
async function eachOf<T>(
  departments: readonly number[],
  read: (slice: readonly number[]) => Promise<readonly T[]>,
): Promise<T[]> {
  const all: T[] = [];
  for await (const slice of slicesOf(departments, 16)) for (const row of await read(slice)) all.push(row);
  return all;
}
