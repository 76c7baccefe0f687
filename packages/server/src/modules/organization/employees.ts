/**
 * Purpose: writes employees (domain.md §4, §6): id, name, mail, department, title, manager.
 * Invariants: when an employee's department changes, what is in use on that person's devices moves with the employee in the same transaction. An
 * unknown department is a fault; an unknown manager is a warning, because managers may come from a later file. Who left is not brought back by a row
 * that happens to name them: as long as it says what is recorded it changes nothing, so an old file can be imported again; one that says something
 * else is a fault. Hiring is done on purpose (changes/).
 */
import type { Cause } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { mostWarnings, rowFault, type RowFault, type WriteMode, type WriteResult } from "../../rows.ts";
import { eachPolitely, slicesOf } from "../../slices.ts";
import { organizationStore as store, type EmployeeRow } from "./store.ts";

export interface EmployeeInput {
  readonly id: string;
  readonly name?: string;
  readonly mail?: string | null;
  /** Department code. */
  readonly department?: string | null;
  readonly title?: string | null;
  /** Employee id. */
  readonly manager?: string | null;
}

/** Implemented by modules/devices: what is counted for a person's devices moves with the person. */
export interface EmployeeDevices {
  /** Before the employees change: nothing is counted for their devices by anyone else until the transaction ends. */
  hold(trx: Trx, employees: readonly number[]): Promise<readonly number[]>;
  /** After they changed: moves used of the devices that `hold` answered. `cause`: `moved` unless said otherwise. */
  moved(trx: Trx, devices: readonly number[], at: number, cause?: Cause): Promise<void>;
}

interface Wanted {
  readonly ordinal: number | undefined;
  readonly id: string;
  readonly name: string;
  readonly mail: string | null;
  readonly department: number | null;
  readonly title: string | null;
  readonly manager: string | null;
}

export interface EmployeesWritten extends WriteResult {
  /** Someone's department changed, so counts may have. */
  readonly moved: number;
}

export async function writeEmployees(
  db: Database,
  devices: EmployeeDevices,
  trx: Trx,
  rows: readonly EmployeeInput[],
  options: { readonly mode: WriteMode; readonly at: number },
): Promise<EmployeesWritten> {
  await lockLedger(trx, db.dialect);
  const all = await store.departments(trx);
  const departments = new Map(all.filter((d) => d.dissolved_at === null).map((d) => [d.code, d.ordinal]));
  const codeOf = new Map(all.map((d) => [d.ordinal, d.code]));
  const held = await employees(
    db,
    trx,
    rows.map((row) => row.id),
  );
  const inFile = new Set(rows.map((row) => row.id));

  const faults: RowFault[] = [];
  const created: Wanted[] = [];
  const updated: Wanted[] = [];
  const moving: number[] = [];
  await eachPolitely(rows.entries(), ([row, input]) => {
    const before = held.get(input.id);
    if (before !== undefined && options.mode === "create")
      faults.push(rowFault(row, "id", "already-exists", { what: "employee", id: input.id }));
    if (before === undefined && options.mode === "change")
      faults.push(rowFault(row, "id", "not-found", { what: "employee", id: input.id }));
    const name = input.name ?? before?.name;
    if (name === undefined) faults.push(rowFault(row, "name", "value-required"));
    let department = before?.department ?? null;
    if (input.department === null) department = null;
    else if (
      input.department !== undefined &&
      (before?.left_at == null || department === null || codeOf.get(department) !== input.department)
    ) {
      const ordinal = departments.get(input.department);
      if (ordinal === undefined)
        faults.push(rowFault(row, "department", "reference-unknown", { what: "department", id: input.department }));
      department = ordinal ?? null;
    }
    const wanted: Wanted = {
      ordinal: before?.ordinal,
      id: input.id,
      name: name ?? "",
      mail: input.mail === undefined ? (before?.mail ?? null) : input.mail,
      department,
      title: input.title === undefined ? (before?.title ?? null) : input.title,
      manager: input.manager === undefined ? (before?.manager ?? null) : input.manager,
    };
    if (before === undefined) created.push(wanted);
    else if (!sameEmployee(before, wanted)) {
      if (before.left_at !== null) faults.push(rowFault(row, "id", "employee-left", { id: input.id }));
      updated.push(wanted);
      if (before.department !== wanted.department) moving.push(before.ordinal);
    }
  });
  const result = {
    created: created.length,
    updated: updated.length,
    unchanged: rows.length - created.length - updated.length,
  };
  const warnings = await unknownManagers(db, trx, rows, inFile);
  if (faults.length > 0) return { ...result, faults, warnings, moved: 0 };

  const affected = moving.length === 0 ? [] : await devices.hold(trx, moving);
  for await (const slice of slicesOf(created, 1000))
    await store.insertEmployees(
      db,
      trx,
      slice.map((e) => [e.id, e.name, e.mail, e.department, e.title, e.manager, options.at]),
    );
  for await (const slice of slicesOf(updated, 1000))
    await store.updateEmployees(
      db,
      trx,
      slice.map((e) => [e.ordinal ?? null, e.name, e.mail, e.department, e.title, e.manager]),
    );
  if (affected.length > 0) await devices.moved(trx, affected, options.at);
  return { ...result, faults, warnings, moved: affected.length };
}

/** The employees with these ids, read in slices. */
export async function employees(db: Database, trx: Trx, ids: readonly string[]): Promise<Map<string, EmployeeRow>> {
  const found = new Map<string, EmployeeRow>();
  for await (const slice of slicesOf([...new Set(ids)], 1000))
    for (const row of await store.employeesById(trx, db.dialect, slice)) found.set(row.id, row);
  return found;
}

/** Warnings (at most 100) for rows whose `manager` is nobody's id. */
export async function unknownManagers(
  db: Database,
  trx: Trx,
  rows: readonly { readonly manager?: string | null }[],
  known: ReadonlySet<string> = new Set(),
): Promise<RowFault[]> {
  const named = new Set<string>();
  await eachPolitely(
    rows,
    ({ manager }) => void (typeof manager === "string" && !known.has(manager) && named.add(manager)),
  );
  if (named.size === 0) return [];
  const found = await employees(db, trx, [...named]);
  const warnings: RowFault[] = [];
  await eachPolitely(rows.entries(), ([row, { manager }]) => {
    if (warnings.length === mostWarnings || typeof manager !== "string" || known.has(manager) || found.has(manager))
      return;
    warnings.push(rowFault(row, "manager", "reference-unknown", { what: "employee", id: manager }));
  });
  return warnings;
}

function sameEmployee(a: EmployeeRow, b: Wanted): boolean {
  return (
    a.name === b.name &&
    a.mail === b.mail &&
    a.department === b.department &&
    a.title === b.title &&
    a.manager === b.manager
  );
}
