/**
 * Purpose: what attached rights and allocations are worked out from, at one version: the rules - entitlements of licences that rights link, allocations,
 * version paths - and the installations of these licences by department, with the chassis of people's devices where a second device is free.
 * Invariants: facts are never changed once made; where nothing that matters changed, the very same facts come back, so what was worked out from them
 * stays good. A company without attached rights and allocations has none, and pays nothing. For a past moment everything is as it was recorded then.
 */
import {
  isPortable,
  linkedGroups,
  parseAttachedRights,
  reachOf,
  type Allocation,
  type CoverEntitlement,
  type CoverLicense,
  type DeviceTraits,
  type Installation,
} from "@daicho/licensing";
import { unpackMachine, type Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { breathe, pagesOf, readInRanges, slicesOf } from "../../../slices.ts";
import { eachPacked } from "../repository/pack.ts";
import { coverageStore as store } from "./store.ts";

export interface FactLicense {
  readonly ordinal: number;
  readonly code: string;
  readonly metric: Metric;
  readonly managed: boolean;
}

export type DatedEntitlement = Omit<CoverEntitlement, "validity"> & {
  readonly startsAt: number | null;
  readonly expiresAt: number | null;
};

export interface CoverageRules {
  /** Licences that rights link, and licences that are allocated: each to be worked out by itself. */
  readonly groups: readonly (readonly number[])[];
  readonly licenses: ReadonlyMap<number, CoverLicense>;
  readonly entitlements: readonly DatedEntitlement[];
  readonly allocations: readonly Allocation[];
  /** Licences for which people may have a second device. */
  readonly second: ReadonlySet<number>;
}

export interface CoverageFacts {
  readonly rules: CoverageRules;
  /** By department, each in the order of devices. */
  readonly installations: ReadonlyMap<number, readonly Installation[]>;
  /** Of devices whose users have several. */
  readonly traits: ReadonlyMap<number, DeviceTraits>;
}

export interface RulesOptions {
  /** Milliseconds; absent = now. */
  readonly at?: number | undefined;
  /** To be looked at in any case. */
  readonly also?: readonly number[];
}

/** Licences that are not managed are left out: what they cover nobody counts. */
export async function loadRules(
  db: Database,
  trx: Trx,
  all: readonly FactLicense[],
  options: RulesOptions = {},
): Promise<CoverageRules> {
  const { at } = options;
  const known = new Map(all.filter(({ managed }) => managed).map((license) => [license.ordinal, license]));
  const byCode = new Map([...known.values()].map(({ code, ordinal }) => [code, ordinal]));
  const paths = (await store.paths(trx, at)).map(({ licenses }) => JSON.parse(licenses) as string[]);
  const withReach = (row: EntitlementRow): DatedEntitlement => ({
    // What an entitlement said before is kept under `<id>/<when>`.
    id: row.id.split("/", 1)[0] as string,
    license: row.license,
    metric: row.metric as Metric,
    units: row.quantity * row.pack_size,
    startsAt: row.starts_at,
    expiresAt: row.expires_at,
    reach: reachOf(known.get(row.license) as FactLicense, parseAttachedRights(row.rights).rights, paths, (code) =>
      byCode.get(code),
    ),
  });
  const isKnown = (row: { readonly license: number }): boolean => known.has(row.license);
  const entitlementsOf = async (licenses?: readonly number[]): Promise<DatedEntitlement[]> => {
    const found: DatedEntitlement[] = [];
    for await (const rows of byId((page) => store.entitlements(trx, db.dialect, at, licenses, page)))
      for (const row of rows) if (isKnown(row)) found.push(withReach(row));
    return found;
  };
  const linking = await entitlementsOf();
  const allocations: Allocation[] = [];
  for await (const rows of byId((page) => store.allocations(trx, at, page)))
    for (const row of rows)
      if (isKnown(row))
        allocations.push({
          id: row.id,
          license: row.license,
          entitlement: row.entitlement ?? undefined,
          device: row.device ?? undefined,
          employee: row.employee ?? undefined,
          quantity: row.quantity,
          since: row.since,
        });
  const linked = linkedGroups(linking);
  const grouped = new Set(linked.flat());
  const single = new Set([
    ...allocations.map(({ license }) => license),
    ...(options.also ?? []).filter((l) => known.has(l)),
  ]);
  const groups = [
    ...linked,
    ...[...single]
      .filter((l) => !grouped.has(l))
      .sort((a, b) => a - b)
      .map((l) => [l]),
  ];
  return {
    groups,
    licenses: new Map(
      groups.flat().map((license) => {
        const { code, metric } = known.get(license) as FactLicense;
        return [license, { license, code, metric }];
      }),
    ),
    entitlements: await entitlementsOf(groups.flat()),
    allocations,
    second: new Set(linking.filter(({ reach }) => reach.secondDevice).map(({ license }) => license)),
  };
}

const byId = <T extends { readonly id: string }>(
  read: (page: { readonly after: string; readonly limit: number }) => Promise<readonly T[]>,
) =>
  pagesOf(
    "",
    (after, limit) => read({ after, limit }),
    (row) => row.id,
  );

type EntitlementRow = Awaited<ReturnType<typeof store.entitlements>>[number];

/** Everything anew; undefined where there is nothing to work out. */
export async function loadFacts(
  db: Database,
  trx: Trx,
  all: readonly FactLicense[],
  options: RulesOptions = {},
): Promise<CoverageFacts | undefined> {
  const rules = await loadRules(db, trx, all, options);
  if (rules.groups.length === 0) return undefined;
  const installations = await everywhere(trx, rules.licenses, options.at);
  return { rules, installations, traits: await traitsOf(db, trx, rules, installations, { at: options.at }) };
}

/** What changed since `held`: `departments` undefined = everywhere; `rules`: entitlements, allocations, paths or licences changed. */
export async function refreshFacts(
  db: Database,
  trx: Trx,
  all: readonly FactLicense[],
  held: CoverageFacts | undefined,
  changed: { readonly departments: readonly number[] | undefined; readonly rules: boolean },
): Promise<CoverageFacts | undefined> {
  if (held === undefined && !changed.rules) return undefined;
  const rules = changed.rules || held === undefined ? await loadRules(db, trx, all) : held.rules;
  if (rules.groups.length === 0) return undefined;
  if (held === undefined || changed.departments === undefined || !sameKeys(rules.licenses, held.rules.licenses)) {
    const installations = await everywhere(trx, rules.licenses, undefined);
    return { rules, installations, traits: await traitsOf(db, trx, rules, installations, {}) };
  }
  const installations = new Map(held.installations);
  const again = new Set<number>();
  for await (const slice of slicesOf(changed.departments, 16)) {
    const found = watched(await store.ofDepartments(trx, db.dialect, slice), rules.licenses);
    for (const department of slice) {
      for (const { device } of held.installations.get(department) ?? []) again.add(device);
      const now = inOrder(found.get(department) ?? []);
      for (const { device } of now) again.add(device);
      if (now.length === 0) installations.delete(department);
      else installations.set(department, same(held.installations.get(department), now));
    }
  }
  const kept = new Map([...held.traits].filter(([device]) => !again.has(device)));
  const traits = await traitsOf(db, trx, rules, installations, { known: kept });
  const unchanged =
    rules === held.rules &&
    sameKeys(installations, held.installations) &&
    [...installations].every(([department, list]) => held.installations.get(department) === list) &&
    sameTraits(traits, held.traits);
  return unchanged ? held : { rules, installations, traits };
}

/** Installations of these licences by department, as they are or were recorded at a moment. */
export async function everywhere(
  trx: Trx,
  licenses: { has(license: number): boolean },
  at: number | undefined,
): Promise<Map<number, readonly Installation[]>> {
  const all = new Map<number, Installation[]>();
  const keep = (rows: readonly IntervalRow[]): void => {
    for (const [department, list] of watched(rows, licenses)) {
      const there = all.get(department);
      if (there === undefined) all.set(department, list);
      else for (const one of list) there.push(one);
    }
  };
  if (at === undefined)
    for await (const rows of pagesOf(
      0,
      (after, limit) => store.openAfter(trx, after, limit),
      (row) => row.device,
    ))
      keep(rows);
  else
    for await (const rows of readInRanges(await store.lastDevice(trx), (after, upTo) =>
      store.at(trx, at, after + 1, upTo),
    ))
      keep(rows);
  for (const [department, list] of all) {
    all.set(department, inOrder(list));
    if (list.length > 5000) await breathe();
  }
  return all;
}

interface IntervalRow {
  readonly device: number;
  readonly employee: number | null;
  readonly department: number;
  readonly licenses: Uint8Array;
}

function watched(rows: readonly IntervalRow[], watch: { has(license: number): boolean }): Map<number, Installation[]> {
  const found = new Map<number, Installation[]>();
  for (const { device, employee, department, licenses } of rows)
    eachPacked(licenses, (license, units) => {
      if (!watch.has(license)) return;
      const one = { device, employee, department, license, units };
      const list = found.get(department);
      if (list === undefined) found.set(department, [one]);
      else list.push(one);
    });
  return found;
}

function inOrder(list: Installation[]): Installation[] {
  const isBefore = (a: Installation, b: Installation): number => a.device - b.device || a.license - b.license;
  return list.every((one, i) => i === 0 || isBefore(list[i - 1] as Installation, one) < 0) ? list : list.sort(isBefore);
}

/** The list that was there, where both say the same. */
function same(before: readonly Installation[] | undefined, now: readonly Installation[]): readonly Installation[] {
  const isSame =
    before?.length === now.length &&
    now.every((a, i) => {
      const b = before[i] as Installation;
      return a.device === b.device && a.license === b.license && a.units === b.units && a.employee === b.employee;
    });
  return isSame ? before : now;
}

/** Chassis of the devices of people who have several, as they are or were at a moment; those in `known` are not read again. */
async function traitsOf(
  db: Database,
  trx: Trx,
  rules: CoverageRules,
  installations: ReadonlyMap<number, readonly Installation[]>,
  { known, at }: { readonly known?: ReadonlyMap<number, DeviceTraits>; readonly at?: number | undefined },
): Promise<ReadonlyMap<number, DeviceTraits>> {
  if (rules.second.size === 0) return new Map();
  const firstOf = new Map<number, number>();
  const several = new Set<number>();
  for (const list of installations.values()) {
    for (const { device, employee } of list) {
      if (employee === null || employee === 0) continue;
      const first = firstOf.get(employee);
      if (first === undefined) firstOf.set(employee, device);
      else if (first !== device) several.add(device).add(first);
    }
    if (list.length > 2000) await breathe();
  }
  const traits = new Map<number, DeviceTraits>();
  const unread: number[] = [];
  for (const device of several) {
    const there = known?.get(device);
    if (there === undefined) unread.push(device);
    else traits.set(device, there);
  }
  for await (const slice of slicesOf(unread, 200)) {
    const then = at === undefined ? undefined : await store.traitsAt(trx, db.dialect, slice, at);
    for (const { device, machine } of await store.machines(trx, db.dialect, slice))
      traits.set(device, traitsIn(machine));
    for (const [device, were] of then ?? []) traits.set(device, were);
  }
  return traits;
}

export function traitsIn(machine: Uint8Array): DeviceTraits {
  try {
    const { hardware } = unpackMachine(machine);
    const isVm = hardware?.virtual === true || /^(vm|container)$/i.test(hardware?.chassis ?? "");
    return { portable: isPortable(hardware?.chassis), virtual: isVm };
  } catch {
    // A device that signs nonsense about its hardware is no second device.
    return { portable: false, virtual: false };
  }
}

/** The traits before, where they are others now, or none. */
export function reshapedFrom(before: Buffer, now: Uint8Array | undefined): DeviceTraits | undefined {
  if (now === undefined) return traitsIn(before);
  if (before.equals(now)) return undefined;
  const [a, b] = [traitsIn(before), traitsIn(now)];
  return a.portable !== b.portable || a.virtual !== b.virtual ? a : undefined;
}

/** What devices' traits were until now, for positions of the past. */
export const keepTraits = store.keepTraits;

function sameKeys(a: ReadonlyMap<number, unknown>, b: ReadonlyMap<number, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key));
}

function sameTraits(a: ReadonlyMap<number, DeviceTraits>, b: ReadonlyMap<number, DeviceTraits>): boolean {
  return (
    a.size === b.size &&
    [...a].every(([device, { portable, virtual }]) => {
      const other = b.get(device);
      return other?.portable === portable && other.virtual === virtual;
    })
  );
}
