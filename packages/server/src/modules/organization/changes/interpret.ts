/**
 * Purpose: what each type of change does (domain.md §6). One function per type, working on the draft.
 * Invariants: merging, splitting and dissolving move rights, required and requested without making or losing any; moving people moves what they use
 * and leaves rights where they are, unless asked otherwise; a department that ends leaves nobody and nothing behind.
 * Failure: faults are reported with their place and the rest of the change is left out; the caller applies nothing.
 */
import { shareOut, unassigned } from "@daicho/licensing";
import { eachPolitely } from "../../../slices.ts";
import type { Draft, DraftDepartment, DraftPerson } from "./draft.ts";
import { checkForm, departmentsEnded, hiredPerson, listed, peopleNamed, type Named, type Report } from "./read.ts";
import type { OrgApplication, OrgChange, SplitChange } from "./types.ts";

/** More would not fit the columns of the smaller store, and no company has so many. */
export const maxNumber = 1_000_000_000;

export interface Interpreting {
  readonly draft: Draft;
  readonly at: number;
  readonly licenses: ReadonlyMap<string, number>;
  /** Departments that manage entitlements; who takes over a department takes over those, too. */
  readonly managing: Set<number>;
  readonly report: Report;
  warn(path: string, message: string): void;
  createDepartment(code: string, name: string, parent: number | null): Promise<DraftDepartment>;
  /** What each department uses, by licence, with everything so far taken into account. */
  used(departments: readonly number[]): Promise<ReadonlyMap<number, ReadonlyMap<number, number>>>;
  /** How many people a department has, with everything so far taken into account. */
  headcount(department: number): Promise<number>;
  openApplications(departments: readonly number[]): Promise<readonly OrgApplication[]>;
  handApplications(ids: readonly string[], from: DraftDepartment, to: DraftDepartment): Promise<void>;
}

export async function interpret(step: Interpreting, change: OrgChange, at: string): Promise<void> {
  let faults = 0;
  const report: Report = (...args) => {
    faults++;
    step.report(...args);
  };
  checkForm(change, at, report);
  if (faults > 0) return;
  switch (change.type) {
    case "hire":
      return hire(step, change, at);
    case "move":
      return change.department === undefined
        ? movePeople(step, change, at)
        : moveDepartment(step, change.department, change.to, at);
    case "leave":
      return leave(step, change, at);
    case "rename":
      return rename(step, change, at);
    case "merge":
      return merge(step, change, at);
    case "split":
      return split(step, change, at);
    case "dissolve":
      return dissolve(step, change, at);
  }
}

function hire({ draft, report }: Interpreting, change: OrgChange & { readonly type: "hire" }, at: string): void {
  const input = hiredPerson(change, at);
  const before = draft.people.get(input.id);
  if (before?.left_at === null) return report(input.path("id"), "already-exists", { what: "employee", id: input.id });
  const name = input.name ?? before?.name;
  if (name === undefined) return report(input.path("name"), "value-required");
  let department: number | null;
  if (input.department === undefined) {
    department = before?.department ?? null;
    const former = department === null ? undefined : draft.departments.get(department);
    if (former !== undefined && former.dissolved_at !== null)
      return report(input.path("department"), "value-invalid", {
        reason: `${input.id} left ${former.code}, which was dissolved: name a department`,
      });
  } else {
    const found = target({ draft, report }, input.department, input.path("department"));
    if (found === undefined) return;
    department = found?.ordinal ?? null;
  }
  const state = {
    name,
    mail: input.mail === undefined ? (before?.mail ?? null) : input.mail,
    title: input.title === undefined ? (before?.title ?? null) : input.title,
    manager: input.manager === undefined ? (before?.manager ?? null) : input.manager,
    left_at: null,
  };
  if (before === undefined) draft.addPerson(input.id, { ...state, department });
  else draft.place(Object.assign(before, state), department, "moved");
}

