/** Purpose: whole minor units as people write them: 1250 EUR is 12.50 EUR, 1250 JPY is 1250 JPY. Never rounded. */
export function moneyText(amount: number, currency: string): string {
  const places = minorDigits(currency);
  if (places === 0) return `${amount} ${currency}`;
  const text = String(Math.abs(amount)).padStart(places + 1, "0");
  return `${amount < 0 ? "-" : ""}${text.slice(0, -places)}.${text.slice(-places)} ${currency}`;
}

/**
 * Currencies whose minor unit is not a hundredth, as ISO 4217 (list one) has them. Not as `Intl` has them: that follows what people write, and knows
 * no minor units of the forint, the rupiah or the peso.
 */
const digits: Readonly<Record<string, number>> = Object.fromEntries([
  ..."BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map((code) => [code, 0]),
  ..."BHD IQD JOD KWD LYD OMR TND".split(" ").map((code) => [code, 3]),
  ..."CLF UYW".split(" ").map((code) => [code, 4]),
]);

function minorDigits(currency: string): number {
  return digits[currency] ?? 2;
}
