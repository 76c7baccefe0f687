/** Queries of the group's tables; one per method. */
import type { Kysely } from "kysely";
import type { Schema } from "../../db/schema.ts";

type Db = Kysely<Schema>;
export type CompanyRow = Schema["grp_companies"];

export const groupStore = {
  /**
   * Takes the company's positions if they are newer than those held - or the same, found to be true for a newer policy as well, or with another word
   * on who buys.
   * Answers whether it did.
   */
  async savePositions(db: Db, row: CompanyRow): Promise<boolean> {
    const result = await db
      .insertInto("grp_companies")
      .values(row)
      .onConflict((c) =>
        c
          .column("name")
          .doUpdateSet({
            node: row.node,
            version: row.version,
            policy: row.policy,
            devices: row.devices,
            at: row.at,
            received_at: row.received_at,
            positions: row.positions,
            pooled: row.pooled,
          })
          .where((eb) =>
            eb.or([
              eb("grp_companies.version", "<", row.version),
              eb.and([eb("grp_companies.version", "=", row.version), eb("grp_companies.policy", "<", row.policy)]),
              eb.and([
                eb("grp_companies.version", "=", row.version),
                eb("grp_companies.policy", "=", row.policy),
                eb("grp_companies.pooled", "<>", row.pooled),
              ]),
            ]),
          ),
      )
      .executeTakeFirst();
    return Number(result.numInsertedOrUpdatedRows ?? 0) === 1;
  },

  /** The same version again: it is only known to be current still. */
  touch: (db: Db, name: string, version: number, at: number) =>
    db
      .updateTable("grp_companies")
      .set({ received_at: at })
      .where("name", "=", name)
      .where("version", "=", version)
      .execute(),

  companies: (db: Db) =>
    db
      .selectFrom("grp_companies")
      .select(["name", "node", "version", "policy", "devices", "at", "received_at", "pooled"])
      .orderBy("name")
      .execute(),

  positions: (db: Db) =>
    db.selectFrom("grp_companies").select(["name", "version", "positions", "pooled"]).orderBy("name").execute(),

  company: (db: Db, name: string) =>
    db.selectFrom("grp_companies").selectAll().where("name", "=", name).executeTakeFirst(),

  enrollment: (db: Db) => db.selectFrom("grp_upstream").selectAll().where("id", "=", 1).executeTakeFirst(),

  saveEnrollment: (db: Db, enrollment: string, at: number) =>
    db
      .insertInto("grp_upstream")
      .values({ id: 1, enrollment, enrolled_at: at })
      .onConflict((c) => c.column("id").doUpdateSet({ enrollment, enrolled_at: at }))
      .execute(),
};
