/**
 * The checks against brute force: satisfiability by truth table, circles by following every way.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holds, mapTerms, printExpression, type Expression } from "../language/expression.ts";
import { parseRule } from "../language/rule.ts";
import { loadPolicies } from "../load.ts";
import { compileRules } from "../match/matcher.ts";
import { dependencyOrder } from "../match/program.ts";
import { findCycles } from "./cycles.ts";
import { findUnreachable } from "./reach.ts";
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

describe("what can never hold through derived codes", () => {
  const outcomes = ["@D0", "@D1", "@D2", "@D3"];
  const own = fc.record({
    written: expression,
    picks: fc.array(fc.nat(7), { minLength: 8, maxLength: 8 }),
    shares: fc.boolean(),
  });
  // A rule uses what rules before it yield, so nothing goes in a circle; the explanation tells rules apart by what they yield.
  const rules = fc.array(own, { minLength: 2, maxLength: 4 }).map((list) =>
    list.map(({ written, picks, shares }, i) => {
      let at = 0;
      const expression = mapTerms(written, (term) => {
        const pick = picks[at++ % picks.length] ?? 0;
        return pick < i ? (outcomes[pick] ?? term) : term;
      });
      return { yields: outcomes[i] ?? "", shares, expression };
    }),
  );
  type Rules = (typeof rules extends fc.Arbitrary<infer R> ? R : never) & object;

  /** Indexes of the rules that hold on no device whatever is found on it. */
  function neverHolding(list: Rules, shares: (rule: Rules[number]) => boolean): Set<number> {
    const matcher = compileRules({
      daicho: "license-policy/v1",
      version: 1,
      software: [],
      rules: list.map((rule, i) => ({
        rule: `${printExpression(rule.expression, (code) => code)} = ${rule.yields}`,
        shares: shares(rule),
        place: String(i),
      })),
    });
    const never = new Set(list.keys());
    for (let row = 0; row < 2 ** variables.length; row++) {
      const codes = variables.filter((_, i) => ((row >> i) & 1) === 1).map((code) => ({ code, evidence: [] }));
      const didNot = new Set<number>();
      for (const { place, reason } of matcher.explain(codes).notMatched)
        if (reason !== "used") didNot.add(Number(place));
      for (const i of never) if (!didNot.has(i)) never.delete(i);
    }
    return never;
  }

  it("is what no device satisfies, whether or not codes are consumed", () => {
    let named = 0;
    fc.assert(
      fc.property(rules, (list) => {
        const { order, stuck } = dependencyOrder(list);
        fc.pre(stuck.length === 0);
        const found = findUnreachable(order).map((rule) => list.indexOf(rule));
        const [truly, unconsumed] = [neverHolding(list, (rule) => rule.shares), neverHolding(list, () => true)];
        const expected = [...truly].filter((i) => unconsumed.has(i));
        expect(found.sort()).toEqual(expected.sort());
        named += expected.length;
      }),
      { numRuns: 2000 },
    );
    expect(named).toBeGreaterThan(100);
  });

  it("is no rule whose codes an earlier one takes: that is precedence", () => {
    const text = (...licenses: string[]): string =>
      ["daicho: policy/v1", "id: p", "edition: enterprise", "version: 1", "software:"]
        .concat(["A", "B"].map((c) => `  - { code: "@${c}", name: ${c}, detect: app(name = "${c}") }`))
        .concat("licenses:", ...licenses.map((rule) => `  - rule: "${rule}"`))
        .join("\n");
    const faultsOf = (...licenses: string[]) =>
      loadPolicies([{ file: "p.yaml", text: text(...licenses) }]).faults.map((f) => [f.code, f.line, f.column]);
    expect(faultsOf("@A = @ONE", "@A = @OTHER", "@A AND @B = @BOTH")).toEqual([]);
    expect(faultsOf("@A AND NOT @B = @D", "@D AND @B = @E")).toEqual([["never-holds", 10, 12]]);
    expect(faultsOf("@A = @D", "@D = @D2", "@D2 AND NOT @A = @E")).toEqual([["never-holds", 11, 12]]);
  });

  it("is found in time in policies made to be hard, or not at all", () => {
    const many = Array.from({ length: 3_000 }, (_, i) => ({
      yields: `@D${i}`,
      shares: false,
      expression: parseRule(i === 0 ? "@A = @X" : `@D${i - 1} AND (@A${i} OR NOT @B${i % 7} OR @C) = @X`).value!
        .expression,
    }));
    expect(findUnreachable(dependencyOrder(many).order)).toEqual([]);
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

describe("several faults in one run", () => {
  const head = ["daicho: policy/v1", "id: a", "edition: enterprise", "version: 1"];
  const load = (...lines: string[]) => loadPolicies([{ file: "a", text: [...head, ...lines].join("\n") }]).faults;
  const placed = (...lines: string[]) => load(...lines).map((f) => [f.code, f.line, f.column]);

  it("a faulty definition takes its code like a sound one", () => {
    const sound = (code: string): string => `  - { code: "@${code}", name: n, detect: app(name = "n") }`;
    const faulty = (code: string): string => `  - { code: "@${code}", name: n, detect: ap(name = "n") }`;
    expect(placed("software:", faulty("A"), sound("A"), sound("B"), faulty("B"))).toEqual([
      ["unknown-probe", 6, 36],
      ["duplicate-code", 7, 14],
      ["duplicate-code", 9, 14],
      ["unknown-probe", 9, 36],
    ]);
  });

  it("what follows from a fault at the same place is not told as another", () => {
    expect(placed("software:", `  - { code: "@A", name: n, detect: app(name = "n") ANDD app(name = "m") }`)).toEqual([
      ["unexpected-token", 6, 52],
    ]);
    expect(placed(`x: ${"[".repeat(300)}`).filter(([code]) => code === "yaml-syntax")).toHaveLength(1);
  });

  it("a circle of fifty rules is named code by code", () => {
    const rules = Array.from({ length: 50 }, (_, i) => `  - rule: "@C${i} = @C${(i + 1) % 50}"`);
    const message = load("licenses:", ...rules)[0]?.message ?? "";
    for (const i of rules.keys()) expect(message).toContain(`@C${i} → `);
  });

  it("a message is one line that cannot steer a terminal, whatever it quotes", () => {
    expect(load('"a\\e[31m\\nb\\u202e": 1')[0]?.message).toContain("unknown key a\\u001b[31m\\u000ab\\u202e.");
  });
});

describe("a file that is no policy text", () => {
  const sound = "daicho: policy/v1\nid: p\nedition: enterprise\nversion: 1\n";
  const faultsOf = (text: string | Uint8Array) =>
    loadPolicies([{ file: "p.yaml", text }]).faults.map((f) => [f.code, f.line, f.column]);

  it("is told where its first byte stands that is not UTF-8", () => {
    expect(faultsOf(Buffer.from(sound))).toEqual([]);
    expect(faultsOf(Buffer.from(`\ufeff${sound}`))).toEqual([]);
    expect(faultsOf(Buffer.concat([Buffer.from(`${sound}# 会計 `), Buffer.from([0x93, 0xfa])]))).toEqual([
      ["wrong-encoding", 5, 6],
    ]);
    expect(faultsOf(Buffer.from(`\ufeff${sound}`, "utf16le"))).toEqual([["wrong-encoding", 1, 1]]);
    expect(faultsOf(Buffer.from([...Buffer.from("a: 会")].slice(0, 5)))).toEqual([["wrong-encoding", 1, 4]]);
  });

  it("has only the faults of its YAML told, and of quoting only where a quote is missing", () => {
    const told = (text: string) =>
      loadPolicies([{ file: "p.yaml", text }]).faults.map((f) => `${f.line}:${f.column} ${f.code} ${f.message}`);
    expect(told("{x\n")).toEqual(["2:1 yaml-syntax Flow map must end with a }. Correct the YAML."]);
    expect(told(`${sound}colour: red\nlicenses:\n  - rule: @A\n  - rule: \`A\n`)).toEqual([
      '7:11 yaml-syntax A value that begins with @ must be quoted: "@CODE". Correct the YAML.',
      "8:11 yaml-syntax Plain value cannot start with reserved character `. Correct the YAML.",
    ]);
  });

  it("holds one document, and is not nested deeper than any policy", () => {
    expect(faultsOf(`${sound}---\n${sound}`)).toEqual([["yaml-syntax", 5, 1]]);
    expect(faultsOf(`${sound}x: ${"[".repeat(100_000)}`).map(([code]) => code)).toContain("yaml-too-deep");
  });
});
