/**
 * Purpose: whole applications in and out of the store. Whoever changes one loads it, makes the changed record and saves it, and saving seals it: so no
 * change is stored unsealed, nor without the register's knowledge.
 * Call with the ledger's lock held.
 */
import type { Database, Trx } from "../../db/database.ts";
import { serverErrors } from "../../errors.ts";
import { groupBy } from "./group.ts";
import type { Register } from "./register.ts";
import type { ApplicationRecord, Seals } from "./seal.ts";
import { applicationStore as store } from "./store.ts";

export interface Records {
  /** Those that are there, in the order of the ids given. */
  load(trx: Trx, ids: readonly string[]): Promise<ApplicationRecord[]>;
  /** @throws not-found */
  one(trx: Trx, id: string): Promise<ApplicationRecord>;
  insert(trx: Trx, record: ApplicationRecord): Promise<void>;
  save(trx: Trx, records: readonly ApplicationRecord[]): Promise<void>;
}

export function createRecords(deps: {
  readonly db: Database;
  readonly seals: Seals;
  readonly register: Pick<Register, "move">;
}): Records {
  const { db, seals, register } = deps;
  const load: Records["load"] = async (trx, ids) => {
    const rows = new Map((await store.byIds(trx, db.dialect, ids)).map((row) => [row.id, row]));
    const steps = groupBy(await store.stepsOf(trx, db.dialect, ids), (step) => step.application);
    const grants = groupBy(await store.grantsOf(trx, db.dialect, ids), (grant) => grant.application);
    return ids.flatMap((id) => {
      const row = rows.get(id);
      return row === undefined ? [] : [{ row, steps: steps.get(id) ?? [], grants: grants.get(id) ?? [] }];
    });
  };
  return {
    load,
    async one(trx, id) {
      const [record] = await load(trx, [id]);
      if (record === undefined) throw serverErrors.make("not-found", { what: "application", id });
      return record;
    },
    async insert(trx, record) {
      const { row, steps } = seals.sealed(record);
      await store.insert(trx, row);
      await store.insertSteps(db, trx, steps);
      await register.move(trx, [], [row.seal]);
    },
    async save(trx, records) {
      if (records.length === 0) return;
      const sealed = records.map((record) => seals.sealed(record));
      const ids = sealed.map(({ row }) => row.id);
      await store.update(
        db,
        trx,
        sealed.map(({ row }) => row),
      );
      await store.removeSteps(trx, db.dialect, ids);
      await store.insertSteps(
        db,
        trx,
        sealed.flatMap(({ steps }) => steps),
      );
      await store.removeGrants(trx, db.dialect, ids);
      await store.insertGrants(
        db,
        trx,
        sealed.flatMap(({ grants }) => grants),
      );
      await register.move(trx, records.map(sealOf), sealed.map(sealOf));
    },
  };
}

function sealOf({ row }: ApplicationRecord): string {
  return row.seal;
}
