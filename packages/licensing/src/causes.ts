/**
 * Purpose: why a number changed. Whoever changes what is counted says why; the store keeps the number, so a code is never given another meaning.
 */
export const causeCodes = {
  /** Recorded before causes were, or not said. */
  unknown: 0,
  /** A report: what was installed or removed on the device. */
  report: 1,
  /** An inventory that was imported. */
  import: 2,
  /** The device's user went to another department. */
  moved: 3,
  /** Departments were merged, split, dissolved or put under another one. */
  reorganized: 4,
  /** The device got another user, another managing department, or came back into use. */
  reassigned: 5,
  disposed: 6,
  /** The policy or the selection of licences changed what the same facts mean. */
  policy: 7,
  /** Someone corrected how an installation is counted. */
  corrected: 8,
  /** The device's user left, and it waits on the hand-over list. */
  handover: 9,
  /** Rights or required were set by hand or from a file. */
  edited: 10,
  /** A purchase run, or its reversal. */
  purchaseRun: 11,
  /** An application was decided or withdrawn. */
  application: 12,
  /** Two devices were found to be one, or one to be two. */
  merged: 13,
} as const;
export type Cause = keyof typeof causeCodes;

const names = new Map<number, Cause>(Object.entries(causeCodes).map(([name, code]) => [code, name as Cause]));

/** A code of a newer version reads as unknown. */
export function causeOf(code: number): Cause {
  return names.get(code) ?? "unknown";
}
