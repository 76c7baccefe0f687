/** Purpose: the newest priced entitlement of each licence, as rows. */
import { sql } from "kysely";
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import { inSet } from "../../db/sets.ts";

export const contractPriceStore = {
  newestPriced: (trx: Trx, dialect: DialectName, licenses: readonly number[]) =>
    trx
      .selectFrom((eb) =>
        eb
          .selectFrom("lic_entitlements")
          .select(["license", "unit_price", "currency", "pack_size"])
          .select(
            sql<number>`row_number() over (partition by license order by purchased_at desc nulls last, created_at desc, id desc)`.as(
              "place",
            ),
          )
          .where(inSet(dialect, "lic_entitlements.license", licenses))
          .where("replaced_at", "is", null)
          .where("unit_price", "is not", null)
          .as("priced"),
      )
      .select(["license", "unit_price", "currency", "pack_size"])
      .where("place", "=", 1)
      .execute(),
};
