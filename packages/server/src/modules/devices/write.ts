/**
 * Purpose: writes devices of the hardware ledger (domain.md §4, §8).
 * Invariants: when a device's user, managing department or state changes, its part of `used` moves in the same transaction; only columns that were
 * given are written, so a machine that renames itself at the same moment loses nothing.
 * Whoever gets a device, or its disposal, takes it off the hand-over list.
 * Lock order: the ledger, heads (ascending), device rows (ascending), counting.
 */
import type { Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import type { UsageRepository } from "../../ports.ts";
import { rowFault, type RowFault, type WriteMode, type WriteResult } from "../../rows.ts";
import { eachPolitely, slicesOf } from "../../slices.ts";
import { holdCounting } from "../licenses/index.ts";
import { unknownManagers } from "../organization/index.ts";
import { closeHandOvers, type HandedTo } from "./hand-overs/close.ts";
import { deviceStore as store, settable, type DeviceRow } from "./store.ts";

export const deviceStates = ["in-use", "idle", "disposed"] as const;
export type DeviceState = (typeof deviceStates)[number];

export interface DeviceInput {
  readonly id: string;
  readonly hostname?: string;
  readonly serial?: string | null;
  /** Employee id of the user. */
  readonly employee?: string | null;
  /** Code of the managing department. */
  readonly department?: string | null;
  /** Employee id. */
  readonly manager?: string | null;
  readonly state?: DeviceState;
}

export interface Counting {
  readonly usage: Pick<UsageRepository, "reassign">;
  /** Locks the devices' heads, ascending (modules/inventory). */
  readonly lockHeads: (trx: Trx, devices: readonly number[]) => Promise<void>;
}

export interface DevicesWritten extends WriteResult {
  /** Devices that may count for someone else now. */
  readonly moved: number;
}

type Settable = keyof typeof settable;
type Wanted = Omit<DeviceRow, "ordinal"> & { readonly ordinal: number | undefined };

export async function writeDevices(
  db: Database,
  counting: Counting,
  trx: Trx,
  rows: readonly DeviceInput[],
  options: { readonly mode: WriteMode; readonly at: number; readonly origin: "csv" | "api" },
): Promise<DevicesWritten> {
  await lockLedger(trx, db.dialect);
  const departments = new Map((await store.departmentOrdinals(trx)).map((d) => [d.code, d.ordinal]));
  const { employees, left } = await employeeOrdinals(db, trx, rows);
  const held = new Map<string, DeviceRow>();
  for await (const slice of slicesOf(rows, 1000))
    for (const row of await store.byId(
      trx,
      db.dialect,
      slice.map((r) => r.id),
    ))
      held.set(row.id, row);

  const faults: RowFault[] = [];
  const created: Wanted[] = [];
  const updated: Wanted[] = [];
  const moving: number[] = [];
  const given = new Set<Settable>();
  await eachPolitely(rows.entries(), ([row, input]) => {
    const before = held.get(input.id);
    if (before !== undefined && options.mode === "create")
      faults.push(rowFault(row, "id", "already-exists", { what: "device", id: input.id }));
    if (before === undefined && options.mode === "change")
      faults.push(rowFault(row, "id", "not-found", { what: "device", id: input.id }));
    const lookUp = (field: "employee" | "department", known: ReadonlyMap<string, number>): number | null => {
      const id = input[field];
      if (id === undefined) return before?.[field] ?? null;
      if (id === null) return null;
      const ordinal = known.get(id);
      if (ordinal === undefined) faults.push(rowFault(row, field, "reference-unknown", { what: field, id }));
      else if (field === "employee" && left.has(ordinal))
        faults.push(rowFault(row, field, "value-invalid", { reason: `employee ${id} has left` }));
      return ordinal ?? null;
    };
    const wanted: Wanted = {
      ordinal: before?.ordinal,
      id: input.id,
      // A device nobody has named yet is called by its id; its first report says better.
      hostname: input.hostname ?? before?.hostname ?? input.id,
      serial: input.serial === undefined ? (before?.serial ?? null) : input.serial,
      employee: lookUp("employee", employees),
      department: lookUp("department", departments),
      manager: input.manager === undefined ? (before?.manager ?? null) : input.manager,
      state: input.state ?? before?.state ?? "in-use",
    };
    if (before === undefined) {
      created.push(wanted);
      return;
    }
    const changed = (Object.keys(settable) as Settable[]).filter((field) => before[field] !== wanted[field]);
    if (changed.length === 0) return;
    updated.push(wanted);
    for (const field of changed) given.add(field);
    if (changed.some((field) => field === "employee" || field === "department" || field === "state"))
      moving.push(before.ordinal);
  });
  const result = {
    created: created.length,
    updated: updated.length,
    unchanged: rows.length - created.length - updated.length,
  };
  const warnings = await unknownManagers(db, trx, rows);
  if (faults.length > 0) return { ...result, faults, warnings, moved: 0 };

  moving.sort((a, b) => a - b);
  await holdDevices(db, counting, trx, moving);
  for await (const slice of slicesOf(created, 1000))
    await store.insert(
      db,
      trx,
      slice.map((d) => [d.id, ...values(d, Object.keys(settable) as Settable[]), options.origin, options.at]),
    );
  const columns = (Object.keys(settable) as Settable[]).filter((field) => given.has(field));
  for await (const slice of slicesOf(
    updated.sort((a, b) => (a.ordinal ?? 0) - (b.ordinal ?? 0)),
    1000,
  ))
    await store.update(
      db,
      trx,
      columns.map((field) => settable[field]),
      slice.map((d) => [d.ordinal ?? null, ...values(d, columns)]),
    );
  const idOf = new Map([...employees].map(([id, ordinal]) => [ordinal, id]));
  const taken = new Map<number, HandedTo>();
  await eachPolitely(updated, ({ ordinal, state, employee }) => {
    if (ordinal === undefined) return;
    const user = employee === null ? undefined : idOf.get(employee);
    if (state === "disposed") taken.set(ordinal, { disposed: true });
    else if (user !== undefined) taken.set(ordinal, { employee: user });
  });
  await closeHandOvers(db, trx, taken, options.at);
  await moveUsed(db, counting, trx, moving, options.at);
  return { ...result, faults, warnings, moved: moving.length };
}

/** Nobody counts for these devices (ascending) until the transaction ends. */
export async function holdDevices(
  db: Database,
  counting: Counting,
  trx: Trx,
  devices: readonly number[],
): Promise<void> {
  if (devices.length === 0) return;
  await counting.lockHeads(trx, devices);
  await store.hold(trx, db.dialect, devices, "update");
}

/** Moves what the devices use to whom they belong now. */
export async function moveUsed(
  db: Database,
  counting: Counting,
  trx: Trx,
  devices: readonly number[],
  at: number,
  cause: Cause = "reassigned",
): Promise<void> {
  // On SQLite a slice holds up everything else. PostgreSQL does the work elsewhere, and the fewer times one transaction changes the same counter
  // the better: it steps over every former version of it.
  const size = db.dialect === "sqlite" ? 250 : 2000;
  if (devices.length > size) await holdCounting(trx, db.dialect);
  if (db.dialect === "sqlite")
    for await (const slice of slicesOf(devices, size)) await counting.usage.reassign(trx, slice, at, cause);
  else
    for (let from = 0; from < devices.length; from += size)
      await counting.usage.reassign(trx, devices.slice(from, from + size), at, cause);
}

async function employeeOrdinals(
  db: Database,
  trx: Trx,
  rows: readonly DeviceInput[],
): Promise<{ readonly employees: Map<string, number>; readonly left: ReadonlySet<number> }> {
  const ids = new Set<string>();
  await eachPolitely(rows, ({ employee }) => void (typeof employee === "string" && ids.add(employee)));
  const found = new Map<string, number>();
  const left = new Set<number>();
  for await (const slice of slicesOf([...ids], 1000))
    for (const row of await store.employeeOrdinals(trx, db.dialect, slice)) {
      found.set(row.id, row.ordinal);
      if (row.left_at !== null) left.add(row.ordinal);
    }
  return { employees: found, left };
}

function values(device: Wanted, fields: readonly Settable[]): (string | number | null)[] {
  return fields.map((field) => device[field]);
}
