/**
 * Purpose: the purchase run as a pure function (domain.md §7): from held, used, rights and requested to what is bought, who pays and what everyone
 * may use afterwards.
 * Invariants: after the run rights = used in every department and Σ rights ≤ held; Σ chargebacks of an order = its amount; a second run over the
 * result buys and moves nothing; the order of the input is irrelevant. A licence that is short but cannot be bought (`skipped`) gets no more rights
 * than are held. What is never short (site, free) is neither bought nor granted: its idle rights come back, that is all (docs/adr/0008).
 */
import { amountOf, byCode, shareOut, type Weight } from "./share.ts";

export interface Price {
  /** Minor units of `currency`. */
  readonly unitPrice: number;
  /** ISO 4217 */
  readonly currency: string;
  /** Units in each that is bought; absent = 1. The price is that of a whole pack, and only whole ones are bought. */
  readonly packSize?: number;
}

export interface LicenseToPlan {
  readonly license: string;
  readonly held: number;
  /** It is never short. */
  readonly unlimited?: boolean;
  /** Contract price; without one nothing can be bought. */
  readonly price?: Price | undefined;
  /** The group buys it for all its companies. */
  readonly pooled?: boolean;
}

export interface DepartmentToPlan {
  readonly department: string;
  readonly used: number;
  readonly rights: number;
  readonly requested: number;
}

/** Why a licence that is short is not bought. */
export const skipReasons = ["price-unknown", "amount-too-large", "bought-by-group"] as const;
export type SkipReason = (typeof skipReasons)[number];

export interface RightsChange {
  readonly department: string;
  readonly before: number;
  readonly after: number;
  readonly requestedBefore: number;
  readonly requestedAfter: number;
}

export interface Chargeback {
  readonly department: string;
  /** Rights it was granted (domain.md §3: corrected). */
  readonly quantity: number;
  readonly amount: number;
}

export interface LicensePlan {
  readonly license: string;
  readonly order?: Price & { readonly quantity: number; readonly amount: number };
  /** In the order of department codes. */
  readonly chargebacks: readonly Chargeback[];
  /** Departments whose rights or requested change, in the order of their codes. */
  readonly rights: readonly RightsChange[];
  /** Rights granted that did not have to be bought. */
  readonly savedByIdle: number;
  readonly skipped?: { readonly reason: SkipReason; readonly quantity: number };
}

/** One licence over all departments. Departments are named once each. */
export function planLicense(license: LicenseToPlan, departments: readonly DepartmentToPlan[]): LicensePlan {
  const rows = [...departments].sort((a, b) => byCode(a.department, b.department));
  const unlimited = license.unlimited === true;
  const used = sum(rows, (row) => row.used);
  const short = unlimited ? 0 : Math.max(0, used - license.held);
  const order = short > 0 ? orderOf(license, short) : undefined;
  const skipped = typeof order === "string" ? { reason: order, quantity: short } : undefined;

  const after = skipped !== undefined ? fitted(rows, license.held) : rows.map((row) => settled(row, unlimited));
  const rights: RightsChange[] = [];
  rows.forEach((row, place) => {
    const now = after[place] as number;
    const requested = Math.max(0, row.requested - Math.max(0, now - row.rights));
    if (now !== row.rights || requested !== row.requested)
      rights.push({
        department: row.department,
        before: row.rights,
        after: now,
        requestedBefore: row.requested,
        requestedAfter: requested,
      });
  });
  const granted = sum(rights, (row) => Math.max(0, row.after - row.before));
  const bought = order === undefined || typeof order === "string" ? undefined : order;
  return {
    license: license.license,
    ...(bought && { order: bought }),
    chargebacks: bought === undefined ? [] : chargebacksOf(rows, bought.amount),
    rights,
    savedByIdle: Math.max(0, granted - (bought === undefined ? 0 : short)),
    ...(skipped && { skipped }),
  };
}

export interface PurchasePlan {
  /** One per licence, in the order of codes. */
  readonly licenses: readonly LicensePlan[];
}

export function planPurchases(input: {
  readonly licenses: readonly LicenseToPlan[];
  readonly departments: readonly (DepartmentToPlan & { readonly license: string })[];
}): PurchasePlan {
  const rows = new Map<string, DepartmentToPlan[]>();
  for (const row of input.departments) {
    const list = rows.get(row.license);
    if (list === undefined) rows.set(row.license, [row]);
    else list.push(row);
  }
  return {
    licenses: [...input.licenses]
      .sort((a, b) => byCode(a.license, b.license))
      .map((license) => planLicense(license, rows.get(license.license) ?? [])),
  };
}

function orderOf(license: LicenseToPlan, short: number): NonNullable<LicensePlan["order"]> | SkipReason {
  if (license.pooled === true) return "bought-by-group";
  if (license.price === undefined) return "price-unknown";
  const { quantity, amount } = costOf(short, license.price);
  return amount === undefined ? "amount-too-large" : { quantity, ...license.price, amount };
}

/** What so many units cost, and how many whole packs that is; no amount where it would not be an exact number any more. */
export function costOf(
  units: number,
  price: Price,
): { readonly quantity: number; readonly amount: number | undefined } {
  const quantity = Math.ceil(units / (price.packSize ?? 1));
  return { quantity, amount: amountOf(quantity, price.unitPrice) };
}

/** rights after the run where everything needed is there. */
function settled(row: DepartmentToPlan, unlimited: boolean): number {
  return unlimited ? Math.min(row.rights, row.used) : row.used;
}

/**
 * rights after the run where too few are held: idle ones come back and go to those who lack some; where even what is in use and granted is more
 * than is held, everyone keeps their part of what is held.
 */
function fitted(rows: readonly DepartmentToPlan[], held: number): number[] {
  const kept = rows.map((row) => Math.min(row.rights, row.used));
  const left = held - kept.reduce((total, rights) => total + rights, 0);
  const weights = rows.map((row, place): Weight => {
    const own = kept[place] as number;
    return { code: row.department, weight: left >= 0 ? row.used - own : own };
  });
  if (left < 0) return shareOut(held, weights);
  // Fewer are left than are lacking: so nobody's share is more than what it lacks.
  return shareOut(left, weights).map((share, place) => share + (kept[place] as number));
}

/** By what each was granted; where nobody was granted anything - rights had been given out that were never bought - by what each uses. */
function chargebacksOf(rows: readonly DepartmentToPlan[], amount: number): Chargeback[] {
  const granted = (row: DepartmentToPlan): number => Math.max(0, row.used - row.rights);
  const byGrant = rows.some((row) => granted(row) > 0);
  const payers = rows
    .map((row) => ({ code: row.department, weight: byGrant ? granted(row) : row.used }))
    .filter(({ weight }) => weight > 0);
  const shares = shareOut(amount, payers);
  return payers.map(({ code, weight }, place) => ({
    department: code,
    quantity: byGrant ? weight : 0,
    amount: shares[place] as number,
  }));
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
