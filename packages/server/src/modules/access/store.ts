/** Purpose: keys and tokens as rows. Secrets are kept as hashes; the signing key is the one secret that must be readable. */
import type { InsertResult, Kysely } from "kysely";
import type { Schema } from "../../db/schema.ts";
import type { Trx } from "../../db/database.ts";

type Db = Kysely<Schema> | Trx;
export type ApiTokenRow = Schema["access_api_tokens"];
export type EnrollmentTokenRow = Omit<Schema["access_enrollment_tokens"], "used"> & { used: number };

const wasInserted = (result: InsertResult): boolean => (result.numInsertedOrUpdatedRows ?? 0n) > 0n;

export const accessStore = {
  findKey: (db: Db, name: string) =>
    db.selectFrom("access_keys").selectAll().where("name", "=", name).executeTakeFirst(),

  insertKey: (db: Db, row: Schema["access_keys"]) =>
    db
      .insertInto("access_keys")
      .values(row)
      .onConflict((c) => c.doNothing())
      .execute(),

  /** False where a token of this id is there already. */
  insertApiToken: async (db: Db, row: ApiTokenRow): Promise<boolean> =>
    wasInserted(
      await db
        .insertInto("access_api_tokens")
        .values(row)
        .onConflict((c) => c.column("id").doNothing())
        .executeTakeFirst(),
    ),

  findApiToken: (db: Db, id: string) =>
    db.selectFrom("access_api_tokens").selectAll().where("id", "=", id).executeTakeFirst(),

  listApiTokens: (db: Db) => db.selectFrom("access_api_tokens").selectAll().orderBy("created_at").execute(),

  revokeApiToken: (db: Db, id: string, at: number) =>
    db
      .updateTable("access_api_tokens")
      .set({ revoked_at: at })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst(),

  /** False where the name is claimed already. */
  claimKey: async (db: Db, row: Schema["access_idempotency_keys"]): Promise<boolean> =>
    wasInserted(
      await db
        .insertInto("access_idempotency_keys")
        .values(row)
        .onConflict((c) => c.column("name").doNothing())
        .executeTakeFirst(),
    ),

  findClaim: (db: Db, name: string) =>
    db.selectFrom("access_idempotency_keys").selectAll().where("name", "=", name).executeTakeFirst(),

  releaseKey: (db: Db, name: string) => db.deleteFrom("access_idempotency_keys").where("name", "=", name).execute(),

  forgetKeys: (db: Db, before: number) =>
    db.deleteFrom("access_idempotency_keys").where("created_at", "<", before).execute(),

  /** False where a token of this id is there already. */
  insertEnrollmentToken: async (db: Db, row: Omit<EnrollmentTokenRow, "used">): Promise<boolean> =>
    wasInserted(
      await db
        .insertInto("access_enrollment_tokens")
        .values(row)
        .onConflict((c) => c.column("id").doNothing())
        .executeTakeFirst(),
    ),

  findEnrollmentToken: (db: Db, secretHash: string) =>
    db.selectFrom("access_enrollment_tokens").selectAll().where("secret_hash", "=", secretHash).executeTakeFirst(),

  listEnrollmentTokens: (db: Db) =>
    db.selectFrom("access_enrollment_tokens").selectAll().orderBy("created_at").execute(),

  setEnrollmentDepartment: (db: Db, id: string, department: string) =>
    db.updateTable("access_enrollment_tokens").set({ department }).where("id", "=", id).execute(),

  /** Takes one use; answers how many rows it changed, so that two callers cannot take the same last use. */
  async takeEnrollmentUse(db: Db, id: string, now: number): Promise<boolean> {
    const result = await db
      .updateTable("access_enrollment_tokens")
      .set((eb) => ({ used: eb("used", "+", 1), uses_left: eb("uses_left", "-", 1) }))
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .where((eb) => eb.or([eb("uses_left", "is", null), eb("uses_left", ">", 0)]))
      .where((eb) => eb.or([eb("expires_at", "is", null), eb("expires_at", ">", now)]))
      .executeTakeFirst();
    return Number(result.numUpdatedRows) === 1;
  },

  revokeEnrollmentToken: (db: Db, id: string, at: number) =>
    db
      .updateTable("access_enrollment_tokens")
      .set({ revoked_at: at })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst(),
};
