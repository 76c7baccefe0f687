/**
 * The version orders against the programs that define them. Recorded verdicts (fixtures/README.md) are always checked;
 * on a machine with dpkg, thousands of freshly generated pairs as well.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareVersions } from "./index.ts";
import { compareDpkg } from "./dpkg.ts";
import { compareNumeric } from "./numeric.ts";

type Verdict = readonly [string, string, number];

function recorded(name: string): readonly Verdict[] {
  return JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8")) as readonly Verdict[];
}

describe.each([
  ["dpkg", 300],
  ["rpm", 400],
  ["pacman", 400],
  ["apk", 60],
])("%s's recorded verdicts", (source, atLeast) => {
  const verdicts = recorded(source);

  it("are many, and of every kind", () => {
    expect(verdicts.length).toBeGreaterThanOrEqual(atLeast);
    expect(new Set(verdicts.map(([, , v]) => v))).toEqual(new Set([-1, 0, 1]));
  });

  it("are reproduced in both directions", () => {
    const wrong = verdicts.filter(
      ([a, b, v]) => compareVersions(source, a, b) !== v || compareVersions(source, b, a) !== (v === 0 ? 0 : -v),
    );
    expect(wrong).toEqual([]);
  });
});

describe("dpkg's order", () => {
  const hasDpkg = spawnSync("dpkg", ["--version"]).status === 0;

  it("agrees with dpkg itself on thousands of generated pairs", (context) => {
    if (!hasDpkg) {
      context.skip("there is no dpkg on this machine; its recorded verdicts are checked above");
    }
    const pairs = fc.sample(
      fc.tuple(debianVersion, debianVersion).chain(([a, b]) => nearby(a, b)),
      3000,
    );
    expect(refusedByDpkg(pairs.map(([a, b]) => [a, b, compareDpkg(a, b)]))).toEqual([]);
  });
});

/**
 * Whichever dpkg says is not so; what it takes for no version at all, it has no say about. One shell for all and one question a pair, because starting
 * processes is what takes long.
 */
function refusedByDpkg(verdicts: readonly Verdict[]): readonly string[] {
  const script = `while read -r a op b; do dpkg --compare-versions "$a" "$op" "$b"; [ $? -ne 1 ] || echo "$a $op $b"; done`;
  const input = verdicts.map(([a, b, v]) => `${a} ${v < 0 ? "lt" : v > 0 ? "gt" : "eq"} ${b}\n`).join("");
  const answers = execFileSync("sh", ["-c", script], { input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] });
  return answers.split("\n").filter((line) => line !== "");
}

const piece = fc.oneof(
  fc.constantFrom("0", "00", "1", "01", "9", "10", "20240101", "99999999999999999999"),
  fc.constantFrom("a", "b", "Z", "rc", "beta", "git", "ubuntu", "deb12u", "dfsg", "p"),
  fc.constantFrom("~", "+", ".", "~~", "+~"),
);
const debianVersion = fc
  .tuple(
    fc.option(fc.constantFrom("0", "1", "2", "04"), { freq: 3 }),
    fc.constantFrom("0", "1", "2", "10"),
    fc.array(piece, { maxLength: 5 }),
    fc.option(fc.tuple(fc.constantFrom("0", "1", "2"), fc.array(piece, { maxLength: 3 })), { freq: 2 }),
  )
  .map(([epoch, first, rest, revision]) => {
    const upstream = first + rest.join("");
    const tail = revision === null ? "" : `-${revision[0]}${revision[1].join("")}`;
    return `${epoch === null ? "" : `${epoch}:`}${upstream}${tail}`;
  });

/** Half of the pairs differ in one place only: that is where orders go wrong. */
function nearby(a: string, b: string): fc.Arbitrary<readonly [string, string]> {
  return fc.oneof(
    fc.constant([a, b] as const),
    fc
      .tuple(fc.nat(a.length), fc.constantFrom("", "0", "1", "~", ".", "a", "+"))
      .map(([at, insert]) => [a, /^[0-9]/.test(a) && at > 1 ? a.slice(0, at) + insert + a.slice(at) : a] as const),
  );
}

describe("numeric segments", () => {
  it.each<Verdict>([
    ["7", "7.0", 0],
    ["7", "7.0.0.0", 0],
    ["7.1", "7.10", -1],
    ["7.9", "7.10", -1],
    ["16.0.4266.1001", "16.0.10000.1", -1],
    ["v1.2", "1.2", 0],
    ["Version 12.1", "12.1", 0],
    ["1.2-3", "1.2.3", 0],
    ["1,2,3", "1.2.3", 0],
    ["1.0rc1", "1.0", -1],
    ["1.0-beta.2", "1.0-rc.1", -1],
    ["1.0 Beta", "1.0", -1],
    ["1.1.1a", "1.1.1", 1],
    ["1.1.1a", "1.1.1b", -1],
    ["1.1.1a", "1.1.2", -1],
    ["8u331", "8u341", -1],
    ["2024", "24.04", 1],
    ["007", "7", 0],
    ["99999999999999999999", "100000000000000000000", -1],
    ["", "0", 0],
    ["", "1", -1],
    ["12.0.1 (x64)", "12.0.1", 1],
    ["７．1", "7.1", 0],
  ])("compares %s with %s: %i", (a, b, verdict) => {
    expect(compareNumeric(a, b)).toBe(verdict);
    expect(compareNumeric(b, a)).toBe(verdict === 0 ? 0 : -verdict);
  });

  it("is a total order: antisymmetric and transitive", () => {
    const text = fc.array(fc.constantFrom("0", "1", "2", "10", ".", "-", " ", "rc", "beta", "a", "b", "v", "日", "+"), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(text, text, text, (x, y, z) => {
        const [a, b, c] = [x.join(""), y.join(""), z.join("")].sort(compareNumeric) as [string, string, string];
        expect(compareNumeric(a, b)).toBeLessThanOrEqual(0);
        expect(compareNumeric(b, c)).toBeLessThanOrEqual(0);
        expect(compareNumeric(a, c)).toBeLessThanOrEqual(0);
        expect(compareNumeric(a, b)).toBe(-compareNumeric(b, a) || 0);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("every order", () => {
  it.each(["dpkg", "rpm", "apk", "pacman", "msi"])("%s answers any two texts, the same mirrored", (source) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        const order = compareVersions(source, a, b);
        expect([-1, 0, 1]).toContain(order);
        expect(compareVersions(source, a, a)).toBe(0);
        expect(compareVersions(source, b, a)).toBe(-order || 0);
      }),
    );
  });
});
