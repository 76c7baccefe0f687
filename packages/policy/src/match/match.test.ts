/**
 * Laws of licence rules (domain.md §2), on generated policies and devices, against a reference evaluator that is as
 * simple and slow as the text of the specification.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LicensePolicy } from "@daicho/protocol";
import { PolicyError } from "../faults.ts";
import { parseRule } from "../language/rule.ts";
import { type Expression } from "../language/expression.ts";
import { compileRules } from "./matcher.ts";

interface WrittenRule {
  readonly rule: string;
  readonly shares?: boolean;
}

const found = ["@A", "@B", "@C", "@D", "@E", "@F"];

function policyOf(rules: readonly WrittenRule[], selected?: readonly string[]): LicensePolicy {
  return {
    daicho: "license-policy/v1",
    version: 1,
    rules: rules.map((r, i) => ({ ...r, place: `p:${i + 1}:1` })),
    software: found.map((code) => ({ code, name: code })),
    ...(selected === undefined ? {} : { selected: [...selected] }),
  };
}

/** Rule i yields @L<i> and may use codes that are found or yielded by any other rule; circles are left out. */
const rulesArbitrary = fc
  .array(fc.tuple(expressionOver(8), fc.nat(3), fc.boolean()), { minLength: 1, maxLength: 8 })
  .chain((list) =>
    fc
      .shuffledSubarray(
        list.map((_, i) => i),
        { minLength: list.length },
      )
      .map((order) =>
        order.map((i) => {
          const [expression, alias, shares] = list[i] ?? ["@A", 0, false];
          // A rule may only use what a rule with a smaller number yields, so there are no circles; @L<i> with alias 0
          // shares its right-hand code with rule i-1 where that makes no circle.
          const own = clampLicenses(expression, alias === 0 && i > 0 ? i - 1 : i);
          return { rule: `${own} = @L${alias === 0 && i > 0 ? i - 1 : i}`, shares: shares && i % 3 === 0 };
        }),
      ),
  );

function expressionOver(licenses: number): fc.Arbitrary<string> {
  const term = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...found) },
    { weight: 1, arbitrary: fc.nat(licenses - 1).map((i) => `@L${i}`) },
  );
  return fc.letrec<{ e: string }>((tie) => ({
    e: fc.oneof(
      { maxDepth: 3 },
      term,
      tie("e").map((e) => `NOT (${e})`),
      fc.tuple(tie("e"), tie("e")).map(([a, b]) => `(${a} AND ${b})`),
      fc.tuple(tie("e"), tie("e")).map(([a, b]) => `(${a} OR ${b})`),
    ),
  })).e;
}

function clampLicenses(expression: string, below: number): string {
  return expression.replace(/@L(\d)/g, (_, n: string) => (Number(n) < below ? `@L${n}` : "@A"));
}

const deviceArbitrary = fc.uniqueArray(fc.constantFrom(...found), { maxLength: found.length });

/** domain.md §2, word by word. */
function reference(
  rules: readonly WrittenRule[],
  device: readonly string[],
): { licenses: string[]; consumed: string[] } {
  const parsed = rules.map((r) => ({ ...r, ...parseRule(r.rule).value! }));
  const terms = (e: Expression<string>): string[] =>
    e.op === "term" ? [e.term] : e.op === "not" ? terms(e.of) : e.of.flatMap(terms);
  const tried = new Set<number>();
  const present = new Set(device);
  const consumed = new Set<string>();
  const derived: string[] = [];
  const met = (e: Expression<string>, underNot: boolean): boolean =>
    e.op === "term"
      ? present.has(e.term) && (underNot || !consumed.has(e.term))
      : e.op === "not"
        ? !met(e.of, true)
        : e.op === "and"
          ? e.of.every((m) => met(m, underNot))
          : e.of.some((m) => met(m, underNot));
  const holding = (e: Expression<string>): string[] =>
    e.op === "not" || !met(e, false) ? [] : e.op === "term" ? [e.term] : e.of.flatMap(holding);
  while (tried.size < parsed.length) {
    const next = parsed.findIndex(
      (rule, i) =>
        !tried.has(i) && parsed.every((other, j) => tried.has(j) || !terms(rule.expression).includes(other.yields)),
    );
    if (next === -1) throw new Error("the rules of this test go in a circle");
    tried.add(next);
    const rule = parsed[next]!;
    if (!met(rule.expression, false)) continue;
    const used = holding(rule.expression);
    if (rule.shares !== true) for (const code of used) consumed.add(code);
    present.add(rule.yields);
    derived.push(rule.yields);
  }
  const mentioned = new Set(parsed.flatMap((r) => [r.yields, ...terms(r.expression)]));
  const licenses = [
    ...derived.filter((code) => !consumed.has(code)),
    ...found.filter((code) => device.includes(code) && !mentioned.has(code)),
  ];
  return { licenses: [...new Set(licenses)], consumed: [...consumed] };
}

