/**
 * Recognition: the title index against trying every probe, globs against their definition, and the order of facts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileGlob, matchGlob, type SoftwareDefinition, type Title } from "@daicho/protocol";
import { draftDefinition } from "../drafts.ts";
import { parseCondition } from "../language/condition.ts";
import { packageManagers, type Probe } from "../language/probes.ts";
import { quote } from "../language/tokens.ts";
import { foldName } from "./names.ts";
import { compileDictionary } from "./recognizer.ts";
import { satisfies, unmetField } from "./satisfies.ts";

const letters = fc.constantFrom("a", "b", "A", "é", "Ａ", "ｶ", "カ", "𠮷", "-", " ");
const name = fc.array(letters, { minLength: 1, maxLength: 6 }).map((c) => c.join(""));
const pattern = fc
  .array(fc.oneof(letters, fc.constantFrom("*", "?", "*")), { minLength: 1, maxLength: 7 })
  .map((c) => c.join(""));

const title: fc.Arbitrary<Title> = fc
  .record(
    {
      name,
      version: fc.constantFrom("", "1", "7.4", "4:7.4-1", "8"),
      source: fc.constantFrom("dpkg", "rpm", "msi", "registry", "swid", "app-bundle"),
      publisher: fc.constantFrom("Acme", "acme", "Other"),
      identifier: fc.constantFrom("com.acme.x", "COM.ACME.X", "other"),
    },
    { requiredKeys: ["name", "version", "source"] },
  )
  .map((t) => t as Title);

const blank = (v: string): boolean => v.trim() === "";
const comparison = (field: string): fc.Arbitrary<string> =>
  fc.oneof(
    name.filter((v) => !blank(v)).map((v) => `${field} = ${quote(v)}`),
    pattern.filter((v) => !blank(v)).map((v) => `${field} ~ ${quote(v)}`),
    name.filter((v) => !blank(v)).map((v) => `${field} != ${quote(v)}`),
  );
const version = fc
  .tuple(fc.constantFrom("=", "!=", "<", "<=", ">", ">="), fc.constantFrom("1", "7", "8", "4:7"))
  .map(([op, v]) => `version ${op} ${quote(v)}`);
const probeText = fc.oneof(
  fc
    .array(fc.oneof(comparison("name"), version, comparison("publisher"), fc.constant('publisher = "ACME"')), {
      minLength: 1,
      maxLength: 3,
    })
    .map((c) => `package(${c.join(", ")})`),
  fc
    .array(fc.oneof(comparison("name"), version, fc.constant('bundle = "com.acme.X"')), { minLength: 1, maxLength: 3 })
    .map((c) => `app(${c.join(", ")})`),
  fc
    .array(fc.oneof(comparison("name"), fc.constant('tagId ~ "com*"'), fc.constant('creator = "Acme"')), {
      minLength: 1,
      maxLength: 2,
    })
    .map((c) => `swid(${c.join(", ")})`),
);

function define(detect: readonly string[]): SoftwareDefinition[] {
  return detect.map((d, i) => ({ code: `@C${i}`, name: "x", detect: d }));
}

/** Straight from the table of the language reference: which titles a probe looks at, and what its fields are. */
function slowMatch(probe: Probe, t: Title): boolean {
  if (probe.name === "package" && !(packageManagers as readonly string[]).includes(t.source)) return false;
  if (probe.name === "swid" && t.source !== "swid") return false;
  return satisfies(probe, {
    manager: t.source,
    name: t.name,
    version: t.version,
    publisher: t.publisher,
    creator: t.publisher,
    bundle: t.identifier,
    tagId: t.identifier,
  });
}

