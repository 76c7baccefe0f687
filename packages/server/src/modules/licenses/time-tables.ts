import type { Generated } from "kysely";

/** What keeps the past of licences, beside lic_history, lic_rights_history and the replaced rows of lic_entitlements. */
export interface LicenseTimeTables {
  /** Each change of a licence's row: the values that were true until `until`. */
  lic_license_history: {
    id: Generated<number>;
    license: number;
    name: string;
    metric: string;
    managed: number;
    until: number;
  };
}
