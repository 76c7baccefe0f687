/**
 * Purpose: one licence's coverage worked out at length: every installation that counts for it, what covers it, and what each entitlement is used for.
 * Invariants: everything is read in one snapshot and worked out by the same rules as positions, so Σ of the items is the position's used and installed,
 * to the unit, and the same question of the same version gets the same answer. The last few answers are kept, so that turning pages costs little.
 */
import { coverSteps, type Consumption, type Covered, type CoverResult, type UncoveredReason } from "@daicho/licensing";
import type { Database } from "../../../db/database.ts";
import { breathe } from "../../../slices.ts";
import { inputOf, loadFacts, politely, type FactLicense } from "../coverage/index.ts";
import type { CubeLicense } from "../positions/index.ts";

export interface LicenseCoverage {
  readonly at: number;
  readonly result: CoverResult;
  /** Places of the installations that have the licence or count as used of it, ascending. */
  readonly places: readonly number[];
  /** By place: units that count as used of the licence, and as installed. */
  readonly used: ReadonlyMap<number, number>;
  readonly installed: ReadonlyMap<number, number>;
  /** By place: the first device of those that count together with it. */
  readonly with: ReadonlyMap<number, number>;
  /** Entitlements of the licence, valid or not, and those of others that cover its installations. */
  readonly entitlements: readonly EntitlementUse[];
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
  licenses: readonly FactLicense[],
  license: number,
  at: number,
  moment: number | undefined,
): Promise<LicenseCoverage> {
  const facts = await db.snapshot((trx) => loadFacts(db, trx, licenses, { at: moment, also: [license] }));
  const group = facts?.rules.groups.find((members) => members.includes(license));
  if (facts === undefined || group === undefined) return nothing(at);
  const input = inputOf(facts, group, at);
  const result = await politely(coverSteps(input));
  const byUser = facts.rules.licenses.get(license)?.metric === "user";

  const used = new Map<number, number>();
  const together = new Map<number, number>();
  const given = new Map<string, { used: number; covers: number }>();
  let count = 0;
  for (const one of result.consumptions) {
    if (++count % 2048 === 0) await breathe();
    tally(given, one);
    if (one.license !== license) continue;
    const [first, ...others] = one.installations as [number, ...number[]];
    used.set(first, one.units);
    for (const place of others) {
      used.set(place, 0);
      together.set(place, (result.installations[first] as { device: number }).device);
    }
  }
  const installed = new Map<number, number>();
  const people = new Set<string>();
  for (let place = 0; place < result.installations.length; place++) {
    if (place % 4096 === 0) await breathe();
    const one = result.installations[place];
    if (one?.license !== license) continue;
    const person = byUser && one.employee !== null ? `${one.employee}:${one.department}` : undefined;
    installed.set(place, person === undefined ? one.units : one.employee === 0 || people.has(person) ? 0 : 1);
    if (person !== undefined) people.add(person);
  }
  const covering = new Set<string>();
  for (const place of installed.keys()) {
    const by = result.coverOf(place);
    if (typeof by !== "string") for (const id of by.entitlements) covering.add(id);
  }
  return {
    at,
    result,
    places: [...new Set([...used.keys(), ...installed.keys()])].sort((a, b) => a - b),
    used,
    installed,
    with: together,
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

function tally(given: Map<string, { used: number; covers: number }>, one: Consumption): void {
  one.entitlements.forEach(({ id, units }, i) => {
    const total = given.get(id) ?? { used: 0, covers: 0 };
    total.used += units;
    // Where several entitlements give units together, the first is said to cover.
    if (i === 0) total.covers += one.installations.length;
    given.set(id, total);
  });
}

function nothing(at: number): LicenseCoverage {
  const result: CoverResult = {
    installations: [],
    coverOf: () => "no-entitlement",
    consumptions: [],
    allocations: new Map(),
  };
  return { at, result, places: [], used: new Map(), installed: new Map(), with: new Map(), entitlements: [] };
}

/** Why, in a sentence; `code` names licences. */
export function because(by: Covered | UncoveredReason, code: (license: number) => string, own: string): string {
  if (by === "not-counted") return "its user has left, so nothing is needed";
  if (by === "no-entitlement") return `no entitlement is there that may be used for ${own}`;
  if (by === "not-valid") return `every entitlement that may be used for ${own} is outside its dates`;
  if (by === "used-up") return `every entitlement that may be used for ${own} is used up by others`;
  const first = by.allocation === undefined ? "" : ", allocated to it";
  if (by.secondTo !== undefined) return "free: the second device of its user, whose first is covered";
  if (by.entitlements.length === 0) return `${own} has no limit`;
  if (by.right === "direct") return `its own licence${first}`;
  if (by.right === "suite") return `${code(by.license)} holds ${own}${first}`;
  return `${by.right} right of ${code(by.license)}${first}`;
}
