/**
 * Purpose: writes allocations - a licence set aside for a device or a person (domain.md §4).
 * Invariants: there is one allocation for the same licence, entitlement, device and person at a time; how many it was before stays as history. More may
 * be allocated than is held: that is for an alert to say (§8 (12)), not for this to refuse. Importing the same file again changes nothing.
 */
import { newId } from "@daicho/kernel";
import type { Database, Trx } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { rowFault, type RowFault, type WriteResult } from "../../../rows.ts";
import { eachPolitely, slicesOf } from "../../../slices.ts";
import { recordingTime, touchPositions } from "../version.ts";
import { allocationStore as store, type AllocationRow } from "./store.ts";

export interface AllocationInput {
  /** For a new one; absent = made here. */
  readonly id?: string;
  readonly license: string;
  /** Id of the device, the employee or both; where both are given the device decides. */
  readonly device?: string | null;
  readonly employee?: string | null;
  /** Absent = 1. */
  readonly quantity?: number;
  /** Id of one of the licence's entitlements; absent = any. */
  readonly entitlement?: string | null;
}

export type Reconsider = (trx: Trx, rows: readonly Pick<AllocationRow, "device" | "employee">[]) => Promise<void>;

export async function writeAllocations(
  db: Database,
  trx: Trx,
  rows: readonly AllocationInput[],
  options: {
    readonly mode: "create" | "upsert";
    readonly at: number;
    /** Told of new ones: what is allocated is managed (classification). */
    readonly reconsider?: Reconsider | undefined;
  },
): Promise<WriteResult> {
  await lockLedger(trx, db.dialect);
  const at = await recordingTime(trx, options.at);
  const known = await lookUp(db, trx, rows);
  const faults: RowFault[] = [];
  const wanted: Omit<AllocationRow, "until" | "since">[] = [];
  await eachPolitely(rows.entries(), ([row, input]) => void wanted.push(rowOf(row, input, known, faults)));
  const none = { created: 0, updated: 0, unchanged: 0, warnings: [] };
  if (faults.length > 0) return { ...none, faults };

  const held = new Map<string, AllocationRow>();
  for await (const slice of slicesOf(wanted, 500)) {
    const devices = new Set(slice.flatMap(({ device }) => device ?? []));
    const employees = new Set(slice.flatMap(({ device, employee }) => (device === null ? (employee ?? []) : [])));
    for (const row of await store.currentOf(trx, db.dialect, [...devices], [...employees])) held.set(keyOf(row), row);
  }
  const created: AllocationRow[] = [];
  const former: AllocationRow[] = [];
  const changed: AllocationRow[] = [];
  await eachPolitely(wanted.entries(), ([row, input]) => {
    const before = held.get(keyOf(input));
    if (before === undefined) {
      const made = { ...input, id: rows[row]?.id ?? newId(at), since: at, until: null };
      created.push(made);
      held.set(keyOf(made), made);
    } else if (options.mode === "create")
      faults.push(rowFault(row, "license", "already-exists", { what: "allocation", id: before.id }));
    else if (before.quantity !== input.quantity) {
      former.push({ ...before, id: `${before.id}/${newId(at)}`, until: at });
      changed.push({ ...before, quantity: input.quantity, since: at });
    }
  });
  if (faults.length > 0) return { ...none, faults };
  for await (const slice of slicesOf([...created, ...former], 1000)) await store.insert(db, trx, slice);
  for await (const slice of slicesOf(changed, 1000)) await store.changeQuantities(db, trx, slice);
  if (created.length > 0) await options.reconsider?.(trx, created);
  if (created.length + changed.length > 0) await touchPositions(db, trx, at, { entitlements: true });
  return {
    created: created.length,
    updated: changed.length,
    unchanged: rows.length - created.length - changed.length,
    faults,
    warnings: [],
  };
}

interface Known {
  readonly licenses: ReadonlyMap<string, number>;
  readonly devices: ReadonlyMap<string, number>;
  readonly employees: ReadonlyMap<string, { readonly ordinal: number; readonly left: boolean }>;
  readonly entitlements: ReadonlyMap<string, number>;
}

async function lookUp(db: Database, trx: Trx, rows: readonly AllocationInput[]): Promise<Known> {
  const named = (field: "license" | "device" | "employee" | "entitlement"): string[] => [
    ...new Set(rows.flatMap((row) => row[field] ?? [])),
  ];
  const licenses = new Map<string, number>();
  const devices = new Map<string, number>();
  const employees = new Map<string, { ordinal: number; left: boolean }>();
  const entitlements = new Map<string, number>();
  for await (const slice of slicesOf(named("license"), 1000))
    for (const row of await store.licenses(trx, db.dialect, slice)) licenses.set(row.code, row.ordinal);
  for await (const slice of slicesOf(named("device"), 1000))
    for (const row of await store.devices(trx, db.dialect, slice)) devices.set(row.id, row.ordinal);
  for await (const slice of slicesOf(named("employee"), 1000))
    for (const row of await store.employees(trx, db.dialect, slice))
      employees.set(row.id, { ordinal: row.ordinal, left: row.left_at !== null });
  for await (const slice of slicesOf(named("entitlement"), 1000))
    for (const row of await store.entitlements(trx, db.dialect, slice)) entitlements.set(row.id, row.license);
  return { licenses, devices, employees, entitlements };
}

function rowOf(
  row: number,
  input: AllocationInput,
  known: Known,
  faults: RowFault[],
): Omit<AllocationRow, "until" | "since"> {
  const unknown = (field: string, what: string, id: string): void =>
    void faults.push(rowFault(row, field, "reference-unknown", { what, id }));
  const license = known.licenses.get(input.license);
  if (license === undefined) unknown("license", "licence", input.license);
  const device = input.device ?? null;
  const employee = input.employee ?? null;
  const entitlement = input.entitlement ?? null;
  if (device === null && employee === null) faults.push(rowFault(row, "device", "value-required"));
  const user = employee === null ? undefined : known.employees.get(employee);
  if (device !== null && !known.devices.has(device)) unknown("device", "device", device);
  if (employee !== null && user === undefined) unknown("employee", "employee", employee);
  if (user?.left === true) faults.push(rowFault(row, "employee", "value-invalid", { reason: `${employee} has left` }));
  const owner = entitlement === null ? undefined : known.entitlements.get(entitlement);
  if (entitlement !== null && owner === undefined) unknown("entitlement", "entitlement", entitlement);
  else if (owner !== undefined && license !== undefined && owner !== license)
    faults.push(
      rowFault(row, "entitlement", "value-invalid", { reason: `${entitlement} is no entitlement of ${input.license}` }),
    );
  return {
    id: "",
    license: license ?? 0,
    entitlement,
    device: device === null ? null : (known.devices.get(device) ?? null),
    employee: user?.ordinal ?? null,
    quantity: input.quantity ?? 1,
  };
}

export function keyOf(row: Pick<AllocationRow, "license" | "entitlement" | "device" | "employee">): string {
  return JSON.stringify([row.license, row.entitlement, row.device, row.employee]);
}
