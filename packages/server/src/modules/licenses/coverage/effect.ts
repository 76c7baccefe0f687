/**
 * Purpose: what attached rights and allocations change in the counts at a time: by department and licence the difference between what is used and what
 * is installed, and how much of what is allocated is in use.
 * Invariants: used = installed + difference, and Σ over departments of it is the company's; the effect depends on the facts and on which entitlements are
 * valid, so it is worked out once and kept until one of them starts or expires. Long work breathes.
 */
import {
  coverSteps,
  isValidAt,
  type AllocationTotals,
  type CoverInput,
  type Installation,
  type Validity,
} from "@daicho/licensing";
import { eachPolitely, inSteps } from "../../../slices.ts";
import type { CoverageFacts, DatedEntitlement } from "./facts.ts";

export interface CoverageEffect {
  /** Department → licence (ordinal) → used − installed. Only where it is not 0. */
  readonly differences: ReadonlyMap<number, ReadonlyMap<number, number>>;
  readonly allocations: ReadonlyMap<number, AllocationTotals>;
}

interface Kept {
  readonly from: number;
  readonly until: number;
  readonly effect: Promise<CoverageEffect>;
}
const kept = new WeakMap<CoverageFacts, Kept>();

export function effectAt(facts: CoverageFacts, at: number): Promise<CoverageEffect> {
  const known = kept.get(facts);
  if (known !== undefined && known.from <= at && at < known.until) return known.effect;
  let until = Infinity;
  for (const { startsAt, expiresAt } of facts.rules.entitlements) {
    if (startsAt !== null && startsAt > at) until = Math.min(until, startsAt);
    if (expiresAt !== null && expiresAt >= at) until = Math.min(until, expiresAt + 1);
  }
  const effect = workOut(facts, at);
  kept.set(facts, { from: at, until, effect });
  effect.catch(() => kept.delete(facts));
  return effect;
}

async function workOut(facts: CoverageFacts, at: number): Promise<CoverageEffect> {
  const differences = new Map<number, Map<number, number>>();
  const allocations = new Map<number, AllocationTotals>();
  const bump = (department: number, license: number, by: number): void => {
    let row = differences.get(department);
    if (row === undefined) differences.set(department, (row = new Map()));
    row.set(license, (row.get(license) ?? 0) + by);
  };
  for (const group of facts.rules.groups) {
    const result = await inSteps(coverSteps(await inputOf(facts, group, at)));
    const people = new Set<string>();
    await eachPolitely(result.installations, ({ license, employee, department, units }) => {
      const byUser = facts.rules.licenses.get(license)?.metric === "user";
      if (!byUser || employee === null) bump(department, license, -units);
      else if (employee !== 0) {
        const key = `${employee}:${department}:${license}`;
        if (!people.has(key)) bump(department, license, -1);
        people.add(key);
      }
    });
    await eachPolitely(result.consumptions, ({ license, department, units }) => bump(department, license, units));
    for (const [license, totals] of result.allocations) allocations.set(license, totals);
  }
  for (const [department, row] of differences) {
    for (const [license, by] of row) if (by === 0) row.delete(license);
    if (row.size === 0) differences.delete(department);
  }
  return { differences, allocations };
}

/** One group's part of the facts. */
export async function inputOf(facts: CoverageFacts, group: readonly number[], at: number): Promise<CoverInput> {
  const members = new Set(group);
  const { rules } = facts;
  const installations: Installation[] = [];
  await eachPolitely(facts.installations.values(), (list) => {
    for (const one of list) if (members.has(one.license)) installations.push(one);
  });
  const entitlements: CoverInput["entitlements"][number][] = [];
  await eachPolitely(rules.entitlements, (entitlement) => {
    if (members.has(entitlement.license)) entitlements.push({ ...entitlement, validity: validityAt(entitlement, at) });
  });
  return {
    licenses: group.flatMap((license) => rules.licenses.get(license) ?? []),
    installations,
    entitlements,
    allocations: rules.allocations.filter(({ license }) => members.has(license)),
    traits: (device) => facts.traits.get(device),
  };
}

function validityAt(entitlement: DatedEntitlement, at: number): Validity {
  if (isValidAt(entitlement, at)) return "valid";
  return (entitlement.startsAt ?? -Infinity) > at ? "not-started" : "expired";
}
