/** Purpose: version paths as rows; one query per method. A row with `replaced_at` is history. */
import type { Kysely } from "kysely";
import type { Trx } from "../../../db/database.ts";
import type { DialectName } from "../../../db/dialect.ts";
import type { Schema } from "../../../db/schema.ts";
import { inSet } from "../../../db/sets.ts";

type Db = Kysely<Schema> | Trx;

export const versionPathStore = {
  current: (db: Db) =>
    db.selectFrom("lic_version_paths").select(["name", "licenses", "created_at"]).where("replaced_at", "is", null),

  find: (db: Db, name: string) =>
    db
      .selectFrom("lic_version_paths")
      .select(["name", "licenses", "created_at"])
      .where("name", "=", name)
      .where("replaced_at", "is", null)
      .executeTakeFirst(),

  history: (db: Db, name: string) =>
    db
      .selectFrom("lic_version_paths")
      .select(["name", "licenses", "created_at", "replaced_at"])
      .where("name", "=", name)
      .orderBy("id", "desc")
      .execute(),

  insert: (db: Db, row: { name: string; licenses: string; created_at: number }) =>
    db
      .insertInto("lic_version_paths")
      .values({ ...row, replaced_at: null })
      .execute(),

  async replace(db: Db, name: string, at: number): Promise<boolean> {
    const result = await db
      .updateTable("lic_version_paths")
      .set({ replaced_at: at })
      .where("name", "=", name)
      .where("replaced_at", "is", null)
      .executeTakeFirst();
    return Number(result.numUpdatedRows) > 0;
  },

  knownCodes: (db: Db, dialect: DialectName, codes: readonly string[]) =>
    db
      .selectFrom("lic_licenses")
      .select("code")
      .where(inSet(dialect, "lic_licenses.code", codes))
      .execute(),
};
