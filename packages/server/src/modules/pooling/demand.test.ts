import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Position } from "@daicho/protocol";
import { demandOf, type Granted, type KnownCompany } from "./demand.ts";

const position = (used: number, held: number): Position =>
  ({ license: "@A", metric: "device", used, held, overUnder: held - used }) as Position;
const acme = (used: number, held: number, version: number, pooled: KnownCompany["pooled"] = true): KnownCompany => ({
  name: "acme",
  version,
  pooled,
  positions: [position(used, held)],
});
const lacking = (company: KnownCompany, parts: readonly Granted[]): number =>
  demandOf([company], parts).pooled.get("@A")?.[0]?.quantity ?? 0;

describe("what a company lacks, whatever is on its way", () => {
  it("is what it lacks once all that is on its way has come, at every moment between", () => {
    /** What happens to parts, in this order: each step of a company raises its version; the group hears of each step, or not yet. */
    const step = fc.record({ quantity: fc.integer({ min: 1, max: 9 }), reverse: fc.boolean(), heard: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), fc.nat(60), fc.nat(40), (steps, used, start) => {
        let version = 1;
        let held = start;
        const inventories = [acme(used, held, version)];
        const parts: Granted[] = [];
        let final = start;
        for (const { quantity, reverse, heard } of steps) {
          held += quantity;
          version++;
          inventories.push(acme(used, held, version));
          const booked = version;
          if (reverse) {
            held -= quantity;
            version++;
            inventories.push(acme(used, held, version));
          } else final += quantity;
          parts.push({
            company: "acme",
            license: "@A",
            quantity,
            booked_version: reverse || heard > 0 ? booked : null,
            reversal_id: reverse ? "r" : null,
            reversal_version: reverse && heard > 1 ? version : null,
          });
        }
        // The newest inventory has everything; the group may not have heard which version has what: it then orders less, never more.
        const newest = inventories[inventories.length - 1] as KnownCompany;
        expect(lacking(newest, parts)).toBeLessThanOrEqual(
          Math.max(0, used - final) + parts.reduce((sum, p) => sum + (p.reversal_id !== null ? p.quantity : 0), 0),
        );
        // Where it has heard of everything, the answer is the same whichever inventory it looks at.
        const told = parts.map((part, place) => ({
          ...part,
          booked_version: inventories.findIndex((_, i) => i > 0 && bookedAt(steps, place) === i) + 1,
          reversal_version: part.reversal_id === null ? null : bookedAt(steps, place) + 2,
        }));
        for (const inventory of inventories) expect(lacking(inventory, told)).toBe(Math.max(0, used - final));
      }),
    );
  });

  it("is asked of the group only for what the company leaves to it; what is never short is not asked for", () => {
    expect(demandOf([acme(5, 2, 1, false)], [])).toMatchObject({
      buyThemselves: [{ company: "acme", license: "@A", quantity: 3 }],
    });
    expect(lacking(acme(5, 2, 1, ["@B"]), [])).toBe(0);
    expect(lacking(acme(5, 2, 1, ["@A"]), [])).toBe(3);
    const site = { ...acme(5, 2, 1), positions: [{ ...position(5, 2), overUnder: 0 }] };
    expect(lacking(site, [])).toBe(0);
  });
});

/** Index of the inventory that first has the part of this step. */
function bookedAt(steps: readonly { readonly reverse: boolean }[], place: number): number {
  return steps.slice(0, place).reduce((index, { reverse }) => index + (reverse ? 2 : 1), 1);
}