describe("title probes", () => {
  it("the index finds exactly what trying every probe finds, ascending", () => {
    fc.assert(
      fc.property(fc.array(probeText, { maxLength: 12 }), fc.array(title, { maxLength: 6 }), (texts, titles) => {
        const recognizer = compileDictionary(define(texts));
        expect(recognizer.faults).toEqual([]);
        for (const t of titles) {
          const slow = recognizer.probes.flatMap((p, i) => (slowMatch(p, t) ? [i] : []));
          expect(recognizer.matchTitle(t)).toEqual(slow);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("the codes of an inventory do not depend on the order of its titles and hits, nor does their evidence", () => {
    fc.assert(
      fc.property(
        fc.array(probeText, { minLength: 1, maxLength: 6 }),
        fc.array(title, { maxLength: 8 }),
        (texts, titles) => {
          const recognizer = compileDictionary(define([...texts, 'file(name = "x") OR NOT app(name ~ "*a*")']));
          const hits = [
            { probe: 'file(name = "x")', found: { name: "x", path: "/b" } },
            { probe: 'file(name = "x")', found: { name: "x", path: "/a" } },
          ];
          const one = recognizer.recognizeInventory({ titles, hits });
          const two = recognizer.recognizeInventory({ titles: [...titles].reverse(), hits: [...hits].reverse() });
          expect(two).toEqual(one);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("probes that hold may be given as a set or as bits", () => {
    const recognizer = compileDictionary(
      define(Array.from({ length: 70 }, (_, i) => `app(name = "n${i}") AND NOT app(name = "n0")`)),
    );
    const holding = new Set([1, 31, 32, 33, 63, 64, 69]);
    const bits = new Uint32Array(3);
    for (const i of holding) bits[i >>> 5] = (bits[i >>> 5] ?? 0) | (1 << (i & 31));
    expect(recognizer.recognize(bits)).toEqual(recognizer.recognize(holding));
    expect(recognizer.recognize(holding).length).toBe(7);
  });
});

describe("definitions", () => {
  it("a definition that this version cannot read is named and left out; the others work", () => {
    const recognizer = compileDictionary([
      { code: "@NEW", name: "x", detect: 'hologram(name = "x")' },
      { code: "@OLD", name: "x", detect: 'app(name = "x")' },
    ]);
    expect(recognizer.faults.map((f) => [f.file, f.code])).toEqual([["@NEW", "unknown-probe"]]);
    expect(recognizer.codes).toEqual(["@OLD"]);
  });

  it("titles answer a code only when no file or registry probe is in its condition", () => {
    const recognizer = compileDictionary(
      define(['app(name = "x")', 'app(name = "x") OR file(name = "y")', "NOT registry=HKLM\\X"]),
    );
    expect(["@C0", "@C1", "@C2", "@NONE"].map((c) => recognizer.titleAnswerable(c))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("the digest of a definition follows its meaning, not its layout", () => {
    const digest = (detect: string, version?: string): string | undefined =>
      compileDictionary([
        { code: "@X", name: "n", detect, ...(version === undefined ? {} : { version }) },
      ]).definitionDigest("@X");
    expect(digest('app( name=x )\n  OR app(name = "y")')).toBe(digest('app(name = "x") OR app(name = "y")'));
    expect(digest('app(name = "x")')).not.toBe(digest('app(name = "y")'));
    expect(digest('app(name = "x")', "1")).not.toBe(digest('app(name = "x")'));
  });

  it("evidence is bounded", () => {
    const detect = Array.from({ length: 80 }, (_, i) => `app(name = "n${i}")`).join(" OR ");
    const titles = Array.from({ length: 80 }, (_, i) => ({ name: `n${i}`, version: "1", source: "import" }));
    const [code] = compileDictionary([{ code: "@X", name: "x", detect }]).recognizeInventory({ titles });
    expect(code?.evidence.length).toBe(64);
  });
});

describe("machine probes", () => {
  const probe = (text: string): Probe => {
    const { value } = parseCondition(text);
    if (value?.op !== "term") throw new Error(text);
    return value.term;
  };

  it.each<[string, Record<string, string>, boolean]>([
    [
      'file(path ~ "*/libreoffice7*/program/*")',
      { path: "C:\\Program Files\\LibreOffice7\\program\\soffice.bin" },
      true,
    ],
    ['file(path = "c:\\program files\\x.exe")', { path: "C:/Program Files/X.EXE" }, true],
    ['file(name = "a", size >= 10)', { name: "a", size: "9" }, false],
    ['file(name = "a", size >= 10)', { name: "a", size: "10" }, true],
    ['file(name = "a", size != 10)', { name: "a" }, false],
    ['file(name = "a", version > "1.9")', { name: "a", version: "1.10" }, true],
    [`file(name = "a", sha256 = "${"AB".repeat(32)}")`, { name: "a", sha256: "ab".repeat(32) }, true],
    ['registry(key = "HKEY_LOCAL_MACHINE\\Software\\Acme")', { key: "HKLM\\SOFTWARE\\Acme" }, true],
    ['registry(key = "Software\\Acme")', { key: "HKCU\\SOFTWARE\\Acme" }, true],
    ['registry(key = "HKLM\\Software\\Acme")', { key: "HKCU\\SOFTWARE\\Acme" }, false],
    [
      'registry(key = "HKLM\\Software\\Acme", value = "Version", data >= "16.0")',
      { key: "HKLM\\Software\\Acme", value: "version", data: "16.0.1" },
      true,
    ],
    [
      'registry(key = "HKLM\\Software\\Acme", data = "Full Edition")',
      { key: "HKLM\\Software\\Acme", value: "E", data: "full edition" },
      true,
    ],
    ['registry(key ~ "HKLM\\Software\\Acme*")', { key: "HKLM\\Software\\Acme\\7" }, true],
  ])("%s on %j: %s", (text, fields, expected) => {
    expect(satisfies(probe(text), fields)).toBe(expected);
  });

  it("the first unmet field says what a reader of costly facts has to read next", () => {
    const p = probe(`file(name = "a", size = 3, sha256 = "${"0".repeat(64)}")`);
    expect(unmetField(p, { name: "b" })).toBe("name");
    expect(unmetField(p, { name: "a" })).toBe("size");
    expect(unmetField(p, { name: "a", size: "3" })).toBe("sha256");
    expect(unmetField(p, { name: "a", size: "3", sha256: "0".repeat(64) })).toBeUndefined();
  });
});

describe("globs", () => {
  /** By definition, on characters. */
  const slow = (p: readonly string[], t: readonly string[]): boolean => {
    if (p.length === 0) return t.length === 0;
    if (p[0] === "*") return slow(p.slice(1), t) || (t.length > 0 && slow(p, t.slice(1)));
    return t.length > 0 && (p[0] === "?" || p[0] === t[0]) && slow(p.slice(1), t.slice(1));
  };

  it("match by their definition: * any run, ? one character", () => {
    fc.assert(
      fc.property(
        pattern,
        fc.oneof(
          name,
          pattern.map((p) => p.replaceAll("*", "a").replaceAll("?", "𠮷")),
        ),
        (p, t) => {
          const [glob, text] = [foldName(p), foldName(t)];
          expect(matchGlob(compileGlob(glob), text)).toBe(slow([...glob], [...text]));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("no pattern is slow: steps grow with pattern times text, not faster", () => {
    const glob = compileGlob(foldName(`${"*a".repeat(200)}*b`));
    expect(matchGlob(glob, "a".repeat(4000))).toBe(false);
  });
});

describe("drafts of definitions (domain.md §2, upkeep from inventory)", () => {
  const anyTitle: fc.Arbitrary<Title> = fc
    .record(
      {
        name: fc.oneof(name, fc.string({ unit: "binary", minLength: 1, maxLength: 40 })),
        version: fc.string({ maxLength: 8 }),
        source: fc.constantFrom("dpkg", "msi", "registry", "swid", "app-bundle", "import"),
        publisher: fc.string({ unit: "binary", maxLength: 10 }),
        identifier: fc.constantFrom("com.acme.x", ""),
      },
      { requiredKeys: ["name", "version", "source"] },
    )
    .map((t) => t as Title);

  it("recognise the title they were made from, in every version", () => {
    fc.assert(
      fc.property(anyTitle, (t) => {
        const draft = draftDefinition(t);
        const recognizer = compileDictionary([draft]);
        expect(recognizer.faults).toEqual([]);
        if (t.name.trim() === "") return;
        const codes = recognizer.recognizeInventory({ titles: [{ ...t, version: "999" }] }).map((c) => c.code);
        expect(codes).toEqual([draft.code]);
      }),
      { numRuns: 1000 },
    );
  });

  it("propose a readable code that is not taken", () => {
    const t: Title = { name: "Acme Office (64-bit)", version: "1", source: "registry" };
    expect(draftDefinition(t).code).toBe("@ACME-OFFICE-64-BIT");
    expect(draftDefinition(t, new Set(["@ACME-OFFICE-64-BIT"])).code).toBe("@ACME-OFFICE-64-BIT-2");
    expect(draftDefinition({ ...t, name: "一太郎2024" }).code).toBe("@一太郎2024");
  });
});
