/**
 * Purpose: at a group: what a company has not booked, and not taken back, yet - signed, so that it believes nobody else.
 * Invariants: what the company says it has is noted first; a part is answered until the company says that it has it, a reversal until it says that
 * it took the part back; a part that was reversed is not given out any more. What the group knows of who buys is answered under the lock that orders
 * are made under: once a company hears that something is not bought for it and there are no parts, none comes any more.
 */
import { signDocument, type SignedDocument, type Signer } from "@daicho/protocol";
import type { Database } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { companyOrder } from "./answer.ts";
import type { GroupCompanies } from "./demand.ts";
import { poolingStore as store } from "./store.ts";

/** What a company has: the newest part booked, the newest reversal seen to, and the position version from which on both show. */
export interface HeldParts {
  readonly after: string;
  /** Absent: it is older than reversals, and must not be taken to know of any. */
  readonly reversed?: string;
  readonly version: number;
}

export interface CompanyParts {
  fetch(company: string, held: HeldParts): Promise<SignedDocument>;
}

const perAnswer = 500;

export function createCompanyParts(deps: {
  readonly db: Database;
  readonly signer: () => Signer;
  readonly companies: Pick<GroupCompanies, "pooled">;
}): CompanyParts {
  const { db } = deps;
  return {
    fetch: (company, { after, reversed, version }) =>
      db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        await store.setBooked(trx, db.dialect, company, after, version);
        await store.setUnbooked(trx, db.dialect, company, after);
        if (reversed !== undefined) {
          await store.setTakenBack(trx, db.dialect, company, reversed, version);
          await store.setNotTakenBack(trx, db.dialect, company, reversed);
        }
        const parts = await store.partsAfter(trx, db.dialect, company, after, perAnswer);
        const reversals =
          reversed === undefined ? [] : await store.reversalsAfter(trx, db.dialect, company, reversed, perAnswer);
        const pooled = await deps.companies.pooled(trx, company);
        const answer = { company, pooled, orders: parts.map(companyOrder), ...(reversals.length > 0 && { reversals }) };
        return signDocument("company-orders/v1", JSON.stringify(answer), deps.signer());
      }),
  };
}
