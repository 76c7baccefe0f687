/**
 * Runs the conformance corpus (packages/policy/corpus/README.md): data files that any implementation of the language
 * can be held against. Every expectation is exact; what a case does not mention is not checked.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Title } from "@daicho/protocol";
import { buildDocuments } from "./documents.ts";
import { loadPolicies } from "./load.ts";
import { compileRules } from "./match/matcher.ts";
import { compileDictionary, type ProbeHit } from "./recognize/recognizer.ts";

interface Case {
  readonly name: string;
  readonly policies: readonly { readonly file: string; readonly text: readonly string[] }[];
  readonly previous?: readonly { readonly id: string; readonly version: number }[];
  readonly selected?: readonly string[];
  readonly inventory?: { readonly software: readonly Title[]; readonly hits?: readonly ProbeHit[] };
  readonly expect: {
    readonly faults?: readonly (readonly [string, number, number, string])[];
    readonly codes?: readonly string[];
    readonly versions?: Readonly<Record<string, string>>;
    readonly licenses?: readonly { readonly license: string; readonly rule: string | null; readonly codes: string[] }[];
    readonly consumed?: readonly string[];
    readonly notMatched?: readonly { readonly license: string; readonly term: string; readonly reason: string }[];
  };
}

const folder = new URL("../corpus/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
const suites = files.map((name) => ({
  name,
  ...(JSON.parse(readFileSync(new URL(name, folder), "utf8")) as { about: string; cases: readonly Case[] }),
}));

it("the corpus has the cases it is meant to have", () => {
  expect(suites.reduce((sum, s) => sum + s.cases.length, 0)).toBeGreaterThanOrEqual(140);
});

describe.each(suites)("$name: $about", ({ cases }) => {
  it.each(cases)("$name", (c) => {
    const loaded = loadPolicies(
      c.policies.map(({ file, text }) => ({ file, text: text.join("\n") })),
      c.previous === undefined ? {} : { previous: c.previous },
    );
    const faults = loaded.faults.map((f) => [f.file, f.line, f.column, f.code]);
    expect(faults).toEqual(c.expect.faults ?? []);
    if (loaded.policies === undefined || c.inventory === undefined) return;

    const { dictionary, licensePolicy } = buildDocuments({
      enterprise: loaded.policies.filter((p) => p.edition === "enterprise"),
      local: loaded.policies.filter((p) => p.edition === "local"),
      ...(c.selected === undefined ? {} : { selected: c.selected }),
      company: "acme",
      dictionaryVersion: 1,
      generatedAt: "2026-01-01T00:00:00Z",
    });
    const recognizer = compileDictionary(dictionary.software);
    expect(recognizer.faults).toEqual([]);
    const recognized = recognizer.recognizeInventory({ titles: c.inventory.software, hits: c.inventory.hits ?? [] });
    expect(recognized.map((r) => r.code)).toEqual(c.expect.codes);
    for (const [code, version] of Object.entries(c.expect.versions ?? {})) {
      expect(recognized.find((r) => r.code === code)?.version).toBe(version);
    }
    if (c.expect.licenses === undefined) return;

    const matcher = compileRules(licensePolicy);
    const result = matcher.match(recognized.map((r) => r.code));
    const explained = matcher.explain(recognized);
    expect(explained.licenses.map(({ license, rule, codes }) => ({ license, rule, codes }))).toEqual(c.expect.licenses);
    expect(result.licenses.map((l) => l.license)).toEqual(c.expect.licenses.map((l) => l.license));
    expect([...result.consumed].sort()).toEqual([...(c.expect.consumed ?? [])].sort());
    expect(explained.notMatched.map(({ license, term, reason }) => ({ license, term, reason }))).toEqual(
      c.expect.notMatched ?? [],
    );
  });
});
