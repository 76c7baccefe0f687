/**
 * Purpose: writes departments (domain.md §4): a tree, each with code, name, parent, cost centre and manager.
 * Invariants: the tree has no cycle - all changes of a call are laid over what is there, and the result is checked; a parent may stand in a later
 * row; the code `unassigned` belongs to nobody, because positions show under it what no department uses. A manager is an employee's id that may
 * be imported later, so an unknown one is a warning at most, never a fault. A department that was dissolved is not there; a row with its code makes it
 * anew, with nothing of what it was but its place in the history.
 */
import { findCycle, unassigned } from "@daicho/licensing";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { rowFault, type RowFault, type WriteMode, type WriteResult } from "../../rows.ts";
import { slicesOf } from "../../slices.ts";
import { recordingTime, touchPositions } from "../licenses/index.ts";
import { organizationStore as store } from "./store.ts";

export interface DepartmentInput {
  readonly code: string;
  readonly name?: string;
  /** Code of the department above. */
  readonly parent?: string | null;
  readonly costCentre?: string | null;
  /** Employee id. */
  readonly manager?: string | null;
}

interface Wanted {
  readonly row: number;
  readonly code: string;
  readonly name: string;
  readonly parent: string | null;
  readonly costCentre: string | null;
  readonly manager: string | null;
}

export async function writeDepartments(
  db: Database,
  trx: Trx,
  rows: readonly DepartmentInput[],
  options: { readonly mode: WriteMode; readonly at: number },
): Promise<WriteResult> {
  await lockLedger(trx, db.dialect);
  const at = await recordingTime(trx, options.at);
  const held = await store.departments(trx);
  const current = held.filter((d) => d.dissolved_at === null);
  const byCode = new Map(current.map((d) => [d.code, d]));
  const dissolved = new Map(held.filter((d) => d.dissolved_at !== null).map((d) => [d.code, d]));
  const codeOf = new Map(held.map((d) => [d.ordinal, d.code]));
  const parents = new Map<string, string | null>(
    current.map((d) => [d.code, d.parent === null ? null : (codeOf.get(d.parent) ?? null)]),
  );
  const inFile = new Set(rows.map((row) => row.code));

  const faults: RowFault[] = [];
  const created: Wanted[] = [];
  const updated: Wanted[] = [];
  for (const [row, input] of rows.entries()) {
    const before = byCode.get(input.code);
    if (input.code.toLowerCase() === unassigned)
      faults.push(rowFault(row, "code", "code-reserved", { code: input.code }));
    if (before !== undefined && options.mode === "create")
      faults.push(rowFault(row, "code", "already-exists", { what: "department", id: input.code }));
    if (before === undefined && options.mode === "change")
      faults.push(rowFault(row, "code", "not-found", { what: "department", id: input.code }));
    const name = input.name ?? before?.name;
    if (name === undefined) faults.push(rowFault(row, "name", "value-required"));
    const parent = input.parent === undefined ? (parents.get(input.code) ?? null) : input.parent;
    if (parent !== null && !byCode.has(parent) && !inFile.has(parent))
      faults.push(rowFault(row, "parent", "reference-unknown", { what: "department", id: parent }));
    const wanted: Wanted = {
      row,
      code: input.code,
      name: name ?? "",
      parent,
      costCentre: input.costCentre === undefined ? (before?.cost_centre ?? null) : input.costCentre,
      manager: input.manager === undefined ? (before?.manager ?? null) : input.manager,
    };
    if (before === undefined) created.push(wanted);
    else if (
      before.name !== wanted.name ||
      before.cost_centre !== wanted.costCentre ||
      before.manager !== wanted.manager ||
      (parents.get(input.code) ?? null) !== parent
    )
      updated.push(wanted);
  }
  for (const wanted of [...created, ...updated]) parents.set(wanted.code, wanted.parent);
  faults.push(...cycles(parents, [...created, ...updated]));

  const result = {
    created: created.length,
    updated: updated.length,
    unchanged: rows.length - created.length - updated.length,
  };
  if (faults.length > 0) return { ...result, faults, warnings: [] };

  const again = created.filter((d) => dissolved.has(d.code));
  const fresh = created.filter((d) => !dissolved.has(d.code));
  for await (const slice of slicesOf(fresh, 1000))
    await store.insertDepartments(
      db,
      trx,
      slice.map((d) => [d.code, d.name, d.costCentre, d.manager, at]),
    );
  if (again.length > 0)
    await store.reviveDepartments(
      trx,
      db.dialect,
      again.map((d) => dissolved.get(d.code)?.ordinal ?? 0),
    );
  for await (const slice of slicesOf([...updated, ...again], 1000))
    await store.keepDepartments(
      db,
      trx,
      slice.flatMap((d) => byCode.get(d.code) ?? dissolved.get(d.code) ?? []),
      at,
    );
  const ordinals = new Map((await store.departments(trx)).map((d) => [d.code, d.ordinal]));
  const changed = [...updated, ...again, ...fresh.filter((d) => d.parent !== null)];
  for await (const slice of slicesOf(changed, 1000))
    await store.updateDepartments(
      db,
      trx,
      slice.map((d) => [
        ordinals.get(d.code) ?? null,
        d.name,
        d.parent === null ? null : (ordinals.get(d.parent) ?? null),
        d.costCentre,
        d.manager,
      ]),
    );
  // Roll-ups follow the tree.
  if (created.length + updated.length > 0) await touchPositions(db, trx, at, {});
  return { ...result, faults, warnings: [] };
}

/** One fault for each changed row that stands in a cycle; the stored tree has none, so every cycle has such a row. */
function cycles(parents: ReadonlyMap<string, string | null>, changed: readonly Wanted[]): RowFault[] {
  const rows = new Map(changed.map((d) => [d.code, d.row]));
  const rest = new Map(parents);
  const faults: RowFault[] = [];
  for (let cycle = findCycle(rest); cycle !== undefined && faults.length < 100; cycle = findCycle(rest)) {
    const shown = cycle.length > 20 ? [...cycle.slice(0, 20), "…"] : cycle;
    for (const code of cycle) {
      const row = rows.get(code);
      if (row !== undefined)
        faults.push(rowFault(row, "parent", "department-cycle", { cycle: [...shown, cycle[0]].join(" → ") }));
      rest.set(code, null);
    }
  }
  return faults;
}
