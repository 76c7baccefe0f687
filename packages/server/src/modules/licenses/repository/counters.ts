/**
 * Purpose: `used` per department and licence (lic_usage), and of what is counted by person how many of whose devices have it (lic_user_usage): moved by
 * what a transaction changes, or counted anew from the open intervals.
 * Invariants: counters are written in key order, after the intervals they count; a person who has two devices in a department counts once there.
 */
import { createUsage, type LicenseCount, type Usage } from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { pagesOf, slicesOf } from "../../../slices.ts";
import { unpackLicenses } from "./pack.ts";
import { repositoryStore, type OpenInterval } from "./store.ts";

/** Counters written in one go: a few milliseconds. */
const atOnce = 1000;

export interface Counted {
  readonly use: OpenInterval;
  readonly licenses: readonly LicenseCount[];
  /** -1: it was counted, and is not any more. */
  readonly sign: 1 | -1;
}

/** Moves the counters by what intervals came and went. */
export async function moveCounters(db: Database, trx: Trx, changes: readonly Counted[]): Promise<void> {
  const ordinals = new Set(changes.flatMap(({ licenses }) => licenses.map(([ordinal]) => ordinal)));
  const usage = usageBy(await repositoryStore.metrics(trx, [...ordinals]));
  for (const { use, licenses, sign } of changes) usage.add(use, licenses, sign);
  await write(db, trx, usage);
}

/** What the open intervals come to. */
export async function countOpen(from: Database["kysely"] | Trx): Promise<{ usage: Usage; devices: number }> {
  const usage = usageBy(await repositoryStore.metrics(from));
  let devices = 0;
  for await (const rows of openPages(from)) {
    for (const row of rows) usage.add(row, unpackLicenses(row.licenses), 1);
    devices += rows.length;
  }
  return { usage, devices };
}

export async function rebuildCounters(db: Database, trx: Trx): Promise<void> {
  const { usage } = await countOpen(trx);
  await repositoryStore.clearUsage(trx);
  await write(db, trx, usage);
}

export const openPages = (from: Database["kysely"] | Trx, after = 0) =>
  pagesOf(
    after,
    (behind, limit) => repositoryStore.openAfter(from, behind, limit),
    (row) => row.device,
  );

async function write(db: Database, trx: Trx, usage: Usage): Promise<void> {
  // `department:license` → change of used.
  const change = new Map(usage.direct().map((row) => [`${row.department}:${row.license}`, row.used]));
  let first = true;
  for await (const slice of slicesOf(userChanges(usage), atOnce)) {
    // Two first devices of one user, counted at once by two transactions, would both see none before them.
    if (first) await repositoryStore.lockUserUsage(trx, db.dialect);
    first = false;
    const before = await repositoryStore.userUsage(trx, db.dialect, slice);
    for (const row of slice) {
      const devices = before.get(`${row.employee}:${row.department}:${row.license}`) ?? 0;
      const step = Number(devices + row.change > 0) - Number(devices > 0);
      const key = `${row.department}:${row.license}`;
      if (step !== 0) change.set(key, (change.get(key) ?? 0) + step);
    }
    await repositoryStore.addUserUsage(db, trx, slice);
  }
  const rows = [...change]
    .filter(([, by]) => by !== 0)
    .map(([key, by]) => {
      const [department, license] = key.split(":").map(Number) as [number, number];
      return { department, license, change: by };
    })
    .sort((a, b) => a.department - b.department || a.license - b.license);
  for await (const slice of slicesOf(rows, atOnce)) await repositoryStore.addUsage(db, trx, slice);
}

function* userChanges(usage: Usage) {
  for (const { devices: change, ...row } of usage.users()) if (change !== 0) yield { ...row, change };
}

const usageBy = (metricOf: ReadonlyMap<number, string>): Usage =>
  createUsage((license) => metricOf.get(license) === "user");
