/**
 * Purpose: recomputes every total from the device-level facts and compares (domain.md §3): `used` per department and licence with a recount of the
 * repository, what positions show with what is stored, the company with the sum of its departments, user counts, and for whom each device's open
 * interval counts with what the ledger says.
 * Invariants: it writes nothing. Reports go on meanwhile: a difference is one only if it is found in every pass with the same size, and when the
 * version stood still, one pass is proof. Work is done in slices.
 */
import { compareUsed, unassigned, type UsedRow } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { eachPolitely, pagesOf, slicesOf } from "../../../slices.ts";
import { effectAt, loadFacts } from "../coverage/index.ts";
import type { Cube } from "./cube.ts";
import type { Positions, Stamp } from "./service.ts";
import { positionStore as store } from "./store.ts";

/** Implemented by modules/licenses/repository: `used` counted anew from what devices use. */
export interface Recount {
  recount(trx?: Trx): Promise<{
    readonly usage: Iterable<UsedRow<number>>;
    /** For user-metric licences: on how many devices an employee uses it. */
    readonly users?: Iterable<UserCount>;
    readonly devices: number;
  }>;
  /** What does not follow from the facts that devices reported. */
  rederive?(): AsyncIterable<Omit<ReconcileDifference, "department" | "employee">>;
}

export interface UserCount {
  readonly employee: number;
  readonly department: number;
  readonly license: number;
  readonly devices: number;
}

export interface ReconcileDifference {
  readonly law:
    | "stored-equals-recomputed"
    | "shown-equals-stored"
    | "coverage-equals-recomputed"
    | "departments-sum-to-company"
    | "user-counts-equal-recomputed"
    | "interval-counts-for-its-department"
    | "titles-equal-their-hash"
    | "facts-equal-their-digest"
    | "licenses-follow-from-facts"
    | "title-index-follows-from-facts";
  readonly department?: string;
  readonly license?: string;
  readonly device?: string;
  /** Ordinal. */
  readonly employee?: number;
  /** Id. */
  readonly title?: number;
  readonly stored: number | string;
  readonly recomputed: number | string;
}

export interface ReconcileResult extends Stamp {
  readonly devices: number;
  /** At most 1,000. */
  readonly differences: readonly ReconcileDifference[];
}

export type Reconcile = () => Promise<ReconcileResult>;

const passes = 4;
/** A store that is wrong everywhere is told as well by its first thousand places. */
const maxDifferences = 1000;

export function createReconcile(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly positions: Positions;
  readonly repository: Recount;
}): Reconcile {
  const { db, clock, positions, repository } = deps;
  let running: Promise<ReconcileResult> | undefined;

  const run = async (): Promise<ReconcileResult> => {
    let confirmed: Map<string, ReconcileDifference> | undefined;
    for (let pass = 1; ; pass++) {
      const found = await onePass(db, positions, repository, () => clock.now());
      const now = new Map(found.differences.map((d) => [JSON.stringify(keyOf(d)), d]));
      confirmed = confirmed === undefined ? now : new Map([...confirmed].filter(([key]) => now.has(key)));
      if (confirmed.size > 0 && !found.still && pass < passes) continue;
      return {
        version: found.version,
        at: new Date(clock.now()).toISOString(),
        devices: found.devices,
        differences: [...confirmed.values()],
      };
    }
  };
  // One at a time: a second caller shares the answer that is being worked out.
  return () => (running ??= run().finally(() => (running = undefined)));
}

/** A true difference stays the same from pass to pass; its sides may both move with the traffic. */
function keyOf(d: ReconcileDifference): unknown[] {
  const size =
    typeof d.stored === "number" && typeof d.recomputed === "number"
      ? d.stored - d.recomputed
      : [d.stored, d.recomputed];
  return [d.law, d.department, d.license, d.device, d.employee, d.title, size];
}

