/** Purpose: rights, required and requested per department and licence as rows; one query per method. */
import type { Kysely } from "kysely";
import { causeCodes, type Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import type { BulkValue, DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
export type RightsRow = Schema["lic_rights"];

const integer = (name: string) => ({ name, type: "integer" }) as const;
const key = [integer("department"), integer("license")] as const;

export const rightsStore = {
  departments: (db: Db) =>
    db.selectFrom("org_departments").select(["code", "ordinal"]).where("dissolved_at", "is", null).execute(),

  ofDepartments: (db: Db, dialect: DialectName, departments: readonly number[]): Promise<RightsRow[]> =>
    db
      .selectFrom("lic_rights")
      .selectAll()
      .where(inSet(dialect, "lic_rights.department", departments))
      .execute(),

  /** The rows of some pairs of department and licence. */
  async ofPairs(
    db: Db,
    dialect: DialectName,
    pairs: readonly { readonly department: number; readonly license: number }[],
  ): Promise<RightsRow[]> {
    const wanted = new Set(pairs.map((p) => `${p.department}:${p.license}`));
    const rows = await db
      .selectFrom("lic_rights")
      .selectAll()
      .where(inSet(dialect, "lic_rights.department", [...new Set(pairs.map((p) => p.department))]))
      .where(inSet(dialect, "lic_rights.license", [...new Set(pairs.map((p) => p.license))]))
      .execute();
    return rows.filter((row) => wanted.has(`${row.department}:${row.license}`));
  },

  find: (db: Db, department: string, license: string) =>
    db
      .selectFrom("lic_rights as r")
      .innerJoin("org_departments as d", "d.ordinal", "r.department")
      .innerJoin("lic_licenses as l", "l.ordinal", "r.license")
      .select(["r.rights", "r.required", "r.requested"])
      .where("d.code", "=", department)
      .where("l.code", "=", license)
      .executeTakeFirst(),

  /**
   * What was so until `until`, and why it no longer is. One row for every change of a row of lic_rights: for one that is new, its zeros; otherwise
   * a past position would show it from the beginning.
   */
  insertHistory: (db: Database, trx: Trx, rows: readonly RightsRow[], until: number, cause: Cause) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_rights_history",
        columns: [
          ...key,
          integer("rights"),
          integer("required"),
          integer("requested"),
          integer("until"),
          integer("cause"),
        ],
      },
      rows.map((r) => [r.department, r.license, r.rights, r.required, r.requested, until, causeCodes[cause]]),
    ),

  upsert: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_rights",
        columns: [...key, integer("rights"), integer("required")],
        conflict: ["department", "license"],
        update: { rights: "replace", required: "replace" },
      },
      rows,
    ),

  /** department, license, rights, required, requested */
  upsertAll: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_rights",
        columns: [...key, integer("rights"), integer("required"), integer("requested")],
        conflict: ["department", "license"],
        update: { rights: "replace", required: "replace", requested: "replace" },
      },
      rows,
    ),

  upsertNumbers: (db: Database, trx: Trx, rows: readonly (readonly BulkValue[])[]) =>
    db.bulk.insert(
      trx,
      {
        table: "lic_rights",
        columns: [...key, integer("rights"), integer("requested")],
        conflict: ["department", "license"],
        update: { rights: "replace", requested: "replace" },
      },
      rows,
    ),
};
