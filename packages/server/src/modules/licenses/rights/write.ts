/**
 * Purpose: writes rights, required and quotas per department and licence (domain.md §3).
 * Invariants: rights move freely - nothing here compares them with held, a purchase run does (§7); requested belongs to applications and is never
 * touched; the values that were true before stay as history, with the time until which they were.
 */
import { unassigned, type Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { rowFault, type RowFault, type WriteResult } from "../../../rows.ts";
import { eachInTurn, eachPolitely, slicesOf } from "../../../slices.ts";
import { ensureLicenses, warnOfAdded, type PolicyLicenses } from "../catalog-store.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { quotaStore } from "./quota-store.ts";
import { rightsStore as store, type RightsRow } from "./store.ts";

/** A sum over 100,000 departments stays an exact number. */
export const maxRights = 1_000_000_000;

export interface RightsInput {
  readonly department: string;
  readonly license: string;
  /** Absent = as it is. */
  readonly rights?: number;
  readonly required?: number;
  /** The most that applications may lead to; null takes it away. */
  readonly quota?: number | null;
}

type Place = Pick<RightsRow, "department" | "license">;

export async function writeRights(
  db: Database,
  trx: Trx,
  rows: readonly RightsInput[],
  options: { readonly at: number; readonly cause?: Cause; readonly ofPolicy?: PolicyLicenses | undefined },
): Promise<WriteResult> {
  await lockLedger(trx, db.dialect);
  const at = await recordingTime(trx, options.at);
  const departments = new Map((await store.departments(trx)).map((d) => [d.code, d.ordinal]));
  const faults: RowFault[] = [];
  await eachPolitely(rows.entries(), ([row, { department }]) => {
    if (department === unassigned) faults.push(rowFault(row, "department", "code-reserved", { code: unassigned }));
    else if (!departments.has(department))
      faults.push(rowFault(row, "department", "reference-unknown", { what: "department", id: department }));
  });
  if (faults.length > 0) return { created: 0, updated: 0, unchanged: 0, faults, warnings: [] };

  const ensured = await ensureLicenses(db, trx, new Map(rows.map((row) => [row.license, "device" as const])));
  const licenses = ensured.ordinals;
  const touched = [...new Set(rows.map((row) => departments.get(row.department) as number))].sort((a, b) => a - b);
  const held = new Map<string, RightsRow>();
  for await (const slice of slicesOf(touched, 16))
    for (const row of await store.ofDepartments(trx, db.dialect, slice))
      held.set(`${row.department}:${row.license}`, row);

  const quotas = new Map<string, number>();
  const limits: (Place & { readonly quota: number | null })[] = [];
  const limiting = rows.some(({ quota }) => quota !== undefined) ? touched : [];
  for await (const slice of slicesOf(limiting, 16))
    for (const row of await quotaStore.ofDepartments(trx, db.dialect, slice))
      quotas.set(`${row.department}:${row.license}`, row.quota);

  let created = 0;
  let unchanged = 0;
  const changed: RightsRow[] = [];
  const former: RightsRow[] = [];
  await eachPolitely(rows, (input) => {
    const department = departments.get(input.department) as number;
    const license = licenses.get(input.license) as number;
    const before = held.get(`${department}:${license}`);
    const after: RightsRow = {
      department,
      license,
      rights: input.rights ?? before?.rights ?? 0,
      required: input.required ?? before?.required ?? 0,
      requested: before?.requested ?? 0,
    };
    const { quota } = input;
    const relimited = quota !== undefined && quota !== (quotas.get(`${department}:${license}`) ?? null);
    if (relimited) limits.push({ department, license, quota });
    if (before === undefined) created++;
    else if (before.rights === after.rights && before.required === after.required) {
      if (!relimited) unchanged++;
      return;
    }
    former.push(before ?? { ...after, rights: 0, required: 0, requested: 0 });
    changed.push(after);
  });
  const order = (a: Place, b: Place): number => a.department - b.department || a.license - b.license;
  for await (const slice of slicesOf(former, 1000))
    await store.insertHistory(db, trx, slice, at, options.cause ?? "edited");
  for await (const slice of slicesOf(changed.sort(order), 1000))
    await store.upsert(
      db,
      trx,
      slice.map((r) => [r.department, r.license, r.rights, r.required]),
    );
  const freed = new Map<number, number[]>();
  const limited: (Place & { readonly quota: number })[] = [];
  for (const { department, license, quota } of limits.sort(order))
    if (quota !== null) limited.push({ department, license, quota });
    else {
      const some = freed.get(department);
      if (some === undefined) freed.set(department, [license]);
      else some.push(license);
    }
  await eachInTurn(freed, async ([department, gone]) => {
    await quotaStore.removeOf(trx, db.dialect, department, gone);
  });
  for await (const slice of slicesOf(limited, 1000)) await quotaStore.setAll(db, trx, slice);
  if (changed.length > 0) await touchPositions(db, trx, at, { departments: changed.map((r) => r.department) });
  return {
    created,
    updated: rows.length - created - unchanged,
    unchanged,
    faults,
    warnings: warnOfAdded(rows, ensured, options.ofPolicy?.()),
  };
}