async function movePeople(
  step: Interpreting,
  change: OrgChange & { readonly type: "move" },
  at: string,
): Promise<void> {
  const { draft, report } = step;
  const to = target(step, change.to, `${at}/to`);
  const moving = peopleNamed(change, at)
    .map((named) => active(step, named))
    .filter((person) => person !== undefined);
  if (to === undefined) return;
  const ordinal = to?.ordinal ?? null;
  const place = (): Promise<void> =>
    eachPolitely(moving, (person) => {
      if (person.department !== ordinal) draft.place(person, ordinal, "moved");
    });
  if (change.withRights !== true) return place();
  if (to === null)
    return report(`${at}/withRights`, "value-invalid", { reason: "rights belong to a department: name one in `to`" });
  const sources = new Map<DraftDepartment, Set<string>>();
  for (const { id, department } of moving) {
    const from = department === null ? undefined : draft.departments.get(department);
    if (from === undefined || from === to) continue;
    const people = sources.get(from);
    if (people === undefined) sources.set(from, new Set([id]));
    else people.add(id);
  }
  await withRights(step, sources, to, at, place);
}

function moveDepartment({ draft, report }: Interpreting, code: string, to: string | null, at: string): void {
  const department = current({ draft, report }, { id: code, path: `${at}/department` });
  const above = target({ draft, report }, to, `${at}/to`);
  if (department === undefined || above === undefined) return;
  if (above !== null && draft.isBelow(above, department))
    return report(`${at}/to`, "department-cycle", {
      cycle: [code, above.code, ...(above === department ? [] : [code])].join(" → "),
    });
  department.parent = above?.ordinal ?? null;
}

function leave(step: Interpreting, change: OrgChange, at: string): void {
  const { draft } = step;
  for (const named of peopleNamed(change, at)) {
    const person = active(step, named);
    if (person === undefined) continue;
    for (const device of [...person.devices]) {
      if (device.department === null && person.department !== null) draft.manage(device, person.department, "handover");
      draft.handOver(device);
    }
    person.left_at = step.at;
    draft.place(person, person.department, "moved");
    const managed = [...draft.departments.values()]
      .filter((d) => d.manager === person.id && d.dissolved_at === null)
      .map((d) => d.code);
    if (managed.length > 0)
      step.warn(
        named.path,
        `${person.id} leaves and is the manager of ${managed.slice(0, 20).join(", ")}: name another`,
      );
  }
}

function rename({ draft, report }: Interpreting, change: OrgChange & { readonly type: "rename" }, at: string): void {
  const department = current({ draft, report }, { id: change.department, path: `${at}/department` });
  if (department === undefined) return;
  if (change.name !== undefined) department.name = change.name;
  const code = change.code ?? change.to;
  if (code === undefined || code === department.code) return;
  const path = `${at}/${change.code === undefined ? "to" : "code"}`;
  if (isReserved(code)) return report(path, "code-reserved", { code });
  if (draft.everByCode(code) !== undefined) return report(path, "already-exists", { what: "department", id: code });
  draft.recode(department, code);
}

async function merge(step: Interpreting, change: OrgChange & { readonly type: "merge" }, at: string): Promise<void> {
  const sources = departmentsEnded(change, at)
    .map((named) => ({ named, department: current(step, named) }))
    .filter((source): source is { named: Named; department: DraftDepartment } => source.department !== undefined);
  const parent = sources[0]?.department.parent ?? null;
  const to = await targetOrNew(step, change, parent, at);
  if (to === undefined) return;
  for (const { named, department } of sources) {
    if (department === to)
      step.report(named.path, "value-invalid", { reason: `${to.code} cannot be merged into itself` });
    else if (department.dissolved_at !== null)
      step.report(named.path, "value-invalid", { reason: `${department.code} is named twice` });
    else takeOver(step, department, to, `${at}/to`);
  }
}

function dissolve(step: Interpreting, change: OrgChange & { readonly type: "dissolve" }, at: string): void {
  const { draft, report } = step;
  const department = current(step, { id: change.department, path: `${at}/department` });
  if (department === undefined) return;
  if (change.to !== undefined) {
    const to = current(step, { id: change.to, path: `${at}/to` });
    if (to === department) return report(`${at}/to`, "value-invalid", { reason: `${to.code} cannot take itself over` });
    if (to !== undefined) takeOver(step, department, to, `${at}/to`);
    return;
  }
  const above = department.parent === null ? undefined : draft.departments.get(department.parent);
  if (above?.dissolved_at === null) return takeOver(step, department, above, `${at}/to`);
  const has = [
    ...(draft.peopleOf(department).length > 0 ? ["people"] : []),
    ...(draft.devicesManagedBy(department).length > 0 ? ["devices"] : []),
    ...(draft.childrenOf(department).length > 0 ? ["departments"] : []),
    ...([...draft.rightsOf(department.ordinal).values()].some((r) => r.rights + r.required + r.requested > 0)
      ? ["rights"]
      : []),
    ...(step.managing.has(department.ordinal) ? ["entitlements"] : []),
  ];
  if (has.length > 0)
    return report(`${at}/to`, "value-invalid", {
      reason: `${department.code} has no department above it: name who takes over its ${has.join(", ")}`,
    });
  department.dissolved_at = step.at;
  department.into = null;
}

