/**
 * Purpose: may this report follow what is held? The rules of design.md "Delivery" and "Clones", as one pure function.
 *
 *   newer   (epoch, seq) above the held one: taken, if its base fits
 *   again   the same report: duplicate
 *   older   made before the held one: a late or repeated delivery; never overwrites (domain.md §5.1): duplicate
 *   behind  lower or equal (epoch, seq), but made later: the device lost count (a restored backup). It must start a new
 *           epoch with a full report
 *   clone   the same, or any report of a key known to be copied, but from other hardware than the key was first seen on:
 *           that machine must enrol anew; the original keeps the identity
 */
export type Order = "newer" | "again" | "older" | "behind" | "clone";

export interface HeldOrder {
  readonly epoch: number;
  readonly seq: number;
  /** Hex digest of the state held. */
  readonly digest: string;
  readonly madeAt: number;
  readonly evidence: string | null;
}

export interface GivenOrder {
  readonly epoch: number;
  readonly seq: number;
  readonly state: string;
  readonly madeAt: number;
  readonly evidence: string | null;
}

export function orderOf(
  given: GivenOrder,
  held: HeldOrder | undefined,
  identity: { readonly firstEvidence: string | null; readonly forked: boolean },
): Order {
  const elsewhere =
    given.evidence !== null && identity.firstEvidence !== null && given.evidence !== identity.firstEvidence;
  if (identity.forked && elsewhere) return "clone";
  if (held === undefined) return "newer";
  const newer = given.epoch > held.epoch || (given.epoch === held.epoch && given.seq > held.seq);
  if (newer) return "newer";
  if (
    given.epoch === held.epoch &&
    given.seq === held.seq &&
    given.state === held.digest &&
    given.madeAt === held.madeAt
  )
    return "again";
  if (given.madeAt <= held.madeAt) return "older";
  return elsewhere && held.evidence !== given.evidence ? "clone" : "behind";
}

/** Whether `behind` shows a fork: the held report came from other hardware than this one, which is the key's first. */
export function showsFork(given: GivenOrder, held: HeldOrder): boolean {
  return given.evidence !== null && held.evidence !== null && given.evidence !== held.evidence;
}
