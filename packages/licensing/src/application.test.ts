import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { approvalRoute, settleInOrder, takeIdle, type IdleSource } from "./index.ts";

const people = fc.constantFrom<string[]>("a", "b", "c", "d", "e");
const chains = fc
  .array(fc.option(people), { maxLength: 8 })
  .map((managers) => managers.map((manager, department) => ({ department, manager })));

describe("approval routes (domain.md §6: department managers upward)", () => {
  it("goes upward from the applying department's manager", () => {
    const chain = [
      { department: "D3", manager: "m3" },
      { department: "D2", manager: null },
      { department: "D1", manager: "m1" },
    ];
    expect(approvalRoute(chain, { excluded: [], mayApprove: () => true })).toEqual([
      { approver: "m3", department: "D3" },
      { approver: "m1", department: "D1" },
    ]);
  });

  it("asks nobody twice, never the applicant, nobody who is gone, and always someone", () => {
    fc.assert(
      fc.property(chains, people, fc.array(people), (chain, applicant, gone) => {
        const route = approvalRoute(chain, { excluded: [applicant], mayApprove: (e) => !gone.includes(e) });
        const asked = route.flatMap((step) => step.approver ?? []);
        expect(new Set(asked).size).toBe(asked.length);
        expect(asked).not.toContain(applicant);
        expect(asked.some((e) => gone.includes(e))).toBe(false);
        expect(route.length).toBeGreaterThan(0);
        // Whoever may decide and manages a department of the chain is asked, at the lowest one.
        for (const { manager, department } of chain)
          if (manager !== null && manager !== applicant && !gone.includes(manager)) {
            const at = route.find((step) => step.approver === manager)?.department ?? -1;
            expect(at).toBeGreaterThanOrEqual(0);
            expect(at).toBeLessThanOrEqual(department);
          }
        const places = route.map((step) => step.department ?? -1);
        expect(places).toEqual([...places].sort((x, y) => x - y));
        if (asked.length === 0) expect(route).toEqual([{}]);
      }),
    );
  });
});

const numbers = fc.array(fc.record({ rights: fc.nat(20), used: fc.nat(20), requested: fc.nat(5) }), { maxLength: 8 });

describe("idle rights go first (issue 3, item 4)", () => {
  it("takes most idle first, equals by code, and what no department has before that", () => {
    const row = (code: string, rights: number, used: number, requested = 0): IdleSource<string> => ({
      department: code, code, rights, used, requested,
    }); // prettier-ignore
    const departments = [row("D1", 0, 0), row("D4", 5, 2), row("D3", 3, 0), row("D2", 9, 1, 8), row("D5", 1, 0)];
    expect(takeIdle({ quantity: 9, applicant: "D1", held: 20, departments })).toEqual({
      fromCompany: 2,
      fromDepartments: [
        { department: "D3", quantity: 3 },
        { department: "D4", quantity: 3 },
        { department: "D5", quantity: 1 },
      ],
      rest: 0,
    });
    expect(takeIdle({ quantity: 9, applicant: "D1", held: Infinity, departments }).fromCompany).toBe(9);
  });

  it("loses and invents no right, and makes no department short", () => {
    fc.assert(
      fc.property(numbers, fc.nat(30), fc.nat(200), fc.nat(7), (rows, quantity, held, applicant) => {
        const departments = rows.map((row, at) => ({ ...row, department: at, code: `D${at}` }));
        const taken = takeIdle({ quantity, applicant, held, departments });
        const moved = taken.fromDepartments.reduce((sum, d) => sum + d.quantity, 0);
        expect(taken.fromCompany + moved + taken.rest).toBe(quantity);
        expect(taken.rest).toBeGreaterThanOrEqual(0);
        for (const { department, quantity: n } of taken.fromDepartments) {
          const from = departments[department] as IdleSource<number>;
          expect(n).toBeGreaterThan(0);
          expect(department).not.toBe(applicant);
          expect(from.rights - n).toBeGreaterThanOrEqual(from.used + from.requested);
        }
        const rights = departments.reduce((sum, d) => sum + d.rights, 0);
        if (taken.fromCompany > 0) expect(rights + taken.fromCompany).toBeLessThanOrEqual(held);
        if (moved > 0 && taken.rest > 0) {
          const left = departments.filter(
            (d) => d.department !== applicant && d.rights - d.used - d.requested > 0,
          ).length;
          expect(taken.fromDepartments).toHaveLength(left);
        }
      }),
    );
  });
});

describe("grants settle applications", () => {
  it("the oldest first, never more than is outstanding, and all that was granted while something is", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9).map((outstanding) => ({ outstanding }))), fc.nat(60), (open, granted) => {
        const settled = settleInOrder(open, granted);
        const sum = settled.reduce((total, s) => total + s.quantity, 0);
        expect(sum).toBe(
          Math.min(
            granted,
            open.reduce((total, a) => total + a.outstanding, 0),
          ),
        );
        for (const { application, quantity } of settled.slice(0, -1)) expect(quantity).toBe(application.outstanding);
        const order = settled.map((s) => open.indexOf(s.application));
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }),
    );
  });
});
