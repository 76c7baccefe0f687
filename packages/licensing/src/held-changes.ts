/**
 * Purpose: why `held` changed between two moments: bought, edited, withdrawn, begun, expired (domain.md §3, §5).
 * Invariants: what an entitlement was worth at `from` plus its changes up to `to` is what it is worth at `to`.
 */
import { isValidAt, type Entitlement } from "./entitlement.ts";

/** What an entitlement said from one edit to the next. */
export interface EntitlementVersion extends Entitlement {
  readonly license: number;
  readonly recordedAt: number;
  /** Infinity: it says so still. */
  readonly replacedAt: number;
}

export type HeldCause =
  "purchased" | "entitlement-edited" | "entitlement-withdrawn" | "entitlement-started" | "entitlement-expired";

export interface HeldChange {
  readonly at: number;
  readonly license: number;
  readonly by: number;
  readonly cause: HeldCause;
}

/** `versions`: of one entitlement, in any order. */
export function heldChanges(versions: readonly EntitlementVersion[], from: number, to: number): HeldChange[] {
  const changes: HeldChange[] = [];
  const tell = (at: number, license: number, by: number, cause: HeldCause): void => {
    if (at > from && at <= to && by !== 0) changes.push({ at, license, by, cause });
  };
  // What was edited again within its millisecond was never true for any moment.
  const said = versions.filter((v) => v.recordedAt < v.replacedAt).sort((a, b) => a.recordedAt - b.recordedAt);
  for (const [i, version] of said.entries()) {
    const { recordedAt, replacedAt, license } = version;
    const former = said[i - 1]?.replacedAt === recordedAt ? said[i - 1] : undefined;
    const now = worth(version, recordedAt);
    if (former?.license === license)
      tell(recordedAt, license, now - worth(former, recordedAt - 1), "entitlement-edited");
    else {
      if (former !== undefined) tell(recordedAt, former.license, -worth(former, recordedAt - 1), "entitlement-edited");
      tell(recordedAt, license, now, former === undefined ? "purchased" : "entitlement-edited");
    }
    const inside = (at: number): boolean => recordedAt < at && at < replacedAt;
    const begins = version.startsAt ?? -Infinity;
    const ends = (version.expiresAt ?? Infinity) + 1;
    if (begins >= ends) continue;
    if (inside(begins)) tell(begins, license, version.quantity, "entitlement-started");
    if (inside(ends)) tell(ends, license, -version.quantity, "entitlement-expired");
    if (said[i + 1]?.recordedAt !== replacedAt)
      tell(replacedAt, license, -worth(version, replacedAt - 1), "entitlement-withdrawn");
  }
  return changes;
}

function worth(version: EntitlementVersion, at: number): number {
  return isValidAt(version, at) ? version.quantity : 0;
}
