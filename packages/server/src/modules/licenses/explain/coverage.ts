/**
 * Purpose: one licence's coverage worked out at length: every installation that counts for it, what covers it, and what each entitlement is used for.
 * Invariants: everything is read in one snapshot and worked out by the same rules as positions, so Σ of the items is the position's used and installed,
 * to the unit, and the same question of the same version gets the same answer. The last few answers are kept, so that turning pages costs little.
 */
import {
  coverSteps,
  type Consumption,
  type CoverResult,
  type Installation,
  type UnmanagedClass,
  unmanagedClasses,
} from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { eachPolitely, inSteps } from "../../../slices.ts";
import { everywhere, inputOf, loadFacts } from "../coverage/index.ts";
import type { CubeLicense } from "../positions/index.ts";

export interface LicenseCoverage {
  readonly license: number;
  readonly at: number;
  readonly result: CoverResult;
  /** Places of the installations that have the licence or count as used of it, ascending. */
  readonly places: readonly number[];
  /** By place: units that count as used of the licence, and as installed. */
  readonly used: ReadonlyMap<number, number>;
  readonly installed: ReadonlyMap<number, number>;
  /** By place: the first device of those that count together with it. */
  readonly with: ReadonlyMap<number, number>;
  /** Installations that are not managed, by device. */
  readonly beside: readonly Beside[];
  /** Entitlements of the licence, valid or not, and those of others that cover its installations. */
  readonly entitlements: readonly EntitlementUse[];
}

export interface Beside extends Installation {
  readonly class: UnmanagedClass;
  /** What it adds to the position's count of its class. */
  readonly unmanaged: number;
}

export interface EntitlementUse {
  readonly id: string;
  readonly license: number;
  readonly units: number;
  readonly validity: "valid" | "not-started" | "expired";
  /** Of its units, those in use; for whatever licence. */
  readonly used: number;
  /** Installations it covers. */
  readonly covers: number;
}

export type CoverageOf = ReturnType<typeof createLicenseCoverage>;

const keptAnswers = 4;
/** Entitlements may start or expire while pages are turned. */
const keptFor = 60_000;

export function createLicenseCoverage(deps: { readonly db: Database }) {
  const { db } = deps;
  const kept = new Map<string, { readonly at: number; readonly answer: Promise<LicenseCoverage> }>();

  /** `moment`: a past one; absent = now. */
  return async (
    licenses: readonly CubeLicense[],
    license: number,
    when: { readonly version: number; readonly now: number; readonly moment?: number | undefined },
  ): Promise<LicenseCoverage> => {
    const key = `${when.version}:${license}:${when.moment ?? "now"}`;
    const known = kept.get(key);
    if (known !== undefined && when.now - known.at < keptFor) return known.answer;
    const answer = workOut(db, licenses, license, when.moment ?? when.now, when.moment);
    kept.delete(key);
    kept.set(key, { at: when.now, answer });
    answer.catch(() => kept.delete(key));
    const oldest = kept.keys().next();
    if (kept.size > keptAnswers && oldest.done !== true) kept.delete(oldest.value);
    return answer;
  };
}

async function workOut(
  db: Database,
  licenses: readonly CubeLicense[],
  license: number,
  at: number,
  moment: number | undefined,
): Promise<LicenseCoverage> {
  const { facts, beside } = await db.snapshot(async (trx) => ({
    facts: await loadFacts(db, trx, licenses, { at: moment, also: [license] }),
    beside: await besideOf(trx, licenses, license, moment),
  }));
  const group = facts?.rules.groups.find((members) => members.includes(license));
  if (facts === undefined || group === undefined) return { ...nothing(license, at), beside };
  const input = await inputOf(facts, group, at);
  const result = await inSteps(coverSteps(input));
  const byUser = facts.rules.licenses.get(license)?.metric === "user";

  const used = new Map<number, number>();
  const together = new Map<number, number>();
  const given = new Map<string, { used: number; covers: number }>();
  await eachPolitely(result.consumptions, (one) => {
    tally(given, one);
    if (one.license !== license) return;
    const [first, ...others] = one.installations as [number, ...number[]];
    used.set(first, (used.get(first) ?? 0) + one.units);
    for (const place of others) {
      used.set(place, used.get(place) ?? 0);
      together.set(place, (result.installations[first] as { device: number }).device);
    }
  });
  const installed = new Map<number, number>();
  const people = new Set<string>();
  await eachPolitely(result.installations.entries(), ([place, one]) => {
    if (one.license === license) installed.set(place, counts(one, byUser, people));
  });
  const covering = new Set<string>();
  await eachPolitely(installed.keys(), (place) => {
    const by = result.coverOf(place);
    if (typeof by !== "string") for (const id of by.entitlements) covering.add(id);
  });
  return {
    license,
    at,
    result,
    places: [...new Set([...used.keys(), ...installed.keys()])].sort((a, b) => a - b),
    used,
    installed,
    with: together,
    beside,
    entitlements: input.entitlements
      .filter((e) => e.license === license || covering.has(e.id) || e.reach.licenses.has(license))
      .map(({ id, license: own, units, validity }) => ({
        id,
        license: own,
        units,
        validity,
        used: given.get(id)?.used ?? 0,
        covers: given.get(id)?.covers ?? 0,
      })),
  };
}

/** What an installation adds to a count: its units, or one for a person's first. */
function counts(one: Installation, byUser: boolean, people: Set<string>): number {
  if (!byUser || one.employee === null) return one.units;
  const person = `${one.employee}:${one.department}`;
  if (one.employee === 0 || people.has(person)) return 0;
  people.add(person);
  return 1;
}

async function besideOf(
  trx: Trx,
  licenses: readonly CubeLicense[],
  license: number,
  moment: number | undefined,
): Promise<readonly Beside[]> {
  const classes = new Map<number, UnmanagedClass>();
  for (const { ordinal, base, class: name } of licenses) {
    const of = unmanagedClasses.find((known) => known === name);
    if (base === license && of !== undefined) classes.set(ordinal, of);
  }
  if (classes.size === 0) return [];
  const byUser = licenses.find(({ ordinal }) => ordinal === license)?.metric === "user";
  const people = new Map([...classes.keys()].map((ordinal) => [ordinal, new Set<string>()]));
  return [...(await everywhere(trx, classes, moment)).values()]
    .flat()
    .sort((a, b) => a.device - b.device)
    .map((one) => ({
      ...one,
      license,
      class: classes.get(one.license) as UnmanagedClass,
      unmanaged: counts(one, byUser, people.get(one.license) as Set<string>),
    }));
}

function tally(given: Map<string, { used: number; covers: number }>, one: Consumption): void {
  one.entitlements.forEach(({ id, units }, i) => {
    const total = given.get(id) ?? { used: 0, covers: 0 };
    total.used += units;
    // Where several entitlements give units together, the first is said to cover.
    if (i === 0) total.covers += one.installations.length;
    given.set(id, total);
  });
}

function nothing(license: number, at: number): LicenseCoverage {
  const result: CoverResult = {
    installations: [],
    coverOf: () => "no-entitlement",
    partsOf: () => [],
    consumptions: [],
    allocations: new Map(),
  };
  return {
    license,
    at,
    result,
    places: [],
    used: new Map(),
    installed: new Map(),
    with: new Map(),
    beside: [],
    entitlements: [],
  };
}
