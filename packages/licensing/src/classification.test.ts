import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compileClassification,
  installationClasses,
  type ClassificationRule,
  type FoundCopy,
  type InstallationFacts,
} from "./classification.ts";

const copy = (over: Partial<FoundCopy> = {}): FoundCopy => ({ name: "Office", source: "msi", ...over });
const facts = (copies: readonly FoundCopy[], over: Partial<InstallationFacts> = {}): InstallationFacts => ({
  license: "@OFFICE",
  department: "D1",
  titles: () => Promise.resolve(copies),
  copies: () => Promise.resolve(copies),
  begun: () => Promise.resolve(Date.parse("2026-01-10T12:00:00Z")),
  ...over,
});
const holds = async (rule: Omit<ClassificationRule, "class">, of: InstallationFacts): Promise<boolean> =>
  (await compileClassification([{ class: "other", ...rule }])(of)) !== undefined;

describe("classification rules (domain.md §3: what is not managed)", () => {
  it.each([
    [{ license: "@off*" }, [], true],
    [{ license: "@WORD" }, [], false],
    [{ departments: ["D1", "D2"] }, [], true],
    [{ departments: ["D3"] }, [], false],
    [{ sources: ["msix", "app-bundle"] }, [copy({ source: "msix" })], true],
    [{ sources: ["msix"] }, [copy({ source: "msix" }), copy({ source: "msi" })], false],
    [{ sources: ["msix"] }, [], false],
    [{ name: "*oem*" }, [copy({ name: "Office ＯＥＭ" })], true],
    [{ publisher: "HP*" }, [copy({ publisher: "hp inc." })], true],
    [{ publisher: "HP*" }, [copy()], false],
    [{ installedWithinDays: 2 }, [copy({ installedAt: "2026-01-12T12:00:00Z" })], true],
    [{ installedWithinDays: 2 }, [copy({ installedAt: "2026-01-12T12:00:01Z" })], false],
    [{ installedWithinDays: 0 }, [copy({ installedAt: "2026-01-10" })], true],
    [{ installedWithinDays: 2 }, [copy({ installedAt: "2025-06-01" })], true],
    [{ installedWithinDays: 2 }, [copy({ installedAt: "soon" })], false],
    [{ installedWithinDays: 2 }, [copy()], false],
    [{ installedWithinDays: 2 }, [copy({ installedAt: "2026-01-10" }), copy({ installedAt: "2026-03-01" })], false],
    [{ license: "@OFFICE", sources: ["msi"], departments: ["D2"] }, [copy()], false],
  ] as const)("%#: %j", async (rule, copies, expected) => {
    expect(await holds(rule, facts(copies))).toBe(expected);
  });

  it("without a known beginning nothing was installed within days of it", async () => {
    const unknown = facts([copy({ installedAt: "2026-01-10" })], { begun: () => Promise.resolve(undefined) });
    expect(await holds({ installedWithinDays: 30 }, unknown)).toBe(false);
  });

  it("asks for copies only where a rule that could hold looks at them", async () => {
    const never = () => Promise.reject(new Error("asked"));
    const undated = facts([copy()], { copies: never, begun: never });
    expect(await holds({ sources: ["msi"], name: "Off*" }, undated)).toBe(true);
    expect(await holds({ name: "Word", installedWithinDays: 3 }, undated)).toBe(false);
    const asked = facts([], { titles: never, copies: never });
    const classify = compileClassification([
      { class: "other", license: "@WORD", sources: ["msi"] },
      { class: "individual", departments: ["D1"] },
    ]);
    expect(await classify(asked)).toEqual({ class: "individual", rule: 1 });
  });

  it("the first rule that holds decides; rules behind it change nothing", async () => {
    const condition = fc.record({
      license: fc.constantFrom("@*", "@OFFICE", "@WORD"),
      departments: fc.constantFrom(["D1"], ["D2"], ["D1", "D2"]),
      sources: fc.constantFrom(["msi"], ["msix"], ["msi", "msix"]),
    });
    const rules = fc.array(fc.record({ class: fc.constantFrom(...installationClasses), condition }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(rules, fc.constantFrom("msi", "msix"), async (list, source) => {
        const all = list.map(({ class: to, condition: c }) => ({ class: to, ...c }));
        const of = facts([copy({ source })]);
        const answer = await compileClassification(all)(of);
        const single = await Promise.all(all.map((rule) => compileClassification([rule])(of)));
        const first = single.findIndex((a) => a !== undefined);
        expect(answer).toEqual(first === -1 ? undefined : { class: all[first]?.class, rule: first });
        if (answer !== undefined)
          expect(await compileClassification(all.slice(0, answer.rule + 1))(of)).toEqual(answer);
      }),
    );
  });
});
