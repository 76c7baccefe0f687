/**
 * Purpose: `orgChanges.apply`: the one way organisation changes happen, whether they come from the API, from a schedule or from an identity provider
 * (domain.md §6). Load, interpret in order, write the differences, count the devices concerned anew, say what came of it.
 * Invariants: all in the caller's transaction, all or nothing; counting by others waits until it ends, so before and after differ by these changes
 * alone; rights, required and requested are neither made nor lost.
 */
import type { DaichoError } from "@daicho/kernel";
import type { Database } from "../../../db/database.ts";
import { lockLedger } from "../../../db/locks.ts";
import { serverErrors } from "../../../errors.ts";
import { createFirstOnes } from "../../../http/first-ones.ts";
import { eachInTurn, eachPolitely, inSteps } from "../../../slices.ts";
import { recordingTime } from "../../licenses/index.ts";
import { codeOf, countsFor, type Draft, type DraftDepartment } from "./draft.ts";
import { interpret } from "./interpret.ts";
import { loadDraft } from "./load.ts";
import { fault } from "./read.ts";
import { changeStore as store } from "./store.ts";
import type {
  DepartmentFollower,
  OrgApplications,
  OrgChanges,
  OrgDevices,
  OrgFault,
  OrgLicenses,
  OrgOutcome,
  OrgRightsRow,
  OrgUsedRow,
} from "./types.ts";
import { createDraftWriter } from "./write.ts";

const maxFaults = 100;
type Used = Map<number, Map<number, number>>;

export function createOrgChangesApply(deps: {
  readonly db: Database;
  readonly devices: OrgDevices;
  readonly licenses: OrgLicenses;
  readonly applications: OrgApplications;
  readonly followers: readonly DepartmentFollower[];
}): OrgChanges {
  const { db, devices, licenses, applications, followers } = deps;

  return {
    async apply(trx, changes, options) {
      await lockLedger(trx, db.dialect);
      const { draft, ended } = await loadDraft(deps, trx, changes);
      const at = await recordingTime(trx, options.at);
      const codes = await licenses.codes(trx);
      const before = {
        used: usedBy(await licenses.shown(trx, [...draft.involved])),
        rights: new Map([...draft.involved].map((d) => [d, new Map(draft.rightsOf(d))])),
      };
      const write = createDraftWriter({ db, trx, draft, devices, at });
      const faults: OrgFault[] = [];
      const warnings: OrgFault[] = [];
      const handed: OrgOutcome["applications"][number][] = [];
      const step = {
        draft,
        at,
        licenses: new Map([...codes].map(([ordinal, code]) => [code, ordinal])),
        managing: new Set(await licenses.managing(trx, ended)),
        report(path: string, code: Parameters<typeof fault>[1], details?: Parameters<typeof fault>[2]): void {
          if (faults.length < maxFaults) faults.push(fault(path, code, details));
        },
        warn: (path: string, message: string) => void warnings.push({ path, code: "manager-left", message }),
        async createDepartment(code: string, name: string, parent: number | null): Promise<DraftDepartment> {
          const state = { code, name, parent, cost_centre: null, manager: null, dissolved_at: null };
          const former = draft.everByCode(code);
          if (former !== undefined) return Object.assign(former, state);
          // The code may have been another's until an earlier change of this call.
          if (faults.length === 0) await write();
          const ordinal =
            faults.length > 0
              ? -1 - draft.departments.size
              : await store.insertDepartment(trx, { code, name, parent, created_at: at });
          draft.involved.add(ordinal);
          return draft.addDepartment(ordinal, state);
        },
        async used(departments: readonly number[]): Promise<Used> {
          if (faults.length > 0) return new Map();
          await write();
          return usedBy(await licenses.used(trx, departments));
        },
        async headcount(department: number): Promise<number> {
          if (faults.length > 0) return 0;
          await write();
          return store.headcount(trx, department);
        },
        openApplications: (departments: readonly number[]) =>
          faults.length > 0 ? Promise.resolve([]) : applications.openOf(trx, departments),
        async handApplications(ids: readonly string[], from: DraftDepartment, to: DraftDepartment): Promise<void> {
          if (faults.length > 0) return;
          await applications.hand(trx, ids, to.ordinal);
          for (const application of ids) handed.push({ application, from: from.code, to: to.code });
        },
      };
      await eachInTurn(changes.entries(), ([index, change]) => interpret(step, change, `/changes/${index}`));
      if (faults.length > 0) throw orgChangeInvalid(faults);

      await write();
      const rights = draft.changedRights();
      await licenses.setRights(trx, rights, at);
      const left = leavers(draft);
      const freed = await licenses.endAllocations(trx, [...left.keys()], at);
      const followed = whatFollows(draft, at);
      if (followed.codes.size + followed.merged.size + followed.rightsMoves.length > 0)
        for (const follower of followers) await follower.departmentsChanged(trx, followed);
      const after = usedBy(await licenses.shown(trx, [...draft.involved]));
      const outcome: OrgOutcome = {
        ...(await organisationOutcome(draft)),
        positions: await positionsOutcome(draft, codes, before, { used: after }),
        applications: handed,
        allocations: freed.map(({ employee, license, quantity }) => ({
          employee: left.get(employee) ?? "",
          license: codes.get(license) ?? String(license),
          quantity,
        })),
        warnings,
      };
      if (outcome.departments.length + rights.length > 0)
        await licenses.touch(
          trx,
          rights.map((row) => row.department),
          at,
        );
      return outcome;
    },
  };
}

export function orgChangeInvalid(faults: readonly OrgFault[]): DaichoError {
  const [first] = faults;
  return Object.assign(
    serverErrors.make("org-change-invalid", { count: faults.length, first: `${first?.path}: ${first?.message}` }),
    { faults },
  );
}

