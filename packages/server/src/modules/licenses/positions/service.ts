/**
 * Purpose: the one module through which positions are read (design.md "One position"): company, department with or without its subtree, and all
 * departments. Console, API, command line, CSV, group server and alerts all come here; no second way to count exists.
 * Invariants: every answer carries the version and the time it is true for; entitlements are worth what they are worth at that time; the counts of
 * devices that belong to no department are shown under `unassigned`, never dropped (domain.md §5.3). Shown is every managed licence that is used,
 * entitled, or has rights, required or requested.
 */
import {
  addCounts,
  childrenOf,
  companyPosition,
  corrected,
  departmentPosition,
  heldAt,
  isNothing,
  neverShort,
  noCounts,
  noUnmanaged,
  subtree,
  unassigned,
  worse,
  type Counts,
  type DepartmentState,
  type Holding,
  type UnmanagedCounts,
} from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Position } from "@daicho/protocol";
import type { Database } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { createCube, type Cube, type CubeDepartment, type CubeLicense, type CubeRows } from "./cube.ts";
import { positionStore } from "./store.ts";

export interface Stamp {
  /** Rises with every change of a count. */
  readonly version: number;
  /** RFC 3339: the time the numbers are true for. */
  readonly at: string;
}

export interface DepartmentLicense extends Counts {
  readonly license: string;
  readonly name: string;
  readonly metric: string;
  /** What a purchase run would grant now (domain.md §7). */
  readonly corrected: number;
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
  company(): Promise<Stamp & { readonly items: readonly Position[] }>;
  /** `rollup`: the whole subtree. `unassigned` is a department here. @throws not-found */
  department(
    code: string,
    options?: { readonly rollup?: boolean },
  ): Promise<Stamp & { readonly department: string; readonly items: readonly DepartmentLicense[] }>;
  /** One item per department and licence, in the order of both codes; made as it is walked, all of one version. */
  departments(): Promise<Stamp & { readonly items: Iterable<DepartmentItem> }>;
  /** The same in the order of the department tree, with names and depths: what the first page shows. */
  outline(): Promise<Stamp & { readonly items: Iterable<OutlineItem> }>;
  /** The corporate licence inventory that goes to the group server (domain.md §7). */
  corporate(): Promise<Stamp & { readonly devices: number; readonly positions: Position[] }>;
  /** For reconcile. */
  cube(): Promise<Cube>;
}

