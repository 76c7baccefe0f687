/**
 * Purpose: writes what a draft changed, in batches, and has the devices concerned counted for whom they belong to now.
 * Invariants: only differences are written; two departments may exchange their codes; after it returns the store says what the draft says.
 */
import type { Database, Trx } from "../../../db/database.ts";
import { slicesOf } from "../../../slices.ts";
import { employees } from "../employees.ts";
import { organizationStore } from "../store.ts";
import type { Draft, DraftDepartment, DraftPerson } from "./draft.ts";
import { changeStore as store } from "./store.ts";
import type { MoveCause, OrgDevices } from "./types.ts";

const slice = 1000;

export function createDraftWriter(deps: {
  readonly db: Database;
  readonly trx: Trx;
  readonly draft: Draft;
  readonly devices: OrgDevices;
  readonly at: number;
}): () => Promise<void> {
  const { db, trx, draft, devices, at } = deps;
  let handedOver = 0;

  const writeDepartments = async (): Promise<void> => {
    const changed = [...draft.departments.values()].filter((d) => departmentFields.some((f) => d[f] !== d.stored[f]));
    await organizationStore.keepDepartments(
      db,
      trx,
      changed.filter((d) => d.was !== undefined).map((d) => ({ ...d.stored, ordinal: d.ordinal })),
      at,
    );
    await organizationStore.keepDepartments(
      db,
      trx,
      changed
        .filter((d) => pastFields.some((f) => d[f] !== d.stored[f]))
        .map((d) => ({ ...d.stored, ordinal: d.ordinal })),
      at,
    );
    const recoded = changed.filter((d) => d.code !== d.stored.code);
    // No code of a department begins with a space, so these are free whoever takes whose code.
    await store.setCodes(
      db,
      trx,
      recoded.map((d) => [d.ordinal, ` ${d.ordinal}`]),
    );
    await store.updateDepartments(
      db,
      trx,
      changed.map((d) => [d.ordinal, ...departmentFields.map((field) => d[field]), d.into ?? null]),
    );
    for (const d of changed) d.stored = departmentState(d);
  };

  const writePeople = async (): Promise<void> => {
    for await (const some of slicesOf(
      [...draft.people.values()].filter((p) => !isWritten(p)),
      slice,
    )) {
      await organizationStore.insertEmployees(
        db,
        trx,
        some.map((p) => [p.id, p.name, p.mail, p.department, p.title, p.manager, at]),
      );
      const made = await employees(
        db,
        trx,
        some.map((p) => p.id),
      );
      for (const person of some) {
        person.ordinal = made.get(person.id)?.ordinal;
        // Nobody begins as one who has left: whoever was hired and leaves in the same call is changed below.
        person.stored = { ...personState(person), left_at: null };
      }
    }
    const changed = [...draft.people.values()]
      .filter(isWritten)
      .filter((person) => personFields.some((field) => person[field] !== person.stored?.[field]));
    for await (const some of slicesOf(changed, slice))
      await store.updatePeople(
        db,
        trx,
        some.map((p) => [p.ordinal, ...personFields.map((field) => p[field])]),
      );
    for (const person of changed) person.stored = personState(person);
  };

  const writeDevices = async (): Promise<void> => {
    const changed = [...draft.devices.values()]
      .filter((d) => d.user !== d.stored.user || d.department !== d.stored.department)
      .sort((a, b) => a.ordinal - b.ordinal);
    for await (const some of slicesOf(changed, slice))
      await devices.assign(
        trx,
        some.map((d) => ({ ordinal: d.ordinal, employee: d.user?.ordinal ?? null, department: d.department })),
      );
    for (const d of changed) d.stored = { user: d.user, department: d.department };
    const entries = draft.handOvers.slice(handedOver);
    handedOver = draft.handOvers.length;
    await devices.handOver(
      trx,
      entries.flatMap(({ device, person }) =>
        person.ordinal === undefined ? [] : [{ device: device.ordinal, employee: person.ordinal }],
      ),
      at,
    );
  };

  return async () => {
    await writeDepartments();
    await writePeople();
    await writeDevices();
    const causes = new Map<MoveCause, number[]>();
    for (const [{ ordinal }, cause] of draft.recount) {
      const some = causes.get(cause);
      if (some === undefined) causes.set(cause, [ordinal]);
      else some.push(ordinal);
    }
    draft.recount.clear();
    for (const [cause, some] of causes)
      await devices.moved(
        trx,
        some.sort((a, b) => a - b),
        at,
        cause,
      );
  };
}

const departmentFields = ["code", "name", "parent", "cost_centre", "manager", "dissolved_at"] as const;
/** What a past position needs to know. */
const pastFields = ["code", "name", "parent"] as const;
const personFields = ["name", "mail", "department", "title", "manager", "left_at"] as const;

function departmentState(d: DraftDepartment): DraftDepartment["stored"] {
  const { code, name, parent, cost_centre, manager, dissolved_at } = d;
  return { code, name, parent, cost_centre, manager, dissolved_at };
}

function personState(p: DraftPerson): NonNullable<DraftPerson["stored"]> {
  const { name, mail, department, title, manager, left_at } = p;
  return { name, mail, department, title, manager, left_at };
}

function isWritten(person: DraftPerson): person is DraftPerson & { ordinal: number } {
  return person.ordinal !== undefined;
}
