/**
 * Purpose: at a company: fetches from its group what was ordered for it and what of it was reversed, and books it.
 * Invariants: only what the group signed, for this company, is booked; each question says what is booked already, which is how the group learns of it;
 * asked again after any interruption, nothing is lost or booked twice. When nothing is left, what the group says it buys for this company settles who
 * buys (word.ts); a group that does not say so settles nothing.
 */
import { validateCompanyOrders, verifyDocument, type DocumentRefusal, type TrustRoot } from "@daicho/protocol";
import type { Uplink, UplinkResult } from "@daicho/uplink";
import type { Bookkeeping } from "./bookkeeping.ts";
import type { Word } from "./word.ts";

export type FetchedOrders =
  | { readonly kind: "booked"; readonly count: number }
  /** A group that knows of no such orders: an older one. */
  | { readonly kind: "none" }
  | { readonly kind: "untrusted"; readonly refusal: DocumentRefusal };

export async function fetchOrders(options: {
  readonly uplink: Pick<Uplink, "request">;
  readonly root: TrustRoot;
  readonly company: string;
  readonly books: Pick<Bookkeeping, "held" | "book">;
  readonly word: Pick<Word, "count" | "settle">;
  readonly signal: AbortSignal;
}): Promise<UplinkResult<FetchedOrders>> {
  const { uplink, root, company, books, word, signal } = options;
  for (let count = 0; ;) {
    const given = await word.count();
    const { after, reversed, version } = await books.held();
    const path = `/ingest/v1/company-orders?after=${after}&reversed=${reversed}&version=${version}`;
    const result = await uplink.request("GET", path, { signal });
    if (result.kind === "refused" && result.problem.status === 404) {
      await word.settle(false, given);
      return { kind: "ok", value: { kind: "none" } };
    }
    if (result.kind !== "ok") return result;
    const untrusted = (refusal: DocumentRefusal): UplinkResult<FetchedOrders> => ({
      kind: "ok",
      value: { kind: "untrusted", refusal },
    });
    const verified = verifyDocument(parse(result.value.body), "company-orders/v1", root);
    if (!verified.ok) return untrusted(verified.refusal);
    const checked = validateCompanyOrders(verified.payload);
    if (!checked.ok || checked.value.company !== company) return untrusted("document-malformed");
    const { orders, reversals = [], pooled } = checked.value;
    const booked = await books.book({ orders, reversals });
    count += booked;
    // Asked once more after booking: that question tells the group.
    if (booked > 0) continue;
    if (pooled !== undefined) await word.settle(pooled, given);
    return { kind: "ok", value: { kind: "booked", count } };
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
