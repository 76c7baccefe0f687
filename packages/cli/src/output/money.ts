/** Purpose: whole minor units as people write them: 1250 EUR is 12.50 EUR, 1250 JPY is 1250 JPY. Never rounded. */
export function moneyText(amount: number, currency: string): string {
  const digits = minorDigits(currency);
  if (digits === 0) return `${amount} ${currency}`;
  const text = String(Math.abs(amount)).padStart(digits + 1, "0");
  return `${amount < 0 ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)} ${currency}`;
}

function minorDigits(currency: string): number {
  // A currency this runtime does not know has two.
  if (!/^[A-Z]{3}$/.test(currency)) return 2;
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}
