/**
 * Purpose: the one module through which positions are read (design.md "One position"): company, department with or without its subtree, and all
 * departments. Console, API, command line, CSV, group server and alerts all come here; no second way to count exists.
 * Invariants: every answer carries the version and the time it is true for; entitlements are worth what they are worth at that time; the counts of
 * devices that belong to no department are shown under `unassigned`, never dropped (domain.md §5.3). Shown is every managed licence that is used,
 * entitled, or has rights, required or requested.
 */
import {
  childrenOf,
  companyPosition,
  corrected,
  departmentPosition,
  departmentState,
  departmentStates,
  heldAt,
  isNothing,
  noUnmanaged,
  neverShort,
  subtree,
  unassigned,
  unmanagedClasses,
  type Counts,
  type DepartmentState,
  type Holding,
  type UnmanagedClass,
  type UnmanagedCounts,
} from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Position } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { createCube, departmentOf, type Cube, type CubeDepartment, type CubeLicense, type CubeRows } from "./cube.ts";
import { withBought } from "./bought.ts";
import { createChanges, type Changes } from "./changes.ts";
import { createPast } from "./past.ts";
import { withCoverage } from "./covered.ts";
import { positionStore } from "./store.ts";

export interface Stamp {
  /** Rises with every change of a count. */
  readonly version: number;
  /** RFC 3339: the time the numbers are true for. */
  readonly at: string;
}

/** As it was recorded at a moment (milliseconds), instead of now. */
export interface AsOf {
  readonly asOf?: number | undefined;
}

/** An answer about the past has no version: versions are those of now. */
export interface AnyStamp extends Pick<Stamp, "at"> {
  readonly version?: number;
}

export interface DepartmentLicense extends Counts {
  readonly license: string;
  readonly name: string;
  readonly metric: string;
  /** What a purchase run would grant now (domain.md §7). */
  readonly corrected: number;
  /** Copies that are there, before attached rights (coverage). */
  readonly installed: number;
  readonly overUnder: number;
  /** domain.md §5.4 */
  readonly state: DepartmentState;
  readonly unmanaged: UnmanagedCounts;
}

export interface DepartmentItem extends DepartmentLicense {
  readonly department: string;
}

export interface OutlineItem extends DepartmentItem {
  readonly departmentName: string;
  /** 0 = top of the tree. */
  readonly depth: number;
}

export interface Positions {
  company(options?: AsOf): Promise<AnyStamp & { readonly items: readonly Position[] }>;
  /** `rollup`: the whole subtree. `unassigned` is a department here; in the past a code is that of the day (cube.ts departmentOf). @throws not-found */
  department(
    code: string,
    options?: AsOf & { readonly rollup?: boolean },
  ): Promise<AnyStamp & { readonly department: string; readonly items: readonly DepartmentLicense[] }>;
  /** One item per department and licence, in the order of both codes; made as it is walked, all of one version. */
  departments(
    options?: AsOf & { readonly department?: string | undefined },
  ): Promise<AnyStamp & { readonly items: Iterable<DepartmentItem> }>;
  /** The same in the order of the department tree, with names and depths: what the first page shows. */
  outline(): Promise<Stamp & { readonly items: Iterable<OutlineItem> }>;
  /** The corporate licence inventory that goes to the group server (domain.md §7). */
  corporate(): Promise<Stamp & { readonly devices: number; readonly positions: Position[] }>;
  /** For reconcile. */
  cube(): Promise<Cube>;
  /** The numbers of a past moment. */
  cubeAt(moment: number): Promise<Cube>;
  /** Differences between two moments, with their causes. */
  readonly changes: Changes;
  /** The numbers as the transaction sees them - with `bought` as if so many more had been bought: for the purchase run, which decides by them. */
  cubeWithin(trx: Trx, bought?: ReadonlyMap<number, number>): Promise<Cube>;
}

