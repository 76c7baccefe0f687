/** Purpose: the names of periods: the month, or the day, that a moment belongs to in a time zone. */
import { Type } from "@sinclair/typebox";

/** No `/`: it parts the period from the rest in order numbers. */
export const PeriodName = Type.String({
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
  description: "Name of the period, such as 2026-11; absent = this month in the configured time zone",
});

export function periodOf(at: number, timezone: string, unit: "month" | "day" = "month"): string {
  // Sweden writes dates as ISO 8601 does.
  const day = new Intl.DateTimeFormat("sv-SE", {
    timeZone: timezone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).format(at);
  return unit === "day" ? day : day.slice(0, 7);
}
