import { expect, test } from "vitest";
import { parseRange } from "./blobs-route.ts";

test.each([
  ["bytes=0-9", 100, { start: 0, end: 9 }],
  ["bytes=90-", 100, { start: 90, end: 99 }],
  ["bytes=-10", 100, { start: 90, end: 99 }],
  ["bytes=-1000", 100, { start: 0, end: 99 }],
  ["bytes=50-1000", 100, { start: 50, end: 99 }],
  ["bytes=100-", 100, "outside"],
  ["bytes=-0", 100, "outside"],
  ["bytes=0-0", 0, "outside"],
  ["bytes=9-3", 100, undefined],
  ["bytes=-", 100, undefined],
  ["bytes=0-1,3-4", 100, undefined],
  ["lines=0-1", 100, undefined],
  [undefined, 100, undefined],
])("the range %s of %i bytes", (header, size, expected) => {
  expect(parseRange(header, size)).toEqual(expected);
});
