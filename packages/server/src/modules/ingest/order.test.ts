import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { orderOf, type GivenOrder, type HeldOrder } from "./order.ts";

const digest = "a".repeat(64);
const held: HeldOrder = { epoch: 5, seq: 10, digest, madeAt: 1000, evidence: "E1" };
const given = (over: Partial<GivenOrder>): GivenOrder => ({
  epoch: 5,
  seq: 11,
  state: digest,
  madeAt: 2000,
  evidence: "E1",
  ...over,
});
const identity = { firstEvidence: "E1", forked: false };

describe("report order (domain §5.1, design: delivery and clones)", () => {
  it("a higher sequence or epoch follows", () => {
    expect(orderOf(given({}), held, identity)).toBe("newer");
    expect(orderOf(given({ epoch: 6, seq: 1 }), held, identity)).toBe("newer");
    expect(orderOf(given({ seq: 1 }), undefined, identity)).toBe("newer");
  });

  it("the same report again is a duplicate, whatever it is called", () => {
    expect(orderOf(given({ seq: 10, madeAt: 1000 }), held, identity)).toBe("again");
  });

  it("a report made before the held one never overwrites it", () => {
    expect(orderOf(given({ seq: 9, madeAt: 900 }), held, identity)).toBe("older");
    expect(orderOf(given({ epoch: 4, seq: 99, madeAt: 1000 }), held, identity)).toBe("older");
  });

  it("a device that lost count is told so, not ignored: its later report has a lower sequence", () => {
    expect(orderOf(given({ seq: 3 }), held, identity)).toBe("behind");
  });

  it("the machine with the key's first hardware keeps the identity; another one is the clone", () => {
    expect(orderOf(given({ seq: 10, evidence: "E2" }), held, identity)).toBe("clone");
    expect(orderOf(given({ seq: 10, evidence: "E1" }), { ...held, evidence: "E2" }, identity)).toBe("behind");
    expect(orderOf(given({ seq: 99, evidence: "E2" }), held, { ...identity, forked: true })).toBe("clone");
    expect(orderOf(given({ seq: 99, evidence: "E1" }), held, { ...identity, forked: true })).toBe("newer");
  });

  it("replaying any earlier report, in any order, changes nothing", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 0, max: 1000 }),
        (epoch, seq, madeAt) => {
          expect(["again", "older"]).toContain(orderOf(given({ epoch, seq, madeAt }), held, identity));
        },
      ),
    );
  });
});
