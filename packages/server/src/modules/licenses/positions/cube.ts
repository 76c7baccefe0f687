/**
 * Purpose: the numbers of all departments and licences at one version, in memory, so that any position and any roll-up is an addition over
 * arrays (quality.md: a department's position in ≤ 5 ms).
 * Invariants: a cube is never changed once made, so an answer that takes its time stays true for its version; every read asks the store for the
 * version first and fetches what changed since, so several servers on one database answer alike and a writer reads what it wrote.
 * What changed is known by department (version.ts). Where the version rose without saying what changed, everything is fetched.
 */
import { unassigned, type Counts, type Entitlement, type UsedRow } from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import type { Schema } from "../../../db/schema.ts";
import { pagesOf, slicesOf } from "../../../slices.ts";
import { refreshFacts, type CoverageFacts } from "../coverage/index.ts";
import { entitlementsScope, everythingScope, touchesScope } from "../version.ts";
import type { Covered } from "./covered.ts";
import { positionStore as store } from "./store.ts";

export interface CubeLicense {
  readonly ordinal: number;
  readonly code: string;
  readonly name: string;
  readonly metric: Metric;
  readonly managed: boolean;
  /** Of a variant: the ordinal of the licence beside whose `used` it is shown, and what its installations are. It is never managed. */
  readonly base: number | null;
  readonly class: string | null;
}

export interface CubeDepartment {
  readonly ordinal: number;
  readonly code: string;
  readonly name: string;
  readonly parent: number | null;
}

/** One department's numbers. */
export interface CubeRows {
  /** Places in the cube's list of licences, ascending. */
  readonly license: Int32Array;
  /** For each of them four numbers: used, rights, required, requested. */
  readonly numbers: Float64Array;
}

/** Calls `work` for each licence of a department, with the licence's place in the cube's list. */
export function eachCounts(
  { license, numbers }: CubeRows,
  work: (place: number, counts: { used: number; rights: number; required: number; requested: number }) => void,
): void {
  for (let i = 0, from = 0; i < license.length; i++, from += 4)
    work(license[i] as number, {
      used: numbers[from] as number,
      rights: numbers[from + 1] as number,
      required: numbers[from + 2] as number,
      requested: numbers[from + 3] as number,
    });
}

export interface Cube {
  /** In a cube of the past: the version at which it was read. */
  readonly version: number;
  /** When a count changed last; in a cube of the past the moment it is true for. */
  readonly changedAt: number;
  /** By ordinal, ascending: a licence keeps its place as long as the list only grows. */
  readonly licenses: readonly CubeLicense[];
  /** Places in `licenses`, in the order of codes. */
  readonly byCode: readonly number[];
  readonly departments: ReadonlyMap<number, CubeDepartment>;
  readonly ordinalOf: ReadonlyMap<string, number>;
  /** By department ordinal; 0 = unassigned. Departments without numbers are left out. */
  readonly rows: ReadonlyMap<number, CubeRows>;
  /** By place of the licence. */
  readonly entitlements: ReadonlyMap<number, readonly Entitlement[]>;
  /** What attached rights and allocations are worked out from; undefined where there are none. */
  readonly coverage: CoverageFacts | undefined;
  /** Once they are worked out (covered.ts): until then `used` is what is installed. */
  readonly covered?: Covered;
  /** Changes of the version that did not say what they changed. */
  readonly unsaid: number;
}

export interface Cubes {
  /** The cube of the moment. */
  current(): Promise<Cube>;
  /**
   * The cube as this transaction sees it, its own writes included; for whoever decides and writes by what it reads. Not kept: what the transaction
   * wrote may be taken back.
   */
  within(trx: Trx): Promise<Cube>;
}

/**
 * The department that a code means in a cube of the past: the one that went by it then, or, where none did, the one that goes by it now. `unassigned`
 * is 0.
 */
export function departmentOf(code: string, then: Cube, now: Cube): number | undefined {
  if (code === unassigned) return 0;
  const current = now.ordinalOf.get(code) ?? 0;
  return then.ordinalOf.get(code) ?? (then.departments.has(current) ? current : undefined);
}

export function createCube(deps: { readonly db: Database }): Cubes {
  const { db } = deps;
  let held: Cube | undefined;
  // Fetching goes one after the other: the first fetches, those that waited find it done.
  let turn: Promise<unknown> = Promise.resolve();
  return {
    async current() {
      const { version } = await db.latest((from) => store.version(from));
      if (held?.version === version) return held;
      const next = turn.then(async () => (held = await db.snapshot((trx) => refresh(db, trx, held))));
      turn = next.catch(() => undefined);
      return next;
    },
    within: (trx) => refresh(db, trx, held),
  };
}

