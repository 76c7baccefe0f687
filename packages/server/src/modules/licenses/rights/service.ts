/** Purpose: rights and required for the API and for imports. */
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import type { Events } from "../../../events.ts";
import { errorOfRow, type WriteResult } from "../../../rows.ts";
import type { PolicyLicenses } from "../catalog-store.ts";
import { quotaStore } from "./quota-store.ts";
import { rightsStore as store } from "./store.ts";
import { writeRights, type RightsInput } from "./write.ts";

export interface DepartmentRights {
  readonly department: string;
  readonly license: string;
  readonly rights: number;
  readonly required: number;
  readonly requested: number;
  /** rights + requested may not exceed it through applications; absent = no limit. */
  readonly quota?: number;
}

export interface Rights {
  get(department: string, license: string): Promise<DepartmentRights | undefined>;
  set(input: RightsInput): Promise<DepartmentRights>;
  /** For imports, inside their transaction. */
  write(trx: Trx, rows: readonly RightsInput[], options: { at: number }): Promise<WriteResult>;
}

export function createRights(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly ofPolicy?: PolicyLicenses;
}): Rights {
  const { db, clock, events, ofPolicy } = deps;
  const get: Rights["get"] = async (department, license) => {
    const row = await store.find(db.kysely, department, license);
    if (row === undefined) return undefined;
    const quota = await quotaStore.findByCode(db.kysely, department, license);
    return { department, license, ...row, ...(quota !== undefined && { quota }) };
  };
  return {
    get,
    async set(input) {
      const result = await db.transaction(async (trx) => {
        const written = await writeRights(db, trx, [input], { at: clock.now() });
        const fault = written.faults[0];
        if (fault?.code === "reference-unknown")
          throw serverErrors.make("not-found", { what: "department", id: input.department });
        if (fault !== undefined) throw errorOfRow(fault, "department", input.department);
        return written;
      });
      if (result.unchanged === 0) events.emit("positions-changed", {});
      return (await get(input.department, input.license)) as DepartmentRights;
    },
    write: (trx, rows, options) => writeRights(db, trx, rows, { ...options, ofPolicy }),
  };
}
