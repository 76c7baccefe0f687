/**
 * The checks against brute force: satisfiability by truth table, circles by following every way.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holds, type Expression } from "../language/expression.ts";
import { parseRule } from "../language/rule.ts";
import { loadPolicies } from "../load.ts";
import { findCycles } from "./cycles.ts";
import { isSatisfiable } from "./satisfiable.ts";

const variables = ["@A", "@B", "@C", "@D"];
const expression = fc.letrec<{ e: Expression<string> }>((tie) => ({
  e: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(...variables).map((term) => ({ op: "term" as const, term, at: 0 })),
    tie("e").map((of) => ({ op: "not" as const, of, at: 0 })),
    fc
      .tuple(fc.constantFrom("and" as const, "or" as const), fc.array(tie("e"), { minLength: 2, maxLength: 3 }))
      .map(([op, of]) => ({ op, of, at: 0 })),
  ),
})).e;

describe("what can never hold", () => {
  it("is decided as a truth table decides it", () => {
    fc.assert(
      fc.property(expression, (e) => {
        const table = Array.from({ length: 2 ** variables.length }, (_, row) =>
          holds(e, (term) => ((row >> variables.indexOf(term)) & 1) === 1),
        );
        expect(isSatisfiable(e, (term) => term)).toBe(table.includes(true));
      }),
      { numRuns: 3000 },
    );
  });

  it("ends for expressions made to be hard, and then never claims a fault that is not certain", () => {
    // The pigeonhole formula: unsatisfiable, and exponential for every search of this kind.
    const holes = 9;
    const clauses: string[] = [];
    for (let p = 0; p <= holes; p++)
      clauses.push(`(${Array.from({ length: holes }, (_, h) => `@P${p}.${h}`).join(" OR ")})`);
    for (let h = 0; h < holes; h++) {
      for (let p = 0; p <= holes; p++) for (let q = 0; q < p; q++) clauses.push(`NOT (@P${p}.${h} AND @P${q}.${h})`);
    }
    const { value } = parseRule(`${clauses.join(" AND ")} = @L`);
    expect(value).toBeDefined();
    expect(isSatisfiable(value!.expression, (t) => t)).toBe(true);
  });
});

describe("circles", () => {
  const rules = fc.array(
    fc.record({
      yields: fc.constantFrom(...variables),
      needs: fc.uniqueArray(fc.constantFrom(...variables, "@X"), { maxLength: 3 }),
    }),
    { maxLength: 7 },
  );

  it("are found exactly when some code needs itself, and every step of the way named is a rule", () => {
    fc.assert(
      fc.property(rules, (list) => {
        const reach = (code: string, seen: Set<string>): Set<string> => {
          for (const r of list.filter((x) => x.yields === code)) {
            for (const need of r.needs) if (!seen.has(need)) reach(need, seen.add(need));
          }
          return seen;
        };
        const cycles = findCycles(list);
        expect(cycles.length > 0).toBe(variables.some((code) => reach(code, new Set()).has(code)));
        for (const { codes, rule } of cycles) {
          expect(codes[0]).toBe(codes[codes.length - 1]);
          expect(new Set(codes).size).toBe(codes.length - 1);
          expect(list[rule]?.yields).toBe(codes[0]);
          for (const [i, needed] of codes.slice(0, -1).entries()) {
            expect(list.some((r) => r.yields === codes[i + 1] && r.needs.includes(needed))).toBe(true);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("a chain of 50,000 rules is followed without running out of stack", () => {
    const chain = Array.from({ length: 50_000 }, (_, i) => ({ yields: `@${i + 1}`, needs: [`@${i}`] }));
    expect(findCycles(chain)).toEqual([]);
    expect(findCycles([...chain, { yields: "@0", needs: ["@50000"] }])).toHaveLength(1);
  });
});

describe("all or nothing", () => {
  it("a fault in one file leaves no policy for use", () => {
    const good = "daicho: policy/v1\nid: a\nedition: enterprise\nversion: 1\n";
    const loaded = loadPolicies([
      { file: "a", text: good },
      { file: "b", text: good.replace("id: a", "id: b").replace("version: 1", "version: one") },
    ]);
    expect(loaded.policies).toBeUndefined();
    expect(loaded.faults.map((f) => [f.file, f.line, f.column, f.code])).toEqual([["b", 4, 10, "bad-version"]]);
  });

  it("a code whose definition is faulty is not reported as unknown as well", () => {
    const text = [
      "daicho: policy/v1",
      "id: a",
      "edition: enterprise",
      "version: 1",
      "software:",
      '  - code: "@A"',
      "    name: A",
      "    detect: ap(name = x)",
      "licenses:",
      '  - rule: "@A AND @B AND = @C"',
      '  - rule: "@C = @D"',
    ].join("\n");
    const codes = loadPolicies([{ file: "a", text }]).faults.map((f) => f.code);
    expect(codes).toEqual(["unknown-probe", "unexpected-token"]);
  });
});