export function createPositions(deps: { readonly db: Database; readonly clock: Clock }): Positions {
  const { clock } = deps;
  const cube = createCube(deps);
  const stamped = async (): Promise<{ cube: Cube; now: number; stamp: Stamp }> => {
    const current = await cube();
    const now = clock.now();
    return { cube: current, now, stamp: { version: current.version, at: new Date(now).toISOString() } };
  };

  return {
    cube,

    async company() {
      const { cube: current, now, stamp } = await stamped();
      return { ...stamp, items: companyItems(current, now) };
    },

    async department(code, options = {}) {
      const { cube: current, now, stamp } = await stamped();
      const ordinal = code === unassigned ? 0 : current.ordinalOf.get(code);
      if (ordinal === undefined) throw serverErrors.make("not-found", { what: "department", id: code });
      const wanted =
        options.rollup === true && ordinal !== 0
          ? subtree(childrenOf(new Map([...current.departments].map(([o, d]) => [o, d.parent]))), ordinal)
          : [ordinal];
      const holdings = holdingsAt(current, now);
      return { ...stamp, department: code, items: departmentItems(current, holdings, wanted) };
    },

    async departments() {
      const { cube: current, now, stamp } = await stamped();
      return { ...stamp, items: { [Symbol.iterator]: () => allItems(current, holdingsAt(current, now)) } };
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

/** What each licence's entitlements are worth at the time; undefined where there is none at all. */
function holdingsAt(cube: Cube, at: number): readonly (Holding | undefined)[] {
  return cube.licenses.map((_, place) => {
    const entitlements = cube.entitlements.get(place);
    return entitlements && heldAt(entitlements, at);
  });
}

const nothingHeld: Holding = { held: 0, unlimited: false };

function companyItems(cube: Cube, at: number): Position[] {
  const totals = new Array<Counts>(cube.licenses.length).fill(noCounts);
  for (const rows of cube.rows.values())
    for (let i = 0; i < rows.license.length; i++) {
      const place = rows.license[i] as number;
      totals[place] = addCounts(totals[place] ?? noCounts, countsAt(rows, i));
    }
  const holdings = holdingsAt(cube, at);
  const items: Position[] = [];
  for (const place of cube.byCode) {
    const license = cube.licenses[place] as CubeLicense;
    const counts = totals[place] ?? noCounts;
    const holding = holdings[place];
    if (!license.managed || (isNothing(counts) && holding === undefined)) continue;
    const numbers = companyPosition({ metric: license.metric, holding: holding ?? nothingHeld, counts });
    items.push({ license: license.code, name: license.name, metric: license.metric, ...numbers });
  }
  return items;
}

interface Sum {
  counts: Counts;
  /** Rights do not flow between departments, so what each lacks adds up. */
  corrected: number;
  state: DepartmentState;
}

function departmentItems(
  cube: Cube,
  holdings: readonly (Holding | undefined)[],
  departments: readonly number[],
): DepartmentLicense[] {
  const sums = new Map<number, Sum>();
  for (const department of departments) {
    const rows = cube.rows.get(department);
    if (rows === undefined) continue;
    for (let i = 0; i < rows.license.length; i++) {
      const place = rows.license[i] as number;
      const license = cube.licenses[place] as CubeLicense;
      if (!license.managed) continue;
      const holding = holdings[place] ?? nothingHeld;
      const counts = countsAt(rows, i);
      const unlimited = neverShort(license.metric, holding);
      const state = unlimited ? "fine" : departmentPosition({ metric: license.metric, holding, counts }).state;
      const sum = sums.get(place);
      if (sum === undefined) sums.set(place, { counts, corrected: corrected(counts, unlimited), state });
      else {
        sum.counts = addCounts(sum.counts, counts);
        sum.corrected += corrected(counts, unlimited);
        sum.state = worse(sum.state, state);
      }
    }
  }
  const items: DepartmentLicense[] = [];
  for (const place of cube.byCode) {
    const sum = sums.get(place);
    if (sum === undefined || isNothing(sum.counts)) continue;
    items.push(itemOf(cube.licenses[place] as CubeLicense, holdings[place] ?? nothingHeld, sum));
  }
  return items;
}

function itemOf(license: CubeLicense, holding: Holding, sum: Sum): DepartmentLicense {
  const numbers = departmentPosition({ metric: license.metric, holding, counts: sum.counts });
  return {
    license: license.code,
    name: license.name,
    metric: license.metric,
    ...numbers,
    corrected: sum.corrected,
    state: sum.state,
    unmanaged: noUnmanaged,
  };
}

function* allItems(cube: Cube, holdings: readonly (Holding | undefined)[]): Generator<DepartmentItem> {
  const departments = [
    ...[...cube.departments.values()].map((d) => ({ ordinal: d.ordinal, code: d.code })),
    { ordinal: 0, code: unassigned },
  ].sort((a, b) => (a.code < b.code ? -1 : 1));
  for (const { ordinal, code } of departments)
    for (const item of departmentItems(cube, holdings, [ordinal])) yield { department: code, ...item };
}

function* outlineItems(cube: Cube, holdings: readonly (Holding | undefined)[]): Generator<OutlineItem> {
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

function countsAt(rows: CubeRows, i: number): Counts {
  return {
    used: rows.used[i] as number,
    rights: rows.rights[i] as number,
    required: rows.required[i] as number,
    requested: rows.requested[i] as number,
  };
}
