import { expect, test } from "vitest";
import { manualClock } from "./clock.ts";
import { silentLog, sparing, type LogFields } from "./log.ts";

test("a warning that one node causes all the time is written a few times a minute, and how often it was not", () => {
  const clock = manualClock();
  const lines: [string, LogFields | undefined][] = [];
  const { warn } = sparing({ ...silentLog, warn: (event, fields) => void lines.push([event, fields]) }, clock, 3);
  for (let i = 0; i < 10; i++) warn("reports-rejected", { node: "evil" });
  warn("reports-rejected", { node: "other" });
  warn("status-items-refused", { node: "evil" });
  expect(lines).toHaveLength(5);
  clock.advance(60_000);
  warn("reports-rejected", { node: "evil" });
  expect(lines.at(-1)).toEqual(["reports-rejected", { node: "evil", unwritten: 7 }]);
  warn("reports-rejected", { node: "evil" });
  expect(lines.at(-1)).toEqual(["reports-rejected", { node: "evil" }]);
});
