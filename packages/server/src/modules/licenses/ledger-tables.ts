/** Tables of the licence ledger that came after the first ones (tables.ts). */
export interface LicenseLedgerTables {
  /** What changed last at which position version: see version.ts for the scopes. */
  lic_marks: { scope: number; version: number };
}