async function split(step: Interpreting, change: SplitChange, at: string): Promise<void> {
  const { draft, report } = step;
  const from = current(step, { id: change.department, path: `${at}/department` });
  if (from === undefined) return;
  const to = await targetOrNew(step, change, from.parent, at);
  if (to === undefined) return;
  if (to === from) return report(`${at}/to`, "value-invalid", { reason: `${to.code} cannot be split into itself` });

  const people = listed(change.employees, `${at}/employees`).map((named) => {
    const person = active(step, named);
    if (person !== undefined && person.department !== from.ordinal)
      report(named.path, "value-invalid", { reason: `${named.id} is not in ${from.code}` });
    return person;
  });
  const devices = listed(change.devices, `${at}/devices`).map((named) => {
    const device = draft.deviceById(named.id);
    if (device === undefined) report(named.path, "not-found", { what: "device", id: named.id });
    else if (device.department !== from.ordinal)
      report(named.path, "value-invalid", { reason: `${named.id} is not managed by ${from.code}` });
    return device;
  });
  const children = listed(change.children, `${at}/children`).map((named) => {
    const child = current(step, named);
    if (child === undefined) return undefined;
    if (child.parent !== from.ordinal)
      report(named.path, "value-invalid", { reason: `${named.id} is not directly below ${from.code}` });
    else if (draft.isBelow(to, child))
      report(named.path, "department-cycle", { cycle: [child.code, to.code, child.code].join(" → ") });
    return child;
  });
  const moving = new Set(people.filter((person) => person?.department === from.ordinal)).size;
  const move = (): void => {
    for (const child of children) if (child !== undefined) child.parent = to.ordinal;
    for (const device of devices) if (device !== undefined) draft.manage(device, to.ordinal, "reorganized");
    for (const person of people) if (person !== undefined) draft.place(person, to.ordinal, "reorganized");
  };
  const before = { used: await step.used([from.ordinal]), people: await step.headcount(from.ordinal) };
  move();
  const stays = (await step.used([from.ordinal])).get(from.ordinal);
  const along = goesAlong(before.used.get(from.ordinal), stays);
  const used = before.used.get(from.ordinal);
  divideRequired(step, change, from, to, at, requiredAlong(used, along, [moving, before.people - moving]));
  if (change.rights === undefined) {
    for (const [license, used] of along) shiftRights(step, from.ordinal, to, license, used, `${at}/to`);
  } else
    for (const [index, { license, rights }] of change.rights.entries()) {
      const ordinal = step.licenses.get(license) ?? 0;
      const has = draft.rightsOf(from.ordinal).get(ordinal)?.rights ?? 0;
      if (ordinal === 0) report(`${at}/rights/${index}/license`, "reference-unknown", { what: "licence", id: license });
      else if (rights > has)
        report(`${at}/rights/${index}/rights`, "value-invalid", {
          reason: `${from.code} has ${has} rights to ${license}, not ${rights}`,
        });
      else shiftRights(step, from.ordinal, to, ordinal, rights, `${at}/to`);
    }
  await handApplications(step, change, from, to, at);
}

/** `required` goes along as said, else as its use - where nothing is in use, the people - went and stayed. */
function divideRequired(
  step: Interpreting,
  change: Pick<SplitChange, "rights">,
  from: DraftDepartment,
  to: DraftDepartment,
  at: string,
  weightsOf: (license: number) => readonly [went: number, stayed: number],
): void {
  const said = new Map<number, number>();
  for (const [index, { license, required }] of (change.rights ?? []).entries()) {
    if (required === undefined) continue;
    const ordinal = step.licenses.get(license) ?? 0;
    const has = step.draft.rightsOf(from.ordinal).get(ordinal)?.required ?? 0;
    if (required <= has) said.set(ordinal, required);
    else
      step.report(`${at}/rights/${index}/required`, "value-invalid", {
        reason: `${from.code} requires ${has} of ${license}, not ${required}`,
      });
  }
  for (const { license, required: has } of [...step.draft.rightsOf(from.ordinal).values()]) {
    const [went, stayed] = weightsOf(license);
    const weights = [
      { code: "stays", weight: Math.max(0, stayed) },
      { code: "went", weight: went },
    ];
    const divided = has > 0 && went > 0 ? shareOut(has, weights)[1] : 0;
    const required = said.get(license) ?? divided ?? 0;
    if (required > 0) shift(step, from.ordinal, to, license, { rights: 0, required }, `${at}/to`);
  }
}