async function onePass(
  db: Database,
  positions: Positions,
  repository: Recount,
  now: () => number,
): Promise<{ version: number; devices: number; still: boolean; differences: readonly ReconcileDifference[] }> {
  const list: ReconcileDifference[] = [];
  const isFull = (): boolean => list.length >= maxDifferences;
  const differences: Found = { push: (difference) => void (!isFull() && list.push(difference)) };
  const seen = await db.snapshot(async (trx) => {
    const cube = await positions.cube();
    const { version } = await store.version(trx);
    const counted = await repository.recount(trx);
    const recomputed = new Map<number, UsedRow<number>[]>();
    await eachPolitely(counted.usage, (row) => {
      const rows = recomputed.get(row.department);
      if (rows === undefined) recomputed.set(row.department, [row]);
      else rows.push(row);
    });
    const named = namesOf(cube);
    const company = new Map<number, number>();
    const departments = [
      ...new Set([...(await store.usedDepartments(trx)), ...recomputed.keys(), ...cube.rows.keys()]),
    ];
    for await (const slice of slicesOf(departments, 16)) {
      const stored = await store.usage(trx, db.dialect, slice);
      const again = slice.flatMap((department) => recomputed.get(department) ?? []);
      for (const d of compareUsed(stored, again))
        differences.push({
          law: "stored-equals-recomputed",
          ...named(d.department, d.license),
          stored: d.stored,
          recomputed: d.recomputed,
        });
      // Where something was committed between the two reads, positions are compared in the next pass.
      if (cube.version === version)
        for (const d of compareUsed(shownUsed(cube, slice), stored))
          differences.push({
            law: "shown-equals-stored",
            ...named(d.department, d.license),
            stored: d.stored,
            recomputed: d.recomputed,
          });
      for (const row of stored) company.set(row.license, (company.get(row.license) ?? 0) + row.used);
    }
    const covered = await coveredAnew(db, trx, cube, now());
    for (const { license, used } of covered) company.set(license, (company.get(license) ?? 0) + used);
    if (cube.version === version)
      for (const d of compareUsed([...shownDifferences(cube)], covered))
        differences.push({
          law: "coverage-equals-recomputed",
          ...named(d.department, d.license),
          stored: d.stored,
          recomputed: d.recomputed,
        });
    if (cube.version === version) await compareCompany(positions, cube, company, differences);
    if (counted.users !== undefined) await compareUsers(trx, counted.users, named, differences);
    await compareIntervals(trx, cube, differences);
    return { version, devices: counted.devices, same: cube.version === version };
  });
  for await (const d of repository.rederive?.() ?? []) {
    if (isFull()) break;
    differences.push(d);
  }
  const after = await db.snapshot((trx) => store.version(trx));
  return {
    version: seen.version,
    devices: seen.devices,
    still: seen.same && after.version === seen.version,
    differences: list,
  };
}

/** Takes differences, as many as will be told. */
interface Found {
  push(difference: ReconcileDifference): void;
}

type Named = (department: number | undefined, license: number) => { department?: string; license: string };

function namesOf(cube: Cube): Named {
  const licenses = new Map(cube.licenses.map((l) => [l.ordinal, l.code]));
  return (department, license) => ({
    ...(department !== undefined && { department: codeOf(cube, department) }),
    license: licenses.get(license) ?? `#${license}`,
  });
}

function codeOf(cube: Cube, department: number): string {
  return department === 0 ? unassigned : (cube.departments.get(department)?.code ?? `#${department}`);
}

/** What positions show as used, without what attached rights make of it. */
function* shownUsed(cube: Cube, departments: readonly number[]): Generator<UsedRow<number>> {
  for (const department of departments) {
    const rows = cube.rows.get(department);
    const differences = cube.covered?.differences.get(department);
    for (let i = 0; rows !== undefined && i < rows.license.length; i++) {
      const place = rows.license[i] as number;
      yield {
        department,
        license: cube.licenses[place]?.ordinal ?? 0,
        used: (rows.numbers[i * 4] as number) - (differences?.get(place) ?? 0),
      };
    }
  }
}

