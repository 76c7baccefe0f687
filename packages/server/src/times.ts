/**
 * Purpose: times as people write them: RFC 3339, or a plain date. A date begins at its first millisecond (UTC) and, as an expiry, ends with its last:
 * what expires on the 31st is still good on the 31st.
 */

const date = /^(\d{4})-(\d{2})-(\d{2})$/;
const instant = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds, or undefined where the text is no date and no time. */
export function parseTime(text: string, end = false): number | undefined {
  const day = date.exec(text.slice(0, 10));
  if (day === null) return undefined;
  const [year, month, dayOfMonth] = day.slice(1).map(Number) as [number, number, number];
  const start = Date.UTC(year, month - 1, dayOfMonth);
  const at = new Date(start);
  // Date.UTC makes 2 March of 30 February, and a year of this century of the years 0–99.
  if (at.getUTCFullYear() !== year || at.getUTCMonth() !== month - 1 || at.getUTCDate() !== dayOfMonth)
    return undefined;
  if (text.length === 10) return end ? start + 86_400_000 - 1 : start;
  if (!instant.test(text)) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return Number.isNaN(ms) ? undefined : ms;
}

export const timeHint = "must be a date (2026-03-31) or an RFC 3339 time (2026-03-31T15:00:00Z)";

/** Milliseconds as the API shows them: RFC 3339, UTC. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
