/**
 * Purpose: the check of all applications: every signature, that none is missing, and that each department's requested is what is approved for it and outstanding.
 * It writes nothing; each page of applications is read in a snapshot of its own and verified in slices.
 */
import type { Database } from "../../db/database.ts";
import { breathe } from "../../slices.ts";
import type { Records } from "./records.ts";
import type { Register } from "./register.ts";
import type { Seals } from "./seal.ts";
import { applicationStore as store } from "./store.ts";

export interface VerificationResult {
  readonly applications: number;
  /** None was taken away, added or put back as it was. */
  readonly complete: boolean;
  /** At most 1,000. `what`: `content`, `step 2`, `record`. */
  readonly faults: readonly { readonly application: string; readonly what: string }[];
  /** Where requested differs from what is outstanding; at most 1,000. */
  readonly requested: readonly {
    readonly department: string;
    readonly license: string;
    readonly stored: number;
    readonly recomputed: number;
  }[];
}

export type Verification = () => Promise<VerificationResult>;

const most = 1000;

export function createVerification(deps: {
  readonly db: Database;
  readonly records: Records;
  readonly seals: Seals;
  readonly register: Pick<Register, "agrees">;
}): Verification {
  const { db, records, seals, register } = deps;
  return async () => {
    const faults: { application: string; what: string }[] = [];
    let applications = 0;
    for (let after = ""; ;) {
      const loaded = await db.snapshot(async (trx) => {
        const ids = await store.idsAfter(trx, db.dialect, after, 100);
        return records.load(
          trx,
          ids.map((row) => row.id),
        );
      });
      for (const record of loaded) {
        for (const what of seals.faultsOf(record))
          if (faults.length < most) faults.push({ application: record.row.id, what });
        if (++applications % 20 === 0) await breathe();
      }
      const last = loaded[loaded.length - 1];
      if (last === undefined) break;
      after = last.row.id;
    }
    return { applications, complete: await register.agrees(), faults, requested: await differences() };
  };

  async function differences(): Promise<VerificationResult["requested"]> {
    return db.snapshot(async (trx) => {
      const keyOf = (row: { department: number; license: number }): string => `${row.department}:${row.license}`;
      const open = new Map((await store.outstanding(trx)).map((row) => [keyOf(row), { ...row, stored: 0 }]));
      for (const row of await store.requested(trx)) {
        const found = open.get(keyOf(row)) ?? { department: row.department, license: row.license, quantity: 0 };
        open.set(keyOf(row), { ...found, stored: row.requested });
      }
      const wrong = [...open.values()].filter((row) => row.stored !== Number(row.quantity)).slice(0, most);
      const departments = await store.departmentsOf(trx, db.dialect, [...new Set(wrong.map((row) => row.department))]);
      const licenses = await store.licenseNames(trx, db.dialect, [...new Set(wrong.map((row) => row.license))]);
      const codeOf = new Map(departments.map((d) => [d.ordinal, d.code]));
      const licenseOf = new Map(licenses.map((l) => [l.ordinal, l.code]));
      return wrong.map((row) => ({
        department: codeOf.get(row.department) ?? `#${row.department}`,
        license: licenseOf.get(row.license) ?? `#${row.license}`,
        stored: row.stored,
        recomputed: Number(row.quantity),
      }));
    });
  }
}
