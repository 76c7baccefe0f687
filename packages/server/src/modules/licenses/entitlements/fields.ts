/** Purpose: what an entitlement's numbers may be, the same for the API and for files. */

/** ISO 4217 codes that this runtime knows (they come with its Unicode data). */
export const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf("currency"));

export const maxQuantity = 1_000_000_000;
/** Minor units; a quantity times this stays an exact number in any sum that is asked for. */
export const maxAmount = 1_000_000_000_000;
/** Licences in one pack; a quantity times this stays an exact number in any sum. */
export const maxPackSize = 100_000;
