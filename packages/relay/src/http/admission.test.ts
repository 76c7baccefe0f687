import fc from "fast-check";
import { isDaichoError } from "@daicho/kernel";
import { expect, test } from "vitest";
import { createAdmission, type Ticket } from "./admission.ts";

test("whatever comes and goes, the bounds hold, and in the end nothing is held", () => {
  const step = fc.record({ enter: fc.boolean(), size: fc.integer({ min: 0, max: 700 }), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const admission = createAdmission({ maxRequests: 5, maxBytes: 1000, random: () => 0.5 });
      const inside: { ticket: Ticket; held: number }[] = [];
      for (const { enter, size, which } of steps) {
        const one = inside[which % Math.max(inside.length, 1)];
        try {
          if (enter) inside.push({ ticket: admission.enter(size), held: size });
          else if (one !== undefined && which % 3 === 0) {
            one.ticket.more(size);
            one.held += size;
          } else if (one !== undefined) {
            one.ticket.leave();
            one.ticket.leave();
            inside.splice(inside.indexOf(one), 1);
          }
        } catch (error) {
          expect(isDaichoError(error, "overloaded") && (error.retryAfter ?? 0) > 0).toBe(true);
        }
        expect(admission.requests).toBe(inside.length);
        expect(inside.length).toBeLessThanOrEqual(5);
        expect(admission.bytes).toBe(inside.reduce((sum, { held }) => sum + held, 0));
        // A single request may be as large as it is allowed to be; several together may not.
        if (inside.filter(({ held }) => held > 0).length > 1) expect(admission.bytes).toBeLessThanOrEqual(1000);
      }
      for (const { ticket } of inside) ticket.leave();
      expect([admission.requests, admission.bytes]).toEqual([0, 0]);
    }),
  );
});

test("a request that fits alone is taken, the one that does not fit beside it is told when to come back", () => {
  const admission = createAdmission({ maxRequests: 5, maxBytes: 1000, random: () => 0 });
  const large = admission.enter(5000);
  expect(() => admission.enter(1)).toThrow(expect.objectContaining({ code: "overloaded", retryAfter: 2 }) as Error);
  large.leave();
  const small = admission.enter(600);
  expect(() => admission.enter(600)).toThrow(expect.objectContaining({ code: "overloaded" }) as Error);
  const other = admission.enter(300);
  expect(() => other.more(200)).toThrow(expect.objectContaining({ code: "overloaded" }) as Error);
  small.leave();
  other.more(200);
});