const sorted = (list: readonly string[]): string[] => [...list].sort();

describe("matching (domain.md §2)", () => {
  it("gives what the specification's words give, rule by rule", () => {
    fc.assert(
      fc.property(rulesArbitrary, deviceArbitrary, (rules, device) => {
        const result = compileRules(policyOf(rules)).match(device);
        const expected = reference(rules, device);
        expect(result.licenses.map((l) => l.license)).toEqual(expected.licenses);
        expect(sorted(result.consumed)).toEqual(sorted(expected.consumed));
      }),
      { numRuns: 2000 },
    );
  });

  it("explains exactly what it matched, and gives a reason for every rule that gave no licence", () => {
    fc.assert(
      fc.property(rulesArbitrary, deviceArbitrary, (rules, device) => {
        const matcher = compileRules(policyOf(rules));
        const result = matcher.match(device);
        const explained = matcher.explain(device.map((code) => ({ code, evidence: [] })));
        expect(explained.licenses.map((l) => l.license)).toEqual(result.licenses.map((l) => l.license));
        const named = explained.licenses.flatMap((l) => [
          ...(l.place === null ? [] : [l.place]),
          ...(l.also ?? []).map((a) => a.place),
        ]);
        expect(sorted([...named, ...explained.notMatched.map((n) => n.place)])).toEqual(
          sorted(rules.map((_, i) => `p:${i + 1}:1`)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it("a code is consumed by one rule only, and what is consumed is no licence", () => {
    fc.assert(
      fc.property(rulesArbitrary, deviceArbitrary, (rules, device) => {
        const plain = rules.map(({ rule }) => ({ rule }));
        const { licenses, consumed } = compileRules(policyOf(plain)).match(device);
        const used = licenses.flatMap((l) => (l.rule === null ? [] : l.codes));
        expect(new Set(used).size).toBe(used.length);
        expect(new Set(consumed).size).toBe(consumed.length);
        for (const l of licenses) expect(consumed).not.toContain(l.license);
      }),
      { numRuns: 1000 },
    );
  });

  it("neither the order nor the repetition of the codes matters, nor what was matched before", () => {
    fc.assert(
      fc.property(rulesArbitrary, deviceArbitrary, deviceArbitrary, (rules, device, other) => {
        const matcher = compileRules(policyOf(rules));
        const first = matcher.match(device);
        matcher.match(other);
        expect(matcher.match([...device, ...device].reverse())).toEqual(first);
      }),
    );
  });

  it("the order of rules that have no code in common does not matter", () => {
    const pair = fc.tuple(
      expressionOver(1).map((e) => e.replace(/@[DEF]|@L\d/g, "@A")),
      expressionOver(1).map((e) => e.replace(/@[ABC]|@L\d/g, "@D")),
    );
    fc.assert(
      fc.property(pair, deviceArbitrary, ([x, y], device) => {
        const a = { rule: `${x} = @L1` };
        const b = { rule: `${y} = @L2` };
        const one = compileRules(policyOf([a, b])).match(device);
        const two = compileRules(policyOf([b, a])).match(device);
        expect(sorted(two.licenses.map((l) => l.license))).toEqual(sorted(one.licenses.map((l) => l.license)));
        expect(sorted(two.consumed)).toEqual(sorted(one.consumed));
      }),
    );
  });

  it("putting a rule before one it depends on changes nothing", () => {
    const forward = [{ rule: "@A = @L1" }, { rule: "@L1 OR @B = @L2" }, { rule: "@L2 AND @C = @L3" }];
    for (const device of [["@A"], ["@A", "@C"], ["@B", "@C"], ["@A", "@B", "@C"], []]) {
      const one = compileRules(policyOf(forward)).match(device);
      const two = compileRules(policyOf([...forward].reverse())).match(device);
      expect(two.licenses.map((l) => l.license)).toEqual(one.licenses.map((l) => l.license));
      expect(two.consumed).toEqual(one.consumed);
    }
  });

  it("an unread rule or a circle is refused when compiled, by name", () => {
    expect(() => compileRules(policyOf([{ rule: "@A AND = @L" }]))).toThrow(PolicyError);
    expect(() => compileRules(policyOf([{ rule: "@L2 = @L1" }, { rule: "@L1 = @L2" }]))).toThrow(/@L1, @L2/);
  });

  it("says who consumed, and where", () => {
    const matcher = compileRules(policyOf([{ rule: "@A AND @B = @L1" }, { rule: "@A = @L2" }]));
    const { notMatched } = matcher.explain(["@A", "@B"].map((code) => ({ code, evidence: [] })));
    expect(notMatched.map((n) => n.because)).toEqual(["@A was consumed by @L1 (p:1:1: @A AND @B = @L1)"]);
  });

  it("follows a derived licence back to the codes found, with their evidence", () => {
    const matcher = compileRules(policyOf([{ rule: "@L1 AND @C = @L2" }, { rule: "@A OR @B = @L1" }]));
    const evidence = (name: string) => [{ probe: `app(name = "${name}")`, found: { name } }];
    const explained = matcher.explain([
      { code: "@A", evidence: evidence("a") },
      { code: "@B", evidence: evidence("b") },
      { code: "@C", evidence: evidence("c") },
    ]);
    expect(explained.licenses).toMatchObject([
      { license: "@L2", codes: ["@L1", "@C"], derivedFrom: ["@A", "@B", "@C"] },
    ]);
    expect(explained.licenses[0]?.evidence.map((e) => e.found["name"])).toEqual(["a", "b", "c"]);
  });
});

describe("AND and OR", () => {
  const term = expressionOver(1).map((e) => e.replace(/@L\d/g, "@F"));
  const outcome = (expression: string, device: readonly string[]): { holds: boolean; consumed: string[] } => {
    const result = compileRules(policyOf([{ rule: `${expression} = @L` }])).match(device);
    return { holds: result.licenses.some((l) => l.license === "@L"), consumed: sorted(result.consumed) };
  };
  const same = (a: string, b: string, device: readonly string[]): void => {
    expect(outcome(a, device)).toEqual(outcome(b, device));
  };

  it("are commutative, associative and idempotent, in what holds and in what is consumed", () => {
    fc.assert(
      fc.property(term, term, term, fc.constantFrom("AND", "OR"), deviceArbitrary, (x, y, z, op, device) => {
        same(`(${x}) ${op} (${y})`, `(${y}) ${op} (${x})`, device);
        same(`((${x}) ${op} (${y})) ${op} (${z})`, `(${x}) ${op} ((${y}) ${op} (${z}))`, device);
        same(`(${x}) ${op} (${x})`, x, device);
      }),
      { numRuns: 400 },
    );
  });

  it("distribute over each other in what holds", () => {
    fc.assert(
      fc.property(term, term, term, deviceArbitrary, (x, y, z, device) => {
        const left = outcome(`(${x}) AND ((${y}) OR (${z}))`, device);
        const right = outcome(`((${x}) AND (${y})) OR ((${x}) AND (${z}))`, device);
        expect(left).toEqual(right);
        expect(outcome(`(${x}) OR ((${y}) AND (${z}))`, device).holds).toBe(
          outcome(`((${x}) OR (${y})) AND ((${x}) OR (${z}))`, device).holds,
        );
      }),
      { numRuns: 400 },
    );
  });
});
