/**
 * The parser against everything that can be thrown at it, and printing against parsing.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePolicy } from "../policy/parse.ts";
import { loadPolicies } from "../load.ts";
import { parseCondition, printCondition } from "./condition.ts";
import { mapTerms, type Expression } from "./expression.ts";
import { depthLimit } from "./parser.ts";
import { makeProbe, operatorsOf, probeNames, probeShapes, type Comparison, type Probe } from "./probes.ts";
import { parseRule, printRule } from "./rule.ts";

/** Texts built of what the language is made of: they get further than random characters. */
const tokens = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "AND",
        "OR",
        "NOT",
        "and",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "~",
        "!",
        "@",
        '"',
        "\\",
      ),
      fc.constantFrom(
        "package",
        "file",
        "registry",
        "app",
        "swid",
        "name",
        "version",
        "size",
        "key",
        "manager",
        "sha256",
      ),
      fc.constantFrom("@A", "@B-1", "@日本", '"x"', '"a \\" b"', "7", "C:\\x", "*", "'", "（", "\u3000", "\0", "𠮷"),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 40 },
  )
  .chain((parts) => fc.constantFrom("", " ", "\n").map((glue) => parts.join(glue)));
const anyText = fc.oneof(tokens, fc.string({ unit: "binary", maxLength: 200 }));

describe("no input crashes the parser, and every fault has a place inside the text", () => {
  it.each([
    ["conditions", parseCondition],
    ["rules", parseRule],
  ])("%s", (_, parse) => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { value, faults } = parse(text);
        expect(value === undefined).toBe(faults.length > 0);
        for (const f of faults) {
          expect(f.at).toBeGreaterThanOrEqual(0);
          expect(f.at).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("policy files", () => {
    const line = fc.oneof(
      fc.constantFrom(
        "daicho: policy/v1",
        "id: x",
        "edition: local",
        "version: 1",
        "software:",
        "licenses:",
        "  - code: '@A'",
      ),
      fc.constantFrom(
        "    detect: >",
        "    detect: |",
        '  - rule: "@A = @B"',
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "- - -",
        "? x",
        "---",
        "...",
      ),
      anyText,
      anyText.map((t) => `    detect: ${t}`),
      anyText.map((t) => `  - rule: ${JSON.stringify(t)}`),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const text = lines.join("\n");
        const count = text.split("\n").length;
        for (const f of loadPolicies([{ file: "f", text }]).faults) {
          expect(f.line).toBeGreaterThanOrEqual(1);
          expect(f.line).toBeLessThanOrEqual(count);
          expect(f.column).toBeGreaterThanOrEqual(1);
        }
      }),
      { numRuns: 1500 },
    );
  });
});

