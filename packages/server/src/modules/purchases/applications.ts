/** Purpose: what purchase runs ask of applications. Implemented by modules/applications. */
import type { Trx } from "../../db/database.ts";

export interface Granted {
  /** Ordinals. */
  readonly department: number;
  readonly license: number;
  readonly quantity: number;
}

/** What departments had applied for and a run grants. */
export interface GrantedApplications {
  settle(
    trx: Trx,
    granted: readonly Granted[],
    options: { readonly source: string; readonly at: number },
  ): Promise<void>;
  /** Answers what is outstanding again: less than was granted where an application was withdrawn since. */
  unsettle(trx: Trx, source: string): Promise<readonly Granted[]>;
}
