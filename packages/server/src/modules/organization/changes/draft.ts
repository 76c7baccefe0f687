/**
 * Purpose: the part of the organisation that a call is about, in memory: what was stored, and what the changes so far made of it. Pure.
 * Invariants: a change works on the draft alone, so that thousands of them cost no query each; every row remembers what it was, so that only
 * differences are written; a person's devices and a department's people are kept as sets that every operation keeps true.
 */
import { findCycle, unassigned, type RightsMove } from "@daicho/licensing";
import { eachPolitely } from "../../../slices.ts";
import type { MoveCause, OrgDevice, OrgRightsRow } from "./types.ts";

export interface DepartmentState {
  code: string;
  name: string;
  parent: number | null;
  cost_centre: string | null;
  manager: string | null;
  dissolved_at: number | null;
}
export interface DraftDepartment extends DepartmentState {
  readonly ordinal: number;
  /** undefined: made by this call. */
  readonly was: Readonly<DepartmentState> | undefined;
  /** As last written. */
  stored: Readonly<DepartmentState>;
  /** Who took over, where this call dissolved it. */
  into: number | null | undefined;
}

export interface PersonState {
  name: string;
  mail: string | null;
  department: number | null;
  title: string | null;
  manager: string | null;
  left_at: number | null;
}
export interface DraftPerson extends PersonState {
  readonly id: string;
  /** undefined: hired by this call and not written yet. */
  ordinal: number | undefined;
  readonly was: Readonly<PersonState> | undefined;
  stored: Readonly<PersonState> | undefined;
  readonly devices: Set<DraftDevice>;
}

export interface DraftDevice {
  readonly ordinal: number;
  readonly id: string;
  user: DraftPerson | undefined;
  department: number | null;
  readonly countedFor: number;
  stored: { readonly user: DraftPerson | undefined; readonly department: number | null };
}

export interface HandOver {
  readonly device: DraftDevice;
  readonly person: DraftPerson;
}

export interface Draft {
  readonly departments: ReadonlyMap<number, DraftDepartment>;
  readonly people: ReadonlyMap<string, DraftPerson>;
  readonly devices: ReadonlyMap<number, DraftDevice>;
  readonly handOvers: readonly HandOver[];
  /** Departments whose rights or used may have changed. */
  readonly involved: Set<number>;
  /** Devices to count anew, with why. */
  readonly recount: Map<DraftDevice, MoveCause>;
  /** Rights that went from department to department. */
  readonly rightsMoves: RightsMove[];

  /** The department that goes by this code and is not dissolved. */
  byCode(code: string): DraftDepartment | undefined;
  /** Also one that was dissolved. */
  everByCode(code: string): DraftDepartment | undefined;
  childrenOf(department: DraftDepartment): DraftDepartment[];
  /** Whether `department` is `above` or lies somewhere below it. */
  isBelow(department: DraftDepartment, above: DraftDepartment): boolean;
  /** Codes of a cycle that the parents make, if they do. */
  cycle(): readonly string[] | undefined;
  addDepartment(ordinal: number, state: DepartmentState): DraftDepartment;
  recode(department: DraftDepartment, code: string): void;
  peopleOf(department: DraftDepartment): readonly DraftPerson[];
  devicesManagedBy(department: DraftDepartment): readonly DraftDevice[];
  deviceById(id: string): DraftDevice | undefined;
  addPerson(id: string, state: PersonState): DraftPerson;
  place(person: DraftPerson, department: number | null, cause: MoveCause): void;
  manage(device: DraftDevice, department: number | null, cause: MoveCause): void;
  /** Takes the device from its user and puts it on the hand-over list. */
  handOver(device: DraftDevice): void;

  rightsOf(department: number): ReadonlyMap<number, OrgRightsRow>;
  /** Adds to a department's numbers of a licence. */
  addRights(department: number, license: number, change: Partial<Omit<OrgRightsRow, "department" | "license">>): void;
  /** Rows that differ from what is stored. */
  changedRights(): OrgRightsRow[];
}

export interface Loaded {
  readonly departments: readonly (DepartmentState & { readonly ordinal: number })[];
  readonly people: readonly (PersonState & { readonly ordinal: number; readonly id: string })[];
  readonly devices: readonly OrgDevice[];
  readonly rights: readonly OrgRightsRow[];
}