/** Open applications go along whole, with what of them is requested: those named, else those of the people who go. */
async function handApplications(
  step: Interpreting,
  change: Pick<SplitChange, "employees" | "applications">,
  from: DraftDepartment,
  to: DraftDepartment,
  at: string,
): Promise<void> {
  // What an earlier change of this call merged into it is its own, too.
  const its = [...step.draft.departments.values()].filter((d) => heirOf(step.draft, d) === from).map((d) => d.ordinal);
  const open = new Map((await step.openApplications(its)).map((application) => [application.id, application]));
  const named = listed(change.applications, `${at}/applications`);
  for (const { id, path } of named)
    if (!open.has(id)) step.report(path, "value-invalid", { reason: `${id} is no open application of ${from.code}` });
  const people = new Set(change.employees ?? []);
  const going = [...open.values()].filter(({ id, applicant }) =>
    change.applications === undefined ? people.has(applicant ?? "") : change.applications.includes(id),
  );
  if (going.length === 0) return;
  for (const { license, outstanding } of going) {
    const has = step.draft.rightsOf(from.ordinal).get(license)?.requested ?? 0;
    const requested = Math.min(outstanding, has);
    if (requested > 0) shift(step, from.ordinal, to, license, { rights: 0, requested }, `${at}/to`);
  }
  await step.handApplications(
    going.map(({ id }) => id),
    from,
    to,
  );
}

function heirOf(draft: Draft, department: DraftDepartment): DraftDepartment | undefined {
  let heir: DraftDepartment | undefined = department;
  while (heir !== undefined && typeof heir.into === "number" && heir.dissolved_at !== null)
    heir = draft.departments.get(heir.into);
  return heir;
}

/**
 * Does `move`, and takes along from each department what a split that says nothing more would: as many rights as used went, at most what it had, its
 * part of what is required, and the open applications of the people who go.
 */
async function withRights(
  step: Interpreting,
  sources: ReadonlyMap<DraftDepartment, ReadonlySet<string>>,
  to: DraftDepartment,
  at: string,
  move: () => Promise<void>,
): Promise<void> {
  const ordinals = [...sources.keys()].map(({ ordinal }) => ordinal);
  const before = await step.used(ordinals);
  const people = new Map<DraftDepartment, number>();
  for (const from of sources.keys()) people.set(from, await step.headcount(from.ordinal));
  await move();
  const after = await step.used(ordinals);
  for (const [from, moving] of sources) {
    const along = goesAlong(before.get(from.ordinal), after.get(from.ordinal));
    const stayed = (people.get(from) ?? 0) - moving.size;
    divideRequired(step, {}, from, to, at, requiredAlong(before.get(from.ordinal), along, [moving.size, stayed]));
    for (const [license, used] of along) shiftRights(step, from.ordinal, to, license, used, `${at}/to`);
    await handApplications(step, { employees: [...moving] }, from, to, at);
  }
}

/** By what `required` is divided: its use, else the people, that went and stayed. */
function requiredAlong(
  before: ReadonlyMap<number, number> | undefined,
  along: ReadonlyMap<number, number>,
  people: readonly [went: number, stayed: number],
): (license: number) => readonly [went: number, stayed: number] {
  return (license) => {
    const inUse = before?.get(license) ?? 0;
    const went = along.get(license) ?? 0;
    return inUse > 0 ? [went, inUse - went] : people;
  };
}

/** Licence → how many of what was used went along. */
function goesAlong(
  before: ReadonlyMap<number, number> | undefined,
  after: ReadonlyMap<number, number> | undefined,
): ReadonlyMap<number, number> {
  const along = new Map<number, number>();
  for (const [license, used] of before ?? []) {
    const went = used - (after?.get(license) ?? 0);
    if (went > 0) along.set(license, went);
  }
  return along;
}