export function createPositions(deps: { readonly db: Database; readonly clock: Clock }): Positions {
  const { clock } = deps;
  const { current: cube, within } = createCube(deps);
  const past = createPast({ db: deps.db, clock, current: cube, currentWithin: within });
  const stampedAt = async ({ asOf }: AsOf): Promise<{ cube: Cube; now: number; stamp: AnyStamp }> =>
    asOf === undefined
      ? stamped()
      : { cube: await withCoverage(await past.at(asOf), asOf), now: asOf, stamp: { at: new Date(asOf).toISOString() } };
  const stamped = async (): Promise<{ cube: Cube; now: number; stamp: Stamp }> => {
    const measured = await cube();
    const now = clock.now();
    const current = await withCoverage(measured, now);
    return { cube: current, now, stamp: { version: current.version, at: new Date(now).toISOString() } };
  };

  return {
    cube: async () => (await stamped()).cube,
    cubeWithin: async (trx, bought = new Map<number, number>()) =>
      withCoverage(withBought(await within(trx), bought), clock.now()),
    changes: createChanges({ db: deps.db, past }),
    cubeAt: async (moment) => withCoverage(await past.at(moment), moment),

    async company(options = {}) {
      const { cube: current, now, stamp } = await stampedAt(options);
      return { ...stamp, items: companyItems(current, now) };
    },

    async department(code, options = {}) {
      const { cube: current, now, stamp } = await stampedAt(options);
      const ordinal = departmentOf(code, current, options.asOf === undefined ? current : await cube());
      if (ordinal === undefined) throw serverErrors.make("not-found", { what: "department", id: code });
      const wanted =
        options.rollup === true && ordinal !== 0
          ? subtree(childrenOf(new Map([...current.departments].map(([o, d]) => [o, d.parent]))), ordinal)
          : [ordinal];
      const holdings = holdingsAt(current, now);
      return { ...stamp, department: code, items: departmentItems(current, holdings, wanted) };
    },

    async departments(options = {}) {
      const { cube: current, now, stamp } = await stampedAt(options);
      const { department } = options;
      const only = department === undefined ? undefined : (departmentOf(department, current, await cube()) ?? -1);
      return { ...stamp, items: { [Symbol.iterator]: () => allItems(current, holdingsAt(current, now), only) } };
    },

    async outline() {
      const { cube: current, now, stamp } = await stamped();
      return { ...stamp, items: { [Symbol.iterator]: () => outlineItems(current, holdingsAt(current, now)) } };
    },

    async corporate() {
      const { cube: current, now, stamp } = await stamped();
      const devices = await deps.db.snapshot((trx) => positionStore.deviceCount(trx));
      return { ...stamp, devices: Number(devices), positions: companyItems(current, now) };
    },
  };
}

interface Holdings {
  readonly from: number;
  /** The first moment at which something starts or has expired. */
  readonly until: number;
  /** By place of the licence; undefined where there is no entitlement at all. */
  readonly of: readonly (Holding | undefined)[];
}
const nothingHeld: Holding = { held: 0, unlimited: false };
const holdingsOf = new WeakMap<Cube, Holdings>();

/** What each licence's entitlements are worth at the time; worked out once for as long as it stays so. */
function holdingsAt(cube: Cube, at: number): Holdings["of"] {
  const known = holdingsOf.get(cube);
  if (known !== undefined && known.from <= at && at < known.until) return known.of;
  let until = Infinity;
  for (const entitlements of cube.entitlements.values())
    for (const { startsAt, expiresAt } of entitlements) {
      if (startsAt != null && startsAt > at) until = Math.min(until, startsAt);
      if (expiresAt != null && expiresAt >= at) until = Math.min(until, expiresAt + 1);
    }
  const of = cube.licenses.map((_, place) => {
    const entitlements = cube.entitlements.get(place);
    return entitlements && heldAt(entitlements, at);
  });
  holdingsOf.set(cube, { from: at, until, of });
  return of;
}

/** Sums over departments, by place of the licence. */
interface Sums {
  /** Five each: used, rights, required, requested - and what departments lack, because rights do not flow between them. */
  readonly numbers: Float64Array;
  /** The gravest state, as its place in `departmentStates`. */
  readonly state: Uint8Array;
}
const width = 5;

function sumOf(cube: Cube, all: Iterable<CubeRows | undefined>): Sums {
  const numbers = new Float64Array(cube.licenses.length * width);
  const states = new Uint8Array(cube.licenses.length);
  for (const rows of all) {
    if (rows === undefined) continue;
    // The one loop that runs 150,000 times for a large company's root: plain numbers, nothing made.
    for (let i = 0, from = 0; i < rows.license.length; i++, from += 4) {
      const place = rows.license[i] as number;
      const used = rows.numbers[from] as number;
      const rights = rows.numbers[from + 1] as number;
      const requested = rows.numbers[from + 3] as number;
      const to = place * width;
      numbers[to] = (numbers[to] as number) + used;
      numbers[to + 1] = (numbers[to + 1] as number) + rights;
      numbers[to + 2] = (numbers[to + 2] as number) + (rows.numbers[from + 2] as number);
      numbers[to + 3] = (numbers[to + 3] as number) + requested;
      if (used <= rights) continue;
      numbers[to + 4] = (numbers[to + 4] as number) + corrected({ used, rights }, false);
      const state = departmentStates.indexOf(departmentState({ used, rights, requested }));
      if (state > (states[place] as number)) states[place] = state;
    }
  }
  return { numbers, state: states };
}
/** used − installed by place of the licence. */
function differencesOf(cube: Cube, departments: Iterable<number>): ReadonlyMap<number, number> {
  const sums = new Map<number, number>();
  if (cube.covered === undefined) return sums;
  for (const department of departments)
    for (const [place, by] of cube.covered.differences.get(department) ?? [])
      sums.set(place, (sums.get(place) ?? 0) + by);
  return sums;
}

const companyOf = new WeakMap<Cube, Sums>();

/** By place of the licence the places of its variants. */
const variantsOf = new WeakMap<Cube["licenses"], ReadonlyMap<number, readonly (readonly [UnmanagedClass, number])[]>>();