async function refresh(db: Database, trx: Trx, held: Cube | undefined): Promise<Cube> {
  const { version, changed_at: changedAt } = await store.version(trx);
  if (held?.version === version) return held;
  const marks = new Map((await store.marks(trx, held?.version ?? -1)).map((mark) => [mark.scope, mark.version]));
  const unsaid = version - (marks.get(touchesScope) ?? 0);
  const since = held?.version ?? -1;
  const everything =
    held === undefined ||
    version < held.version ||
    unsaid !== held.unsaid ||
    (marks.get(everythingScope) ?? -1) > since;

  const licenses = (await store.licenses(trx)).map((row): CubeLicense => ({
    ordinal: row.ordinal,
    code: row.code,
    name: row.name,
    metric: row.metric as Metric,
    managed: row.managed === 1,
    base: row.base,
    class: row.class,
  }));
  const places = new Map(licenses.map((license, place) => [license.ordinal, place]));
  const departments = new Map((await store.departments(trx)).map((d) => [d.ordinal, d]));

  const rows = new Map(everything ? [] : held.rows);
  const changed = everything
    ? [0, ...departments.keys()]
    : [...marks].filter(([scope, at]) => scope >= 0 && at > since).map(([scope]) => scope);
  for await (const slice of slicesOf(changed, 16)) {
    const found = await fetchRows(db, trx, slice, places);
    for (const department of slice) {
      const fresh = found.get(department);
      if (fresh === undefined) rows.delete(department);
      else rows.set(department, fresh);
    }
  }
  const bought = everything || (marks.get(entitlementsScope) ?? -1) > since;
  return {
    version,
    changedAt,
    licenses,
    byCode: orderByCode(licenses, held),
    departments,
    ordinalOf: new Map([...departments.values()].map((d) => [d.code, d.ordinal])),
    rows,
    entitlements: bought ? await fetchEntitlements(trx, places) : held.entitlements,
    coverage: await refreshFacts(db, trx, licenses, everything ? undefined : held.coverage, {
      departments: everything ? undefined : changed,
      rules: bought || held.licenses.length !== licenses.length,
    }),
    unsaid,
  };
}

export function orderByCode(licenses: readonly CubeLicense[], held?: Cube): readonly number[] {
  if (held?.licenses.length === licenses.length) return held.byCode;
  const code = (place: number): string => licenses[place]?.code ?? "";
  return licenses.map((_, place) => place).sort((a, b) => (code(a) < code(b) ? -1 : code(a) > code(b) ? 1 : 0));
}

async function fetchRows(
  db: Database,
  trx: Trx,
  departments: readonly number[],
  places: ReadonlyMap<number, number>,
): Promise<Map<number, CubeRows>> {
  return cubeRows(
    await store.usage(trx, db.dialect, departments),
    await store.rights(trx, db.dialect, departments),
    places,
  );
}

/** used and rights of departments, merged, for a cube of any moment; `places`: by ordinal of the licence. */
export function cubeRows(
  usage: Iterable<UsedRow<number>>,
  granted: Iterable<Omit<Counts, "used"> & { readonly department: number; readonly license: number }>,
  places: ReadonlyMap<number, number>,
): Map<number, CubeRows> {
  const cells = new Map<number, Map<number, [used: number, rights: number, required: number, requested: number]>>();
  const cell = (department: number, license: number): [number, number, number, number] => {
    let row = cells.get(department);
    if (row === undefined) cells.set(department, (row = new Map()));
    const place = places.get(license) ?? -1;
    let numbers = row.get(place);
    if (numbers === undefined) row.set(place, (numbers = [0, 0, 0, 0]));
    return numbers;
  };
  for (const row of usage) cell(row.department, row.license)[0] = row.used;
  for (const row of granted) {
    const numbers = cell(row.department, row.license);
    numbers[1] = row.rights;
    numbers[2] = row.required;
    numbers[3] = row.requested;
  }
  const out = new Map<number, CubeRows>();
  for (const [department, row] of cells) {
    const sorted = [...row].filter(([place]) => place >= 0).sort((a, b) => a[0] - b[0]);
    out.set(department, {
      license: Int32Array.from(sorted, ([place]) => place),
      numbers: Float64Array.from(sorted.flatMap(([, numbers]) => numbers)),
    });
  }
  return out;
}

async function fetchEntitlements(
  trx: Trx,
  places: ReadonlyMap<number, number>,
): Promise<ReadonlyMap<number, readonly Entitlement[]>> {
  const out = new Map<number, Entitlement[]>();
  const pages = pagesOf(
    "",
    (after, limit) => store.entitlements(trx, after, limit),
    (row) => row.id,
  );
  for await (const page of pages) for (const row of page) putEntitlement(out, row, places);
  return out;
}

/** Lays an entitlement's row to its licence. */
export function putEntitlement(
  out: Map<number, Entitlement[]>,
  row: Pick<Schema["lic_entitlements"], "license" | "metric" | "quantity" | "pack_size" | "starts_at" | "expires_at">,
  places: ReadonlyMap<number, number>,
): void {
  const place = places.get(row.license) ?? -1;
  const entitlement: Entitlement = {
    metric: row.metric as Metric,
    quantity: row.quantity * row.pack_size,
    startsAt: row.starts_at,
    expiresAt: row.expires_at,
  };
  const list = out.get(place);
  if (list === undefined) out.set(place, [entitlement]);
  else list.push(entitlement);
}