function shiftRights(
  step: Interpreting,
  from: number,
  to: DraftDepartment,
  license: number,
  most: number,
  path: string,
): void {
  const has = step.draft.rightsOf(from).get(license)?.rights ?? 0;
  const rights = Math.min(most, has);
  if (rights <= 0) return;
  shift(step, from, to, license, { rights }, path);
  step.draft.rightsMoves.push({ from, to: to.ordinal, license, rights, left: has - rights });
}

/** `to` takes over everything: people, devices, departments below, rights, entitlements. */
function takeOver(step: Interpreting, from: DraftDepartment, to: DraftDepartment, path: string): void {
  const { draft } = step;
  // One that takes over the department above it takes its place; what else lay there then lies below it.
  if (draft.isBelow(to, from)) to.parent = from.parent;
  for (const child of draft.childrenOf(from)) if (child !== to) child.parent = to.ordinal;
  for (const person of draft.peopleOf(from)) draft.place(person, to.ordinal, "reorganized");
  for (const device of draft.devicesManagedBy(from)) draft.manage(device, to.ordinal, "reorganized");
  for (const row of [...draft.rightsOf(from.ordinal).values()]) shift(step, from.ordinal, to, row.license, row, path);
  if (step.managing.has(from.ordinal)) step.managing.add(to.ordinal);
  draft.rightsMoves.push({ from: from.ordinal, to: to.ordinal });
  from.dissolved_at = step.at;
  from.into = to.ordinal;
}

function shift(
  { draft, report }: Interpreting,
  from: number,
  to: DraftDepartment,
  license: number,
  numbers: { readonly rights: number; readonly required?: number; readonly requested?: number },
  path: string,
): void {
  const { rights, required = 0, requested = 0 } = numbers;
  draft.addRights(from, license, { rights: -rights, required: -required, requested: -requested });
  draft.addRights(to.ordinal, license, { rights, required, requested });
  const sum = draft.rightsOf(to.ordinal).get(license);
  if (sum !== undefined && Math.max(sum.rights, sum.required, sum.requested) > maxNumber)
    report(path, "value-invalid", { reason: `${to.code} would have more than ${maxNumber} of one licence` });
}

type Finding = Pick<Interpreting, "draft" | "report">;

function current({ draft, report }: Finding, { id, path }: Named): DraftDepartment | undefined {
  const found = draft.byCode(id);
  if (found === undefined) report(path, "not-found", { what: "department", id });
  return found;
}

/** The department a `to` names; null for none; undefined after a fault. */
function target({ draft, report }: Finding, code: string | null, path: string): DraftDepartment | null | undefined {
  if (code === null || code === unassigned) return null;
  const found = draft.byCode(code);
  if (found === undefined) report(path, "reference-unknown", { what: "department", id: code });
  return found;
}

/** A department that is there, or a new one where a name is given; one that was dissolved earlier exists anew. */
async function targetOrNew(
  step: Interpreting,
  change: { readonly to: string; readonly name?: string },
  parent: number | null,
  at: string,
): Promise<DraftDepartment | undefined> {
  const { draft, report } = step;
  const found = draft.byCode(change.to);
  if (found !== undefined) {
    if (change.name !== undefined && change.name !== found.name)
      report(`${at}/name`, "value-invalid", { reason: `${change.to} is there already, as ${found.name}` });
    return found;
  }
  if (isReserved(change.to)) report(`${at}/to`, "code-reserved", { code: change.to });
  else if (draft.everByCode(change.to)?.into !== undefined)
    report(`${at}/to`, "value-invalid", { reason: `${change.to} was dissolved by an earlier change of this request` });
  else if (change.name === undefined)
    report(`${at}/to`, "value-invalid", { reason: `there is no department ${change.to}; with a name it is made` });
  else return step.createDepartment(change.to, change.name, parent);
  return undefined;
}

function active({ draft, report }: Finding, { id, path }: Named): DraftPerson | undefined {
  const person = draft.people.get(id);
  if (person === undefined) report(path, "not-found", { what: "employee", id });
  else if (person.left_at !== null) report(path, "value-invalid", { reason: `${id} has left` });
  else return person;
  return undefined;
}

function isReserved(code: string): boolean {
  return code.toLowerCase() === unassigned;
}
