/**
 * The documents generated for a company: a selection never changes what the selected licences count.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { validateDictionary } from "@daicho/protocol";
import { buildDocuments, listLicenses } from "./documents.ts";
import { loadPolicies } from "./load.ts";
import { compileRules } from "./match/matcher.ts";
import { compileDictionary } from "./recognize/recognizer.ts";

const software = ["@A", "@B", "@C", "@D", "@E"];
const target = { company: "acme", dictionaryVersion: 3, generatedAt: "2026-01-01T00:00:00Z" };

function load(rules: readonly string[]) {
  const text = [
    "daicho: policy/v1",
    "id: group",
    "edition: enterprise",
    "version: 1",
    "software:",
    ...software.flatMap((c) => [
      `  - code: "${c}"`,
      `    name: ${c.slice(1)}`,
      `    detect: app(name = "${c.slice(1)}")`,
    ]),
    "licenses:",
    ...rules.flatMap((r) => [`  - rule: "${r}"`]),
  ].join("\n");
  return loadPolicies([{ file: "f", text }]);
}

const term = fc.oneof(
  fc.constantFrom(...software),
  fc.nat(4).map((i) => `@L${i}`),
);
const rule = fc
  .tuple(term, term, fc.constantFrom("", " AND ", " OR ", " AND NOT "), fc.nat(5))
  .map(([a, b, op, i]) => `${a}${op === "" ? "" : op + b} = @L${i}`);

describe("selection (domain.md §2)", () => {
  it("leaving licences out changes nothing about those that are selected", () => {
    let tried = 0;
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 6 }),
        fc.array(fc.boolean(), { minLength: 11, maxLength: 11 }),
        fc.subarray(software),
        (rules, choice, device) => {
          const { policies } = load(rules);
          if (policies === undefined) return;
          tried++;
          const selected = listLicenses(policies)
            .map((l) => l.code)
            .filter((_, i) => choice[i] === true);
          const count = (selection?: readonly string[]): string[] => {
            const built = buildDocuments({
              enterprise: policies,
              ...target,
              ...(selection === undefined ? {} : { selected: selection }),
            });
            const titles = device.map((c) => ({ name: c.slice(1), version: "1", source: "import" }));
            const codes = compileDictionary(built.dictionary.software).recognizeInventory({ titles });
            return compileRules(built.licensePolicy)
              .match(codes.map((c) => c.code))
              .licenses.map((l) => l.license);
          };
          expect(count(selected)).toEqual(count().filter((license) => selected.includes(license)));
        },
      ),
      { numRuns: 3000 },
    );
    expect(tried).toBeGreaterThan(300);
  });

  it("a dictionary holds only the definitions that have a bearing on the selected licences", () => {
    const { policies } = load(["@A AND @B = @L1", "@C = @L2"]);
    const built = buildDocuments({ enterprise: policies ?? [], ...target, selected: ["@L2", "@NOWHERE"] });
    expect(built.dictionary.software.map((s) => s.code)).toEqual(["@C"]);
    expect(built.licensePolicy.rules.map((r) => r.rule)).toEqual(["@C = @L2"]);
    expect(built.licensePolicy.selected).toEqual(["@L2"]);
    expect(built.unknownSelected).toEqual(["@NOWHERE"]);
  });
});

describe("documents", () => {
  it("carry company, version and time, and what the protocol asks for", () => {
    const { policies } = load(["@A = @L1"]);
    const built = buildDocuments({ enterprise: policies ?? [], ...target });
    expect(validateDictionary(built.dictionary).ok).toBe(true);
    expect(built.dictionary).toMatchObject({ company: "acme", version: 3, generatedAt: target.generatedAt });
    expect(built.licensePolicy.rules).toEqual([{ rule: "@A = @L1", place: "group:22:12" }]);
    expect(built.licensePolicy.software.map((s) => s.code)).toEqual(["@L1", "@B", "@C", "@D", "@E"]);
  });
});
