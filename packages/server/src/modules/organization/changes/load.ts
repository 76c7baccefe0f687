/**
 * Purpose: reads the part of the organisation that a call is about, at once: whoever and whatever its changes name, the people and devices of
 * departments that end, the devices of people who move - and holds the devices, so that nobody else counts for them meanwhile.
 * Invariants: everything a change may touch is here before the first is interpreted, so locks are taken once and in order (db/locks.ts), however
 * many changes follow. Codes are followed through the renamings of the same call.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { createDraft, type Draft, type Loaded } from "./draft.ts";
import { departmentsEnded, peopleNamed } from "./read.ts";
import { changeStore as store } from "./store.ts";
import type { OrgChange, OrgDevice, OrgDevices, OrgLicenses } from "./types.ts";

export async function loadDraft(
  deps: { readonly db: Database; readonly devices: OrgDevices; readonly licenses: OrgLicenses },
  trx: Trx,
  changes: readonly OrgChange[],
): Promise<{ readonly draft: Draft; readonly ended: readonly number[] }> {
  const { db, devices, licenses } = deps;
  const departments = await store.departments(trx);
  const { mentioned, ended } = departmentsMentioned(departments, changes);
  if (ended.length > 0) await store.holdDepartments(trx, db.dialect, ended);

  const people = new Map<number, Loaded["people"][number]>();
  const ids = new Set(changes.flatMap((change) => peopleNamed(change, "").map(({ id }) => id)));
  for await (const slice of slicesOf([...ids], 1000))
    for (const row of await store.peopleById(trx, db.dialect, slice)) people.set(row.ordinal, row);
  for (const row of await store.peopleOf(trx, db.dialect, ended)) people.set(row.ordinal, row);

  const owned = new Map<number, OrgDevice>();
  const keep = (rows: readonly OrgDevice[]): void => rows.forEach((row) => owned.set(row.ordinal, row));
  for await (const slice of slicesOf([...people.keys()], 2000)) keep(await devices.ofEmployees(trx, slice));
  keep(await devices.managedBy(trx, ended));
  const named = changes.flatMap((change) => (change.type === "split" ? (change.devices ?? []) : []));
  for await (const slice of slicesOf(named, 2000)) keep(await devices.byId(trx, slice));

  // Whom a device counts for depends on its user, also where the user stays.
  const users = [...owned.values()].flatMap(({ employee }) =>
    employee === null || people.has(employee) ? [] : [employee],
  );
  for await (const slice of slicesOf([...new Set(users)], 2000))
    for (const row of await store.peopleByOrdinal(trx, db.dialect, slice)) people.set(row.ordinal, row);

  await devices.hold(
    trx,
    [...owned.keys()].sort((a, b) => a - b),
  );
  const involved = new Set([0, ...mentioned]);
  for (const person of people.values()) if (person.department !== null) involved.add(person.department);
  for (const device of owned.values()) if (device.department !== null) involved.add(device.department);
  const draft = await createDraft({
    departments,
    people: [...people.values()],
    devices: [...owned.values()],
    rights: await licenses.rights(trx, [...involved]),
  });
  for (const department of involved) draft.involved.add(department);
  return { draft, ended };
}

/** Ordinals of the departments that changes name, with those above them, and of those that end. */
function departmentsMentioned(
  departments: Loaded["departments"],
  changes: readonly OrgChange[],
): { readonly mentioned: ReadonlySet<number>; readonly ended: readonly number[] } {
  const codes = new Map(departments.map((d) => [d.code, d.ordinal]));
  const parents = new Map(departments.map((d) => [d.ordinal, d.parent]));
  const mentioned = new Set<number>();
  const ended = new Set<number>();
  const mention = (code: string | null | undefined): void => {
    const ordinal = codes.get(code ?? "");
    if (ordinal === undefined) return;
    mentioned.add(ordinal);
    const parent = parents.get(ordinal) ?? null;
    if (parent !== null) mentioned.add(parent);
  };
  for (const change of changes) {
    if ("department" in change) mention(change.department);
    if (change.type === "hire" && typeof change.employee === "object") mention(change.employee.department);
    if ("to" in change) mention(change.to);
    if (change.type === "split") change.children?.forEach(mention);
    for (const { id } of departmentsEnded(change, "")) {
      mention(id);
      const ordinal = codes.get(id);
      if (ordinal !== undefined) ended.add(ordinal);
    }
    if (change.type === "rename") {
      const ordinal = codes.get(change.department);
      const code = change.code ?? change.to;
      if (ordinal === undefined || code === undefined) continue;
      codes.delete(change.department);
      codes.set(code, ordinal);
    }
  }
  return { mentioned, ended: [...ended] };
}