export async function createDraft(loaded: Loaded): Promise<Draft> {
  const departments = new Map<number, DraftDepartment>();
  const codes = new Map<string, DraftDepartment>();
  const people = new Map<string, DraftPerson>();
  const byDepartment = new Map<number, Set<DraftPerson>>();
  const managed = new Map<number, Set<DraftDevice>>();
  const devices = new Map<number, DraftDevice>();
  const deviceIds = new Map<string, DraftDevice>();
  const handOvers: HandOver[] = [];
  const involved = new Set<number>();
  const recount = new Map<DraftDevice, MoveCause>();
  const rights = new Map<number, Map<number, OrgRightsRow>>();
  const storedRights = new Map<string, OrgRightsRow>();

  for (const { ordinal, ...state } of loaded.departments) {
    const department: DraftDepartment = { ...state, ordinal, was: state, stored: state, into: undefined };
    departments.set(ordinal, department);
    codes.set(state.code, department);
  }
  const peopleByOrdinal = new Map<number, DraftPerson>();
  await eachPolitely(loaded.people, (row) => {
    const { ordinal, id, name, mail, department, title, manager, left_at } = row;
    const devices = new Set<DraftDevice>();
    const person = { ordinal, id, name, mail, department, title, manager, left_at, was: row, stored: row, devices };
    people.set(id, person);
    peopleByOrdinal.set(ordinal, person);
    if (department !== null && left_at === null) addTo(byDepartment, department, person);
  });
  await eachPolitely(loaded.devices, ({ ordinal, id, employee, department }) => {
    const user = employee === null ? undefined : peopleByOrdinal.get(employee);
    const device: DraftDevice = {
      ordinal,
      id,
      user,
      department,
      countedFor: user?.department ?? department ?? 0,
      stored: { user, department },
    };
    devices.set(ordinal, device);
    deviceIds.set(id, device);
    user?.devices.add(device);
    if (department !== null) addTo(managed, department, device);
  });
  for (const row of loaded.rights) {
    rowsOf(row.department).set(row.license, row);
    storedRights.set(`${row.department}:${row.license}`, row);
  }

  function rowsOf(department: number): Map<number, OrgRightsRow> {
    let rows = rights.get(department);
    if (rows === undefined) rights.set(department, (rows = new Map()));
    return rows;
  }

  const isCurrent = (department: DraftDepartment | undefined): department is DraftDepartment =>
    department?.dissolved_at === null;

  return {
    departments,
    people,
    devices,
    handOvers,
    involved,
    recount,
    rightsMoves: [],
    byCode(code) {
      const found = codes.get(code);
      return isCurrent(found) ? found : undefined;
    },
    everByCode: (code) => codes.get(code),
    childrenOf: ({ ordinal }) => [...departments.values()].filter((d) => isCurrent(d) && d.parent === ordinal),
    isBelow(department, above) {
      const seen = new Set<number>();
      for (let at: DraftDepartment | undefined = department; at !== undefined && !seen.has(at.ordinal);) {
        if (at === above) return true;
        seen.add(at.ordinal);
        at = at.parent === null ? undefined : departments.get(at.parent);
      }
      return false;
    },
    cycle() {
      const parents = new Map([...departments.values()].filter(isCurrent).map((d) => [d.ordinal, d.parent]));
      return findCycle(parents)?.map((ordinal) => departments.get(ordinal)?.code ?? "");
    },
    addDepartment(ordinal, state) {
      const department: DraftDepartment = { ...state, ordinal, was: undefined, stored: state, into: undefined };
      departments.set(ordinal, department);
      codes.set(state.code, department);
      return department;
    },
    recode(department, code) {
      codes.delete(department.code);
      department.code = code;
      codes.set(code, department);
    },
    peopleOf: ({ ordinal }) => [...(byDepartment.get(ordinal) ?? [])],
    devicesManagedBy: ({ ordinal }) => [...(managed.get(ordinal) ?? [])],
    deviceById: (id) => deviceIds.get(id),
    addPerson(id, state) {
      const person: DraftPerson = {
        ...state,
        id,
        ordinal: undefined,
        was: undefined,
        stored: undefined,
        devices: new Set(),
      };
      people.set(id, person);
      if (state.department !== null) addTo(byDepartment, state.department, person);
      return person;
    },
    place(person, department, cause) {
      if (person.department !== null) byDepartment.get(person.department)?.delete(person);
      person.department = department;
      if (department !== null && person.left_at === null) addTo(byDepartment, department, person);
      for (const device of person.devices) recount.set(device, cause);
    },
    manage(device, department, cause) {
      if (device.department !== null) managed.get(device.department)?.delete(device);
      device.department = department;
      if (department !== null) addTo(managed, department, device);
      recount.set(device, cause);
    },
    handOver(device) {
      const person = device.user;
      if (person === undefined) return;
      person.devices.delete(device);
      device.user = undefined;
      handOvers.push({ device, person });
      recount.set(device, "handover");
    },
    rightsOf: (department) => rowsOf(department),
    addRights(department, license, change) {
      const before = rowsOf(department).get(license);
      rowsOf(department).set(license, {
        department,
        license,
        rights: (before?.rights ?? 0) + (change.rights ?? 0),
        required: (before?.required ?? 0) + (change.required ?? 0),
        requested: (before?.requested ?? 0) + (change.requested ?? 0),
      });
    },
    changedRights() {
      const changed: OrgRightsRow[] = [];
      for (const rows of rights.values())
        for (const row of rows.values()) {
          const before = storedRights.get(`${row.department}:${row.license}`);
          if (
            row.rights !== (before?.rights ?? 0) ||
            row.required !== (before?.required ?? 0) ||
            row.requested !== (before?.requested ?? 0)
          )
            changed.push(row);
        }
      return changed.sort((a, b) => a.department - b.department || a.license - b.license);
    },
  };
}

/** Department a device counts for (domain.md §5.3); 0 = unassigned. */
export function countsFor(device: DraftDevice): number {
  return device.user?.department ?? device.department ?? 0;
}

export function codeOf(draft: Draft, department: number | null): string {
  return department === null || department === 0 ? unassigned : (draft.departments.get(department)?.code ?? unassigned);
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}
