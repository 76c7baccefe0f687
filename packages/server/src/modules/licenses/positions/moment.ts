/**
 * Purpose: the moment that a question about the past names. A date stands for the end of that day (UTC), a day in progress for now; what lies in the
 * future has no position. A moment before everything that was recorded has an empty one.
 */
import { inputInvalid } from "../../../http/problem.ts";
import { parseTime, timeHint } from "../../../times.ts";

/** undefined = now. @throws input-invalid */
export function momentOf(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const path = `querystring/${name}`;
  const moment = parseTime(text, true);
  if (moment === undefined) throw inputInvalid([{ path, message: timeHint }]);
  if (moment <= now) return moment;
  if (text.length === 10 && (parseTime(text) ?? Infinity) <= now) return undefined;
  throw inputInvalid([{ path, message: "lies in the future; positions are known up to now" }]);
}
