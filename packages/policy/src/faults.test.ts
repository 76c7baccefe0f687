/**
 * The fault table against the language reference, both ways, and against what the corpus makes happen.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { faultMessage, policyFaults } from "./faults.ts";

const reference = readFileSync(new URL("../../../docs/reference/policy-language.md", import.meta.url), "utf8");
const corpus = new URL("../corpus/", import.meta.url);

describe("fault codes", () => {
  it("are documented, all of them and no others", () => {
    const section = reference.slice(reference.indexOf("## Fault codes"));
    const documented = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map((m) => m[1]);
    expect(documented).toEqual(Object.keys(policyFaults));
  });

  it("are shown to happen by the corpus, but for those of bytes and of sheer size", () => {
    const seen = new Set<string>();
    for (const file of readdirSync(corpus).filter((name) => name.endsWith(".json"))) {
      const { cases } = JSON.parse(readFileSync(new URL(file, corpus), "utf8")) as {
        cases: { expect: { faults?: [string, number, number, string][] } }[];
      };
      for (const c of cases) for (const [, , , code] of c.expect.faults ?? []) seen.add(code);
    }
    const bySize = [
      "policy-too-large",
      "wrong-encoding", // the corpus is text
      "yaml-too-deep",
      "value-too-long",
      "too-many-faults",
      "too-deep",
      "probe-too-long",
    ];
    expect(Object.keys(policyFaults).filter((code) => !seen.has(code) && !bySize.includes(code))).toEqual([]);
  });

  it("quote what the author wrote, bounded", () => {
    expect(faultMessage("unknown-code", { code: "@X" })).toBe(
      "unknown code @X: no software defines it and no rule yields it",
    );
    expect(faultMessage("bad-code", { text: "x".repeat(9999) }).length).toBeLessThan(200);
  });
});
