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

/** One copy that shows that the licence is used. */
export interface FoundCopy {
  readonly name: string;
  readonly publisher?: string;
  readonly source: string;
  /** As found: a date or a date and time. */
  readonly installedAt?: string;
}

export interface InstallationFacts {
  readonly license: string;
  readonly department: string;
  /** Asked only where a rule looks at them: they have to be unpacked. */
  readonly copies: () => Promise<readonly FoundCopy[]>;
  /** When the operating system was installed or the device first reported, milliseconds. */
  readonly begun: () => Promise<number | undefined>;
}

export type Classified = { readonly class: InstallationClass; readonly rule: number };

/** Answers the first rule that holds, with its place in the list. */
export function compileClassification(
  rules: readonly ClassificationRule[],
): (facts: InstallationFacts) => Promise<Classified | undefined> {
  const compiled = rules.map((rule) => ({
    rule,
    license: globOf(rule.license),
    departments: rule.departments && new Set(rule.departments),
    sources: rule.sources && new Set(rule.sources),
    name: globOf(rule.name),
    publisher: globOf(rule.publisher),
  }));
  return async ({ license, department, copies, begun }) => {
    const code = foldName(license);
    for (const [at, one] of compiled.entries()) {
      if (!fits(one.license, code) || one.departments?.has(department) === false) continue;
      if (await installedSo(one, copies, begun)) return { class: one.rule.class, rule: at };
    }
    return undefined;
  };
}

interface Compiled {
  readonly rule: ClassificationRule;
  readonly sources: ReadonlySet<string> | undefined;
  readonly name: Glob | undefined;
  readonly publisher: Glob | undefined;
}

async function installedSo(
  { rule, sources, name, publisher }: Compiled,
  copies: InstallationFacts["copies"],
  begun: InstallationFacts["begun"],
): Promise<boolean> {
  const days = rule.installedWithinDays;
  if (sources === undefined && name === undefined && publisher === undefined && days === undefined) return true;
  const found = await copies();
  if (found.length === 0) return false;
  const fitting = found.every(
    (copy) =>
      sources?.has(copy.source) !== false &&
      fits(name, foldName(copy.name)) &&
      fits(publisher, foldName(copy.publisher ?? "")),
  );
  if (!fitting || days === undefined) return fitting;
  const from = await begun();
  return from !== undefined && found.every(({ installedAt }) => isBy(installedAt, from + days * dayMs));
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
