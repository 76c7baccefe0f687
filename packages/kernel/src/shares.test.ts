import { expect, test } from "vitest";
import { createShares } from "./shares.ts";

test("a caller with its share under way is refused, others are not; what it gives back counts once", () => {
  const shares = createShares(2);
  const first = shares.take("a");
  expect(shares.take("a")).toBeDefined();
  expect(shares.take("a")).toBeUndefined();
  expect(shares.take("b")).toBeDefined();
  first?.();
  first?.();
  expect(shares.take("a")).toBeDefined();
  expect(shares.take("a")).toBeUndefined();
});

test("one thing always fits; beside it only what the share has room for", () => {
  const shares = createShares(10);
  const large = shares.take("a", 50);
  expect(large).toBeDefined();
  expect(shares.take("a", 1)).toBeUndefined();
  large?.();
  expect(shares.take("a", 4)).toBeDefined();
  expect(shares.take("a", 6)).toBeDefined();
  expect(shares.take("a", 1)).toBeUndefined();
});