function unmanagedCounts(cube: Cube, { numbers }: Sums, place: number): UnmanagedCounts {
  let variants = variantsOf.get(cube.licenses);
  if (variants === undefined) {
    const places = new Map(cube.licenses.map(({ ordinal }, at) => [ordinal, at]));
    const found = new Map<number, (readonly [UnmanagedClass, number])[]>();
    for (const [at, { base, class: name }] of cube.licenses.entries()) {
      const of = unmanagedClasses.find((known) => known === name);
      const to = base === null ? undefined : places.get(base);
      if (of !== undefined && to !== undefined) found.set(to, [...(found.get(to) ?? []), [of, at]]);
    }
    variantsOf.set(cube.licenses, (variants = found));
  }
  const own = variants.get(place);
  if (own === undefined) return noUnmanaged;
  return { ...noUnmanaged, ...Object.fromEntries(own.map(([of, at]) => [of, numbers[at * width] as number])) };
}

function isNone({ preinstalled, individual, other }: UnmanagedCounts): boolean {
  return preinstalled + individual + other === 0;
}

function companyItems(cube: Cube, at: number): Position[] {
  let sums = companyOf.get(cube);
  if (sums === undefined) companyOf.set(cube, (sums = sumOf(cube, cube.rows.values())));
  const differences = differencesOf(cube, cube.covered?.differences.keys() ?? []);
  const holdings = holdingsAt(cube, at);
  const items: Position[] = [];
  for (const place of cube.byCode) {
    const { managed, code, name, metric } = cube.licenses[place] as CubeLicense;
    const counts = countsAt(sums, place);
    const holding = holdings[place];
    const installed = counts.used - (differences.get(place) ?? 0);
    const allocated = cube.covered?.allocations.get(place);
    const unmanaged = unmanagedCounts(cube, sums, place);
    const nothing = isNothing(counts) && installed === 0 && isNone(unmanaged);
    if (!managed || (nothing && allocated === undefined && holding === undefined)) continue;
    items.push({
      license: code,
      name,
      metric,
      ...companyPosition({ metric, holding: holding ?? nothingHeld, counts, installed, allocated, unmanaged }),
    });
  }
  return items;
}

function departmentItems(cube: Cube, holdings: Holdings["of"], departments: readonly number[]): DepartmentLicense[] {
  const sums = sumOf(
    cube,
    departments.map((department) => cube.rows.get(department)),
  );
  const differences = differencesOf(cube, departments);
  const items: DepartmentLicense[] = [];
  for (const place of cube.byCode) {
    const { managed, code, name, metric } = cube.licenses[place] as CubeLicense;
    const counts = countsAt(sums, place);
    const installed = counts.used - (differences.get(place) ?? 0);
    const unmanaged = unmanagedCounts(cube, sums, place);
    if (!managed || (isNothing(counts) && installed === 0 && isNone(unmanaged))) continue;
    const holding = holdings[place] ?? nothingHeld;
    const unlimited = neverShort(metric, holding);
    items.push({
      license: code,
      name,
      metric,
      ...departmentPosition({ metric, holding, counts, installed, unmanaged }),
      corrected: unlimited ? 0 : (sums.numbers[place * width + 4] as number),
      state: unlimited ? "fine" : (departmentStates[sums.state[place] as number] as DepartmentState),
    });
  }
  return items;
}

function* allItems(cube: Cube, holdings: Holdings["of"], only?: number): Generator<DepartmentItem> {
  const departments = [
    ...[...cube.departments.values()].map((d) => ({ ordinal: d.ordinal, code: d.code })),
    { ordinal: 0, code: unassigned },
  ].sort((a, b) => (a.code < b.code ? -1 : 1));
  for (const { ordinal, code } of departments)
    if (only === undefined || ordinal === only)
      for (const item of departmentItems(cube, holdings, [ordinal])) yield { department: code, ...item };
}

function* outlineItems(cube: Cube, holdings: Holdings["of"]): Generator<OutlineItem> {
  const children = new Map<number, CubeDepartment[]>();
  for (const d of cube.departments.values()) {
    const above = d.parent !== null && cube.departments.has(d.parent) ? d.parent : 0;
    const list = children.get(above);
    if (list === undefined) children.set(above, [d]);
    else list.push(d);
  }
  const under = (ordinal: number, depth: number): { d: CubeDepartment; depth: number }[] =>
    (children.get(ordinal) ?? []).sort((a, b) => (a.code < b.code ? 1 : -1)).map((d) => ({ d, depth }));
  const waiting = under(0, 0);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { d, depth } = next;
    for (const item of departmentItems(cube, holdings, [d.ordinal]))
      yield { department: d.code, departmentName: d.name, depth, ...item };
    waiting.push(...under(d.ordinal, depth + 1));
  }
  for (const item of departmentItems(cube, holdings, [0]))
    yield { department: unassigned, departmentName: unassigned, depth: 0, ...item };
}

function countsAt({ numbers }: Sums, place: number): Counts {
  const at = place * width;
  return {
    used: numbers[at] as number,
    rights: numbers[at + 1] as number,
    required: numbers[at + 2] as number,
    requested: numbers[at + 3] as number,
  };
}
