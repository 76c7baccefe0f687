/** Tables of the licence ledger that came after the first ones (tables.ts). */
export interface LicenseLedgerTables {
  /** What changed last at which position version: see version.ts for the scopes. */
  lic_marks: { scope: number; version: number };
  /** How many rights and requested of a licence a department may have together; checked for applications. */
  lic_quotas: { department: number; license: number; quota: number };
}
