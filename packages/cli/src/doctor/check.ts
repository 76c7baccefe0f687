/** Purpose: what a check of `daicho doctor` answers, and how a look that fails becomes an answer. */
import { oneLine } from "@daicho/kernel";

export interface Check {
  /** What was looked at: configuration, store, signatures, clock, upstream, totals, spool … */
  readonly check: string;
  readonly place: string;
  readonly ok: boolean;
  readonly says: string;
}

/** The check's answer, or what went wrong with making it. */
export async function attempt(check: string, place: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { check, place, ok: true, says: await look() };
  } catch (error) {
    return { check, place, ok: false, says: error instanceof Finding ? error.message : oneLine(error) };
  }
}

/** Something is wrong, in words for the operator. */
export class Finding extends Error {}