/** Ordinal → id. */
function leavers(draft: Draft): ReadonlyMap<number, string> {
  const left = new Map<number, string>();
  for (const { id, ordinal, was, left_at } of draft.people.values())
    if (ordinal !== undefined && left_at !== null && was?.left_at === null) left.set(ordinal, id);
  return left;
}

function usedBy(rows: readonly OrgUsedRow[]): Used {
  const used: Used = new Map();
  for (const { department, license, used: count } of rows) {
    const of = used.get(department);
    if (of === undefined) used.set(department, new Map([[license, count]]));
    else of.set(license, count);
  }
  return used;
}

function whatFollows(draft: Draft, at: number): Parameters<DepartmentFollower["departmentsChanged"]>[1] {
  const codes = new Map<string, string>();
  const merged = new Map<number, number>();
  const made = new Set<number>();
  for (const department of draft.departments.values()) {
    const before = department.was?.dissolved_at === null ? department.was.code : undefined;
    if (before === undefined && department.dissolved_at === null) {
      made.add(department.ordinal);
      continue;
    }
    let heir: DraftDepartment | undefined = department;
    while (heir !== undefined && heir.dissolved_at !== null)
      heir = typeof heir.into === "number" ? draft.departments.get(heir.into) : undefined;
    if (heir === undefined) continue;
    if (heir !== department) merged.set(department.ordinal, heir.ordinal);
    if (before !== undefined && heir.code !== before) codes.set(before, heir.code);
  }
  return { at, codes, merged, made, rightsMoves: draft.rightsMoves };
}

async function organisationOutcome(
  draft: Draft,
): Promise<Pick<OrgOutcome, "departments" | "employees" | "devices" | "handOvers">> {
  const departments: OrgOutcome["departments"][number][] = [];
  for (const d of draft.departments.values()) {
    const made = d.was === undefined || (d.was.dissolved_at !== null && d.dissolved_at === null);
    const ended = d.dissolved_at !== null && d.was?.dissolved_at !== d.dissolved_at;
    const changed = d.was?.code !== d.code || d.was.name !== d.name || d.was.parent !== d.parent;
    if (!made && !ended && !changed) continue;
    departments.push({
      department: d.code,
      change: ended ? "dissolved" : made ? "created" : "changed",
      ...(d.was !== undefined && d.was.code !== d.code && { formerly: d.was.code }),
      name: d.name,
      ...(d.parent !== null && { parent: codeOf(draft, d.parent) }),
      ...(typeof d.into === "number" && ended && { into: codeOf(draft, d.into) }),
    });
  }
  const handedOver = new Map<unknown, number>();
  for (const { person } of draft.handOvers) handedOver.set(person, (handedOver.get(person) ?? 0) + 1);
  const employees: OrgOutcome["employees"][number][] = [];
  await eachPolitely(draft.people.values(), (p) => {
    const from = p.was === undefined || p.was.left_at !== null ? undefined : codeOf(draft, p.was.department);
    const left = p.left_at !== null;
    const change =
      from === undefined
        ? left
          ? undefined
          : "hired"
        : left
          ? "left"
          : p.was?.department === p.department
            ? undefined
            : "moved";
    if (change === undefined) return;
    employees.push({
      employee: p.id,
      change,
      ...(from !== undefined && { from }),
      ...(!left && { to: codeOf(draft, p.department) }),
      devices: p.devices.size + (handedOver.get(p) ?? 0),
    });
  });
  const devices: OrgOutcome["devices"][number][] = [];
  await eachPolitely(draft.devices.values(), (device) => {
    const now = countsFor(device);
    if (now !== device.countedFor)
      devices.push({ device: device.id, from: codeOf(draft, device.countedFor), to: codeOf(draft, now) });
  });
  return {
    departments,
    employees,
    devices,
    handOvers: draft.handOvers.map(({ device, person }) => ({
      device: device.id,
      employee: person.id,
      department: codeOf(draft, device.department),
    })),
  };
}

async function positionsOutcome(
  draft: Draft,
  codes: ReadonlyMap<number, string>,
  before: { readonly used: Used; readonly rights: ReadonlyMap<number, ReadonlyMap<number, OrgRightsRow>> },
  after: { readonly used: Used },
): Promise<OrgOutcome["positions"]> {
  // In order of department and licence: there may be 100,000.
  const positions = createFirstOnes<OrgOutcome["positions"][number]>(Infinity, undefined, (p) => [
    p.department,
    p.license,
  ]);
  await eachPolitely(new Set([...draft.involved, ...before.used.keys(), ...after.used.keys()]), (department) => {
    const [usedBefore, usedAfter] = [before.used.get(department), after.used.get(department)];
    const [rightsBefore, rightsAfter] = [before.rights.get(department), draft.rightsOf(department)];
    const touched = new Set([
      ...(usedBefore?.keys() ?? []),
      ...(usedAfter?.keys() ?? []),
      ...(rightsBefore?.keys() ?? []),
      ...rightsAfter.keys(),
    ]);
    for (const license of touched) {
      const [was, is] = [rightsBefore?.get(license), rightsAfter.get(license)];
      const numbers = {
        used: { before: usedBefore?.get(license) ?? 0, after: usedAfter?.get(license) ?? 0 },
        rights: { before: was?.rights ?? 0, after: is?.rights ?? 0 },
        required: { before: was?.required ?? 0, after: is?.required ?? 0 },
        requested: { before: was?.requested ?? 0, after: is?.requested ?? 0 },
      };
      if (Object.values(numbers).some(({ before: b, after: a }) => b !== a))
        positions.put({
          department: codeOf(draft, department),
          license: codes.get(license) ?? String(license),
          ...numbers,
        });
    }
  });
  return (await inSteps(positions.taken())).items;
}
