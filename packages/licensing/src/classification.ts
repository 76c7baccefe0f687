/**
 * Purpose: whether an installation is managed or counted beside it - preinstalled, department-individual, other (domain.md §3 "not managed").
 * Decided in this order: a correction by hand, an allocation (whoever was given a licence is managed), the first rule that holds, the licence's
 * category, else managed.
 * Invariants: pure; what is not managed is not paid for, so a rule about how something was installed holds only where every copy found satisfies it -
 * one copy that somebody installed on purpose is enough to count.
 */
import { compileGlob, foldName, matchGlob, type Glob } from "@daicho/protocol";

export const installationClasses = ["managed", "preinstalled", "individual", "other"] as const;
export type InstallationClass = (typeof installationClasses)[number];
export type UnmanagedClass = Exclude<InstallationClass, "managed">;
export const unmanagedClasses: readonly UnmanagedClass[] = ["preinstalled", "individual", "other"];

export interface ClassificationRule {
  readonly class: InstallationClass;
  readonly note?: string;
  /** Glob over the licence code. */
  readonly license?: string;
  /** Codes of departments the device counts for; `unassigned` is one. */
  readonly departments?: readonly string[];
  /** Where the copies were found: dpkg, msix, app-bundle … */
  readonly sources?: readonly string[];
  /** Globs over name and publisher of the titles found. */
  readonly name?: string;
  readonly publisher?: string;
  /** Installed no later than so many days after the operating system was installed or, where that is not known, the device first reported. */
  readonly installedWithinDays?: number;
}

/** A title that shows that the licence is used; asked again, the same one should be the same object: what rules say of it is remembered. */
export interface FoundTitle {
  readonly name: string;
  readonly publisher?: string;
  readonly source: string;
}

/** One copy of it. */
export interface FoundCopy extends FoundTitle {
  /** As found: a date or a date and time. */
  readonly installedAt?: string;
}

export interface InstallationFacts {
  readonly license: string;
  readonly department: string;
  /** Asked only where a rule looks at them; copies only where it looks at dates: they have to be unpacked. */
  readonly titles: () => Promise<readonly FoundTitle[]>;
  readonly copies: () => Promise<readonly FoundCopy[]>;
  /** When the operating system was installed or the device first reported, milliseconds. */
  readonly begun: () => Promise<number | undefined>;
}

export type Classified = { readonly class: InstallationClass; readonly rule: number };

/** Answers the first rule that holds, with its place in the list. Every report asks, so what does not depend on the device is remembered. */
export function compileClassification(
  rules: readonly ClassificationRule[],
): (facts: InstallationFacts) => Promise<Classified | undefined> {
  const compiled = rules.map((rule, at): Compiled => ({
    at,
    rule,
    license: globOf(rule.license),
    departments: rule.departments && new Set(rule.departments),
    sources: rule.sources && new Set(rule.sources),
    name: globOf(rule.name),
    publisher: globOf(rule.publisher),
  }));
  const speaking = new Map<string, readonly Compiled[]>();
  const rulesOf = (license: string): readonly Compiled[] => {
    let known = speaking.get(license);
    if (known === undefined) {
      const code = foldName(license);
      speaking.set(license, (known = compiled.filter((one) => fits(one.license, code))));
    }
    return known;
  };
  const verdicts = new WeakMap<FoundTitle, (boolean | undefined)[]>();
  const fitsTitle = (one: Compiled, title: FoundTitle): boolean => {
    let known = verdicts.get(title);
    if (known === undefined) verdicts.set(title, (known = []));
    return (known[one.at] ??=
      one.sources?.has(title.source) !== false &&
      fits(one.name, foldName(title.name)) &&
      fits(one.publisher, foldName(title.publisher ?? "")));
  };
  return async ({ license, department, titles, copies, begun }) => {
    let found: readonly FoundTitle[] | undefined;
    for (const one of rulesOf(license)) {
      const { at, rule, departments, sources, name, publisher } = one;
      const days = rule.installedWithinDays;
      if (departments?.has(department) === false) continue;
      if (sources !== undefined || name !== undefined || publisher !== undefined || days !== undefined) {
        found ??= await titles();
        if (found.length === 0 || !found.every((title) => fitsTitle(one, title))) continue;
        if (days !== undefined && !(await areBy(days, copies, begun))) continue;
      }
      return { class: rule.class, rule: at };
    }
    return undefined;
  };
}

interface Compiled {
  readonly at: number;
  readonly rule: ClassificationRule;
  readonly license: Glob | undefined;
  readonly departments: ReadonlySet<string> | undefined;
  readonly sources: ReadonlySet<string> | undefined;
  readonly name: Glob | undefined;
  readonly publisher: Glob | undefined;
}

async function areBy(
  days: number,
  copies: InstallationFacts["copies"],
  begun: InstallationFacts["begun"],
): Promise<boolean> {
  const from = await begun();
  return from !== undefined && (await copies()).every(({ installedAt }) => isBy(installedAt, from + days * dayMs));
}

const dayMs = 86_400_000;

/** Sources that know only the day are believed for the whole of it: the copy was there by then. */
function isBy(installedAt: string | undefined, limit: number): boolean {
  const time = installedAt === undefined ? Number.NaN : Date.parse(installedAt);
  return !Number.isNaN(time) && time <= limit;
}

function globOf(pattern: string | undefined): Glob | undefined {
  return pattern === undefined ? undefined : compileGlob(foldName(pattern));
}

function fits(glob: Glob | undefined, text: string): boolean {
  return glob === undefined || matchGlob(glob, text);
}
