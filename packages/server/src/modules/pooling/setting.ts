/** Purpose: a company's word on which licences its group buys for it: all of them, those named, or none. */
import type { CompanyPositions } from "@daicho/protocol";

export type Pooled = NonNullable<CompanyPositions["pooled"]>;

/** From the configuration: `purchase.pooled` and `purchase.pooledLicenses`. */
export function pooledBy(
  purchase: { readonly pooled: boolean; readonly pooledLicenses: readonly string[] } | undefined,
): Pooled {
  if (purchase === undefined) return false;
  return purchase.pooled || (purchase.pooledLicenses.length > 0 && [...purchase.pooledLicenses]);
}

export function union(one: Pooled, other: Pooled): Pooled {
  if (one === true || other === true) return true;
  return [...new Set([...(one || []), ...(other || [])])].sort();
}

export function isPooled(pooled: Pooled, license: string): boolean {
  return typeof pooled === "boolean" ? pooled : pooled.includes(license);
}
