/** Purpose: budgets as rows, and what departments were charged; one query per method. */
import { sql, type Kysely } from "kysely";
import type { DialectName } from "../../db/dialect.ts";
import type { Trx } from "../../db/database.ts";
import type { Schema } from "../../db/schema.ts";
import { inSet } from "../../db/sets.ts";

type Db = Kysely<Schema> | Trx;
export type BudgetRow = Schema["app_budgets"];

export const budgetStore = {
  all: (db: Db): Promise<BudgetRow[]> => db.selectFrom("app_budgets").selectAll().execute(),

  find: (db: Db, costCentre: string, period: string): Promise<BudgetRow | undefined> =>
    db
      .selectFrom("app_budgets")
      .selectAll()
      .where("cost_centre", "=", costCentre)
      .where("period", "=", period)
      .executeTakeFirst(),

  ofCentre: (db: Db, costCentre: string, periods: readonly string[]): Promise<BudgetRow[]> =>
    db
      .selectFrom("app_budgets")
      .selectAll()
      .where("cost_centre", "=", costCentre)
      .where("period", "in", periods)
      .orderBy("period")
      .execute(),

  set: (trx: Trx, row: BudgetRow) =>
    trx
      .insertInto("app_budgets")
      .values(row)
      .onConflict((c) =>
        c
          .columns(["cost_centre", "period"])
          .doUpdateSet({ amount: row.amount, currency: row.currency, changed_at: row.changed_at }),
      )
      .execute(),

  async remove(trx: Trx, costCentre: string, period: string): Promise<boolean> {
    const result = await trx
      .deleteFrom("app_budgets")
      .where("cost_centre", "=", costCentre)
      .where("period", "=", period)
      .executeTakeFirst();
    return Number(result.numDeletedRows) === 1;
  },

  /** What runs that stand charged to these cost centres, per run. */
  charged: (db: Db, dialect: DialectName, costCentres: readonly string[]) =>
    db
      .selectFrom("pur_chargebacks as c")
      .innerJoin("pur_runs as r", "r.id", "c.run")
      .select(["c.cost_centre", "c.currency", "r.period", "r.at"])
      .select(sql<number>`cast(sum(c.amount) as bigint)`.as("amount"))
      .where(inSet(dialect, "c.cost_centre", costCentres))
      .where("r.state", "<>", "reversed")
      .groupBy(["c.run", "c.cost_centre", "c.currency", "r.period", "r.at"])
      .execute(),

  departments: (db: Db) => db.selectFrom("org_departments").select(["ordinal", "parent", "cost_centre"]).execute(),
};