describe("size does not matter", () => {
  const big = 200_000;

  it.each([
    ["open parentheses", "(".repeat(big)],
    ["closing parentheses", ")".repeat(big)],
    ["NOT", "NOT ".repeat(big)],
    ["a long chain", `${"@A OR ".repeat(big)}@A = @B`],
    ["terms side by side", "@A ".repeat(big)],
    ["quotes", '"'.repeat(big)],
    ["open probes", "file(".repeat(big)],
    ["commas", `file(${",".repeat(big)}`],
    ["equals signs", "=".repeat(big)],
    ["nested parentheses that are closed", `${"(".repeat(big)}@A${")".repeat(big)} = @B`],
  ])("%s: parsed or refused, with a bounded number of faults", (_, text) => {
    for (const parse of [parseCondition, parseRule]) expect(parse(text).faults.length).toBeLessThanOrEqual(50);
  });

  it("nesting is refused exactly beyond the limit", () => {
    const nested = (depth: number): string => `${"(".repeat(depth)}@A${")".repeat(depth)} = @B`;
    expect(parseRule(nested(depthLimit - 1)).faults).toEqual([]);
    expect(parseRule(nested(depthLimit)).faults.map((f) => f.code)).toEqual(["too-deep"]);
  });

  it.each([
    ["brackets", "[".repeat(100_000)],
    ["braces", '{"a":'.repeat(100_000)],
    ["indented maps", Array.from({ length: 2000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
  ])("a file nested too deeply is refused: %s", (_, text) => {
    expect(parsePolicy(text, { file: "f" }).faults.length).toBeGreaterThan(0);
  });

  it("a policy in one line of a million characters has its places as well as any other", () => {
    const software = Array.from({ length: 15_000 }, (_, i) => ({
      code: `@A${i}`,
      name: "x",
      detect: 'app(name = "𠮷")',
    }));
    const policy = { daicho: "policy/v1", id: "g", edition: "local", version: 1, software };
    const text = JSON.stringify(policy).replace(/\]\}$/, ',{"code":"@LAST","name":"x","detect":"ap(name = x)"}]}');
    const { faults } = parsePolicy(text, { file: "f" });
    const column = [...text].length - [...'ap(name = x)"}]}'].length + 1;
    expect(faults.map((f) => [f.line, f.column, f.code])).toEqual([[1, column, "unknown-probe"]]);
  });

  it("a file with thousands of keys, faults and codes ends with a fault that says so", () => {
    const software = Array.from({ length: 5000 }, (_, i) => `  - code: "@A${i}"\n    nam: x`).join("\n");
    const { faults } = parsePolicy(`daicho: policy/v1\nsoftware:\n${software}\n`, { file: "f" });
    expect(faults.length).toBe(501);
    expect(faults[500]?.code).toBe("too-many-faults");
  });
});

describe("printing", () => {
  const code = fc.constantFrom("@A", "@B", "@C-1", "@日本.x_1");
  const tree = <T>(leaf: fc.Arbitrary<T>): fc.Arbitrary<Expression<T>> =>
    fc.letrec<{ e: Expression<T> }>((tie) => ({
      e: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaf.map((term) => ({ op: "term" as const, term, at: 0 })),
        tie("e").map((of) => ({ op: "not" as const, of, at: 0 })),
        fc
          .tuple(fc.constantFrom("and" as const, "or" as const), fc.array(tie("e"), { minLength: 2, maxLength: 3 }))
          .map(([op, of]) => ({ op, of, at: 0 })),
      ),
    })).e;
  const flat = <T>(e: Expression<T>): unknown =>
    JSON.parse(JSON.stringify(e, (key, v: unknown) => (key === "at" ? 0 : v)));

  it("a rule that is printed and parsed is the same rule", () => {
    fc.assert(
      fc.property(tree(code), code, (expression, yields) => {
        const { value, faults } = parseRule(printRule({ expression, yields }));
        expect(faults).toEqual([]);
        expect(value?.yields).toBe(yields);
        expect(flat(value?.expression as Expression<string>)).toEqual(flat(expression));
      }),
    );
  });

  it("a condition that is printed and parsed is the same condition, with the same canonical probes", () => {
    const value = fc
      .oneof(
        fc.constantFrom("7", "x y", 'a"b', "c:\\d\\", "*", "日本", "a,b)", "1~2"),
        fc.string({ minLength: 1, maxLength: 8 }),
      )
      .filter((v) => v.trim() !== "" && ![...v].some((c) => c < " " || c === "\u007f"));
    const probe: fc.Arbitrary<Probe> = fc.constantFrom(...probeNames).chain((name) => {
      const comparison: fc.Arbitrary<Comparison> = fc
        .constantFrom(...Object.entries(probeShapes[name].fields))
        .filter(([, type]) => type !== "hash" && type !== "manager")
        .chain(([field, type]) =>
          fc.tuple(
            fc.constant(field),
            fc.constantFrom(...operatorsOf[type]),
            type === "size" ? fc.nat().map(String) : value,
          ),
        )
        .map(([field, op, v]) => ({ field, op: op, value: v }));
      const needed = probeShapes[name].needs[0];
      return fc
        .array(comparison, { minLength: 1, maxLength: 4 })
        .map((list) =>
          makeProbe(name, needed === undefined ? list : [{ field: needed, op: "=", value: "x" }, ...list]),
        );
    });
    fc.assert(
      fc.property(tree(probe), (expression) => {
        const { value: parsed, faults } = parseCondition(printCondition(expression));
        expect(faults).toEqual([]);
        const texts = (e: Expression<Probe>): unknown => flat(mapTerms(e, (p) => p.text));
        expect(texts(parsed as Expression<Probe>)).toEqual(texts(expression));
      }),
    );
  });

  it("however the comparisons of a probe are ordered, repeated or quoted, its canonical text is one", () => {
    const written = [
      'package(name = "x", version >= "7", version < "8")',
      "package(version<8, version>=7, name=x)",
      'package( name = x , version < "8" , name = "x" , version >= 7 )',
    ];
    const texts = written.map((w) => {
      const { value } = parseCondition(w);
      return value?.op === "term" ? value.term.text : undefined;
    });
    expect(new Set(texts)).toEqual(new Set(['package(name = "x", version >= "7", version < "8")']));
  });
});

describe("what is written is taken as written", () => {
  it("a backslash before anything but a quote or a backslash is itself", () => {
    const { value } = parseCondition('registry(key = "HKLM\\SOFTWARE\\\\Acme", data = "a\\"b")');
    expect(value?.op === "term" ? value.term.comparisons.map((c) => c.value) : []).toEqual([
      "HKLM\\SOFTWARE\\Acme",
      'a"b',
    ]);
  });

  it("a version that YAML would read as a number keeps its digits", () => {
    const text =
      'daicho: policy/v1\nid: 7\nedition: local\nversion: 1\nsoftware:\n  - code: "@A"\n    name: 1e3\n    version: 7.10\n    detect: app(name = "x")\n';
    const { policy } = parsePolicy(text, { file: "f" });
    expect(policy?.id).toBe("7");
    expect(policy?.software[0]?.definition).toMatchObject({ name: "1e3", version: "7.10" });
  });

  it("a byte order mark and CRLF do not move places", () => {
    const text =
      '\ufeffdaicho: policy/v1\r\nid: g\r\nedition: local\r\nversion: 1\r\nlicenses:\r\n  - rule: "@A = @B"\r\n';
    const at = loadPolicies([{ file: "f", text }]).faults.map((f) => [f.line, f.column, f.code]);
    expect(at).toEqual([[6, 12, "unknown-code"]]);
    expect(loadPolicies([{ file: "f", text: "\ufeffx: 1" }]).faults[0]).toMatchObject({ line: 1, column: 1 });
  });
});