/** used − installed, as positions have it … */
function* shownDifferences(cube: Cube): Generator<UsedRow<number>> {
  for (const [department, row] of cube.covered?.differences ?? [])
    for (const [place, used] of row) yield { department, license: cube.licenses[place]?.ordinal ?? 0, used };
}

/** … and worked out from scratch: rights, allocations and installations read again. */
async function coveredAnew(db: Database, trx: Trx, cube: Cube, at: number): Promise<UsedRow<number>[]> {
  const facts = await loadFacts(db, trx, cube.licenses);
  const rows: UsedRow<number>[] = [];
  if (facts !== undefined)
    for (const [department, row] of (await effectAt(facts, at)).differences)
      for (const [license, used] of row) rows.push({ department, license, used });
  return rows;
}

/** What the company's position shows as used = Σ of what its departments have, the unassigned among them, attached rights counted in. */
async function compareCompany(
  positions: Positions,
  cube: Cube,
  sums: ReadonlyMap<number, number>,
  differences: Found,
): Promise<void> {
  const shown = await positions.company();
  if (shown.version !== cube.version) return;
  const used = new Map(shown.items.map((item) => [item.license, item.used]));
  for (const license of cube.licenses) {
    if (!license.managed) continue;
    const stored = used.get(license.code) ?? 0;
    const recomputed = sums.get(license.ordinal) ?? 0;
    if (stored !== recomputed)
      differences.push({ law: "departments-sum-to-company", license: license.code, stored, recomputed });
  }
}

async function compareUsers(trx: Trx, users: Iterable<UserCount>, named: Named, differences: Found): Promise<void> {
  const key = (u: UserCount): string => `${u.employee}:${u.department}:${u.license}`;
  // By groups of people: one map with a text for each of their uses would be hashed anew, as it grows, in one go.
  const recomputed = new Map<number, Map<string, UserCount>>();
  const groupOf = ({ employee }: UserCount): Map<string, UserCount> => {
    const group = Math.floor(employee / 256);
    let found = recomputed.get(group);
    if (found === undefined) recomputed.set(group, (found = new Map<string, UserCount>()));
    return found;
  };
  await eachPolitely(users, (row) => void (row.devices !== 0 && groupOf(row).set(key(row), row)));
  const differ = (u: UserCount, stored: number, again: number): void => {
    if (stored !== again)
      differences.push({
        law: "user-counts-equal-recomputed",
        ...named(u.department, u.license),
        employee: u.employee,
        stored,
        recomputed: again,
      });
  };
  const pages = pagesOf<UserCount, UserCount | undefined>(
    undefined,
    (after, limit) => store.userUsage(trx, after, limit),
    (row) => row,
  );
  for await (const page of pages)
    for (const row of page) {
      const group = groupOf(row);
      differ(row, row.devices, group.get(key(row))?.devices ?? 0);
      group.delete(key(row));
    }
  for (const group of recomputed.values()) for (const row of group.values()) differ(row, 0, row.devices);
}

async function compareIntervals(trx: Trx, cube: Cube, differences: Found): Promise<void> {
  const pages = pagesOf(
    0,
    (after, limit) => store.intervals(trx, after, limit),
    (row) => row.device,
  );
  for await (const page of pages)
    for (const row of page) {
      if (row.state === "disposed")
        differences.push({
          law: "interval-counts-for-its-department",
          device: row.id ?? `#${row.device}`,
          stored: codeOf(cube, row.department),
          recomputed: "disposed",
        });
      else if (row.department !== row.ledger_department || row.employee !== row.ledger_employee)
        differences.push({
          law: "interval-counts-for-its-department",
          device: row.id ?? `#${row.device}`,
          stored: codeOf(cube, row.department),
          recomputed: codeOf(cube, row.ledger_department),
        });
    }
}
