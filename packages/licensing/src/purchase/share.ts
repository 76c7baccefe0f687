/**
 * Purpose: shares an amount out in whole minor units by largest remainder (domain.md §7): a purchase's cost over departments, a group order over
 * companies, rights that are too few over those who need them.
 * Invariants: the shares add up to the amount exactly; each is within 1 of its exact part; whoever has no weight gets nothing; of equal remainders
 * the lower code goes first; the order of the input is irrelevant. All in whole numbers, with big ones where a product would lose digits.
 */
export interface Weight {
  readonly code: string;
  /** Whole, not negative. */
  readonly weight: number;
}

/** One share per weight, in the order given. @throws RangeError where an amount has nobody to go to */
export function shareOut(amount: number, weights: readonly Weight[]): number[] {
  if (!isCount(amount) || !weights.every(({ weight }) => isCount(weight)))
    throw new RangeError("amounts and weights are whole, not negative and at most 2^53 − 1");
  const total = weights.reduce((sum, { weight }) => sum + BigInt(weight), 0n);
  if (total === 0n) {
    if (amount > 0) throw new RangeError("an amount needs somebody to go to");
    return weights.map(() => 0);
  }
  const whole = BigInt(amount);
  const parts = weights.map(({ code, weight }, place) => {
    const product = whole * BigInt(weight);
    return { place, code, share: Number(product / total), rest: product % total };
  });
  const shares = parts.map(({ share }) => share);
  let left = amount - shares.reduce((sum, share) => sum + share, 0);
  parts.sort((a, b) => (a.rest > b.rest ? -1 : a.rest < b.rest ? 1 : byCode(a.code, b.code)));
  for (const { place } of parts) {
    if (left-- <= 0) break;
    shares[place] = (shares[place] as number) + 1;
  }
  return shares;
}

/** quantity × price, or undefined where the result would not be an exact number any more. */
export function amountOf(quantity: number, unitPrice: number): number | undefined {
  const amount = quantity * unitPrice;
  return Number.isSafeInteger(amount) ? amount : undefined;
}

export function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
