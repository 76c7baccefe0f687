/** Purpose: rights, used and codes of licences for organisation changes, as rows; one query per method. */
import type { Trx } from "../../db/database.ts";
import type { DialectName } from "../../db/dialect.ts";
import { inSet } from "../../db/sets.ts";

export const orgLicenseStore = {
  rights: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    trx
      .selectFrom("lic_rights")
      .select(["department", "license", "rights", "required", "requested"])
      .where(inSet(dialect, "lic_rights.department", departments))
      .execute(),

  used: (trx: Trx, dialect: DialectName, departments: readonly number[]) =>
    trx
      .selectFrom("lic_usage")
      .select(["department", "license", "used"])
      .where(inSet(dialect, "lic_usage.department", departments))
      .where("used", "<>", 0)
      // What is not managed is no use.
      .where("license", "in", (eb) => eb.selectFrom("lic_licenses").select("ordinal").where("base", "is", null))
      .execute(),

  codes: (trx: Trx) => trx.selectFrom("lic_licenses").select(["ordinal", "code"]).execute(),
};
