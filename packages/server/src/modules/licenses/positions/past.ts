/**
 * Purpose: the numbers as they were recorded at a past moment, as a cube like that of now (design.md "Time"), so that every position can be asked for
 * any date: used from the intervals that cover the moment, licences, departments, rights and entitlements as they stood.
 * Invariants: what is recorded gets no time before what was recorded earlier (`recordingTime`), so the past does not change any more once the
 * transactions of its time have ended; at the moment of a change the change is done. Memory: one slice of devices and the counts.
 */
import { createUsage, type Entitlement, type UsedRow } from "@daicho/licensing";
import type { Clock } from "@daicho/kernel";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { eachPolitely, pagesOf, readInRanges, slicesOf } from "../../../slices.ts";
import { loadFacts } from "../coverage/index.ts";
import { unpackLicenses } from "../repository/index.ts";
import {
  cubeRows,
  orderByCode,
  putEntitlement,
  type Cube,
  type CubeDepartment,
  type CubeLicense,
  type CubeRows,
} from "./cube.ts";
import { pastStore } from "./past-store.ts";
import { positionStore } from "./store.ts";

export interface Past {
  /** The cube of that moment. What lies before everything recorded is a cube without numbers. */
  at(moment: number): Promise<Cube>;
  /** The same, as this snapshot sees it: for whoever reads other things that must fit. */
  within(trx: Trx, moment: number): Promise<Cube>;
}

/** After that long no transaction that began before is still under way. */
const settled = 3_600_000;
const kept = 8;

export function createPast(deps: {
  readonly db: Database;
  readonly clock: Clock;
  /** The cubes of now. */
  readonly current: () => Promise<Cube>;
  readonly currentWithin: (trx: Trx) => Promise<Cube>;
}): Past {
  const { db, clock } = deps;
  const cubes = new Map<number, { readonly cube: Cube; readonly settled: boolean }>();
  let turn: Promise<unknown> = Promise.resolve();
  const keep = (moment: number, cube: Cube, began: number): void => {
    cubes.delete(moment);
    cubes.set(moment, { cube, settled: moment < began - settled });
    const oldest = cubes.keys().next();
    if (cubes.size > kept && oldest.done !== true) cubes.delete(oldest.value);
  };
  return {
    async within(trx, moment) {
      const now = await deps.currentWithin(trx);
      if (now.changedAt <= moment) return now;
      const known = cubes.get(moment);
      if (known?.settled === true) return known.cube;
      const began = clock.now();
      const cube = await cubeAt(db, trx, moment);
      keep(moment, cube, began);
      return cube;
    },
    async at(moment) {
      const now = await deps.current();
      // Nothing was recorded since.
      if (now.changedAt <= moment) return now;
      const known = cubes.get(moment);
      if (known !== undefined && (known.settled || known.cube.version === now.version)) return known.cube;
      const began = clock.now();
      // One at a time: a second question for the same moment finds it answered.
      const next = turn.then(async () => {
        const found = cubes.get(moment);
        if (found !== undefined && (found.settled || found.cube.version >= now.version)) return found.cube;
        const cube = await db.snapshot((trx) => cubeAt(db, trx, moment));
        keep(moment, cube, began);
        return cube;
      });
      turn = next.catch(() => undefined);
      return next;
    },
  };
}

async function cubeAt(db: Database, trx: Trx, moment: number): Promise<Cube> {
  const { version } = await positionStore.version(trx);
  const licenses = await licensesAt(trx, moment);
  const places = new Map(licenses.map((license, place) => [license.ordinal, place]));
  const departments = await departmentsAt(trx, moment);

  const usage = createUsage((license) => licenses[places.get(license) ?? -1]?.metric === "user");
  const slices = readInRanges(await pastStore.lastDevice(trx), async (after, upTo) => [
    ...(await pastStore.open(trx, after, upTo, moment)),
    ...(await pastStore.closed(trx, after, upTo, moment, moment)),
  ]);
  for await (const rows of slices) await eachPolitely(rows, (row) => usage.add(row, unpackLicenses(row.licenses), 1));

  const used = new Map<number, UsedRow<number>[]>();
  await eachPolitely(usage.each(), (row) => {
    const list = used.get(row.department);
    if (list === undefined) used.set(row.department, [row]);
    else list.push(row);
  });
  const rows = new Map<number, CubeRows>();
  for await (const slice of slicesOf([...new Set([0, ...departments.keys(), ...used.keys()])], 16)) {
    const theirs = slice.flatMap((department) => used.get(department) ?? []);
    const found = cubeRows(theirs, await rightsAt(db, trx, slice, moment), places);
    for (const [department, numbers] of found) rows.set(department, numbers);
  }

  const entitlements = new Map<number, Entitlement[]>();
  const pages = pagesOf(
    "",
    (after, limit) => pastStore.entitlementsAt(trx, moment, after, limit),
    (row) => row.id,
  );
  for await (const page of pages) for (const row of page) putEntitlement(entitlements, row, places);
  return {
    version,
    changedAt: moment,
    licenses,
    byCode: orderByCode(licenses),
    departments,
    ordinalOf: new Map([...departments.values()].map((d) => [d.code, d.ordinal])),
    rows,
    entitlements,
    coverage: await loadFacts(db, trx, licenses, { at: moment }),
    unsaid: 0,
  };
}

/** Of former values, which come in the order in which they were recorded, the first after the moment is what was true at it. */
function firstOf<R>(rows: readonly R[], keyOf: (row: R) => number): ReadonlyMap<number, R> {
  const first = new Map<number, R>();
  for (const row of rows) if (!first.has(keyOf(row))) first.set(keyOf(row), row);
  return first;
}

async function licensesAt(trx: Trx, moment: number): Promise<CubeLicense[]> {
  const former = firstOf(await pastStore.licenseHistory(trx, moment), (row) => row.license);
  return (await positionStore.licenses(trx)).map((row) => {
    const { name, metric, managed } = former.get(row.ordinal) ?? row;
    const { ordinal, code, base } = row;
    return { ordinal, code, name, metric: metric as Metric, managed: managed === 1, base, class: row.class };
  });
}

async function departmentsAt(trx: Trx, moment: number): Promise<Map<number, CubeDepartment>> {
  const former = firstOf(await pastStore.departmentHistory(trx, moment), (row) => row.department);
  return new Map(
    (await pastStore.departments(trx))
      .filter((row) => row.created_at <= moment)
      .map((row) => {
        const { code, name, parent } = former.get(row.ordinal) ?? row;
        return [row.ordinal, { ordinal: row.ordinal, code, name, parent }];
      }),
  );
}

async function rightsAt(db: Database, trx: Trx, departments: readonly number[], moment: number) {
  const former = await pastStore.rightsAt(trx, db.dialect, departments, moment);
  const replaced = new Set(former.map((row) => `${row.department}:${row.license}`));
  const now = await positionStore.rights(trx, db.dialect, departments);
  return [...former, ...now.filter((row) => !replaced.has(`${row.department}:${row.license}`))];
}
