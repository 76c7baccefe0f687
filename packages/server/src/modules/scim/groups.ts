/**
 * Purpose: Groups. With `scim.groups: departments` a group is a department: its members are the people of the department and the departments directly
 * below it, so adding a member moves a person, and taking one out leaves the person in no department. With `ignore` groups are kept and answered as
 * the client has them, and move nobody.
 * Invariants: one transaction per request, under the ledger's lock; a department may have very many people, so a change of a few reads a few.
 */
import { isDaichoError, newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import { limits } from "../../http/text.ts";
import { errorOfRow } from "../../rows.ts";
import { breathe, eachPolitely, slicesOf } from "../../slices.ts";
import type { OrgChange, OrgChanges, Organization } from "../organization/index.ts";
import { readDirectory, type Directory } from "./directory.ts";
import { codeFor, ledgerText, readsAsCode } from "./mapping.ts";
import { schemasOf } from "./protocol/discovery.ts";
import { scimErrors, valueInvalid } from "./protocol/errors.ts";
import type { Filter } from "./protocol/filter.ts";
import { isObject, matches } from "./protocol/match.ts";
import { applyPatch, memberChanges, type MemberChange, type Operation } from "./protocol/patch.ts";
import { groupType, urns, type Attribute, type Resource } from "./protocol/schema.ts";
import { scimStore as store, type DepartmentRow, type GroupRow, type Reader, type UserRow } from "./store.ts";
import { createMembers, memberPage } from "./members.ts";
import { checkVersion, etag, metaOf, type Caller } from "./versions.ts";

/** Members one request may name. */
export const maxMembers = 10_000;
/** Operations of one request that choose members by more than an id: each looks at all of them. */
const maxComparisons = 10;

export interface Groups {
  create(body: unknown, caller: Caller): Promise<Resource>;
  replace(id: string, body: unknown, caller: Caller): Promise<Resource>;
  patch(id: string, operations: readonly Operation[], caller: Caller): Promise<Resource>;
  remove(id: string, caller: Caller): Promise<void>;
  /** Inside a snapshot. */
  show(
    trx: Reader,
    row: GroupRow,
    directory: Directory,
    options: { readonly base: string; readonly members: boolean },
  ): Promise<Resource>;
}

const membersAttribute = groupType.core.attributes.find((a) => a.name === "members") as Attribute;

/** What the changes come to: who comes, who goes. */
interface Delta {
  readonly come: ReadonlyMap<string, string>;
  readonly go: ReadonlySet<string>;
}

export function createGroups(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly organization: Organization;
  readonly changes: OrgChanges;
  readonly groups: "departments" | "ignore";
  readonly changed: () => void;
}): Groups {
  const { db, clock, organization, changes } = deps;
  const areDepartments = deps.groups === "departments";
  const { membersOf, usersIn } = createMembers(areDepartments);

  const show: Groups["show"] = async (trx, row, directory, { base, members }) => {
    const department = row.department === null ? undefined : directory.departments.get(row.department);
    const sent = JSON.parse(row.resource) as Resource;
    const group: Resource = {
      ...sent,
      displayName: areDepartments && department !== undefined ? department.name : row.name,
      ...(department !== undefined && { [urns.department]: { code: department.code } }),
    };
    const shown: Resource = { schemas: schemasOf(groupType, group), id: row.id, ...group };
    const version = etag([shown, row.version]);
    if (members) shown["members"] = await membersOf(trx, row, directory, base);
    return { ...shown, meta: metaOf("Group", `${base}/Groups/${row.id}`, row, version) };
  };

  /** Adds up the changes of a request; whole lists of members are read only where they are needed. */
  async function deltaOf(trx: Trx, row: GroupRow, directory: Directory, list: readonly MemberChange[]): Promise<Delta> {
    const come = new Map<string, string>();
    const go = new Set<string>();
    let read: Resource[] | undefined;
    const all = async (): Promise<readonly Resource[]> => (read ??= await membersOf(trx, row, directory, ""));
    const take = (id: string): void => {
      come.delete(id);
      go.add(id);
    };
    // What comes before all members are replaced or removed decides nothing.
    const last = list.findLastIndex((c) => c.op === "replace" || ("fitting" in c && c.fitting === undefined));
    if (last !== -1) for (const member of await all()) go.add(member["value"] as string);
    let comparisons = 0;
    for (const change of last === -1 ? list : list.slice(last)) {
      if (!("fitting" in change)) {
        const place = change.place === "" ? "" : `${change.place}.`;
        await eachPolitely(change.members.entries(), ([index, member]) => {
          const id = member["value"] as string;
          if (change.op === "remove") take(id);
          else {
            go.delete(id);
            come.set(id, `${place}members[${index}]`);
          }
        });
        continue;
      }
      const { fitting } = change;
      const single = idNamed(fitting);
      if (single !== undefined) take(single);
      if (single !== undefined || fitting === undefined) continue;
      if (++comparisons > maxComparisons)
        throw scimErrors.make("scim-too-large", {
          place: change.place,
          limit: maxComparisons,
          what: "filters of members",
        });
      const there = [...(await all()), ...[...come.keys()].map((value): Resource => ({ value }))];
      await eachPolitely(there, (member) => {
        if (matches(fitting, member)) take(member["value"] as string);
      });
    }
    return { come, go };
  }

  async function applyMembers(
    trx: Trx,
    row: GroupRow,
    list: readonly MemberChange[],
    caller: Caller,
  ): Promise<boolean> {
    if (list.length === 0) return false;
    const directory = await readDirectory(trx);
    const { come, go } = await deltaOf(trx, row, directory, list);
    const users = new Map<string, UserRow>();
    for await (const slice of slicesOf([...come.keys(), ...go], memberPage))
      for (const user of await store.usersById(trx, db.dialect, slice)) users.set(user.id, user);
    for (const [id, place] of come)
      if (!users.has(id) && !directory.groupsById.has(id)) throw valueInvalid(place, `there is no User or Group ${id}`);
    const usersOf = (ids: Iterable<string>): UserRow[] => [...ids].flatMap((id) => users.get(id) ?? []);
    const groupsOf = (ids: Iterable<string>): GroupRow[] =>
      [...ids].flatMap((id) => directory.groupsById.get(id) ?? []);
    if (!areDepartments) {
      const ordinals = (rows: readonly { readonly ordinal: number }[]): number[] => rows.map((r) => r.ordinal);
      for (const below of groupsOf(come.keys()))
        if (below.ordinal === row.ordinal) throw valueInvalid("members", "a group cannot be a member of itself");
      await store.deleteMembers(trx, db.dialect, row.ordinal, {
        users: ordinals(usersOf(go)),
        groups: ordinals(groupsOf(go)),
      });
      await store.insertMembers(db, trx, [
        ...usersOf(come.keys()).map((u) => [row.ordinal, u.ordinal, 0]),
        ...groupsOf(come.keys()).map((g) => [row.ordinal, 0, g.ordinal]),
      ]);
      return come.size + go.size > 0;
    }
    return moveMembers(trx, row, directory, caller, {
      come: usersOf(come.keys()),
      go: usersOf(go),
      groupsCome: groupsOf(come.keys()),
      groupsGo: groupsOf(go),
    });
  }

  async function moveMembers(
    trx: Trx,
    row: GroupRow,
    directory: Directory,
    caller: Caller,
    who: {
      readonly come: readonly UserRow[];
      readonly go: readonly UserRow[];
      readonly groupsCome: readonly GroupRow[];
      readonly groupsGo: readonly GroupRow[];
    },
  ): Promise<boolean> {
    const department = currentDepartment(row, directory);
    const { ordinal, code } = department;
    const come = who.come.filter((u) => u.belongs_to !== ordinal);
    const go = who.go.filter((u) => u.belongs_to === ordinal);
    const away = (users: readonly UserRow[]): number[] => users.filter((u) => u.left_at !== null).map((u) => u.ordinal);
    const here = (users: readonly UserRow[]): string[] =>
      users.filter((u) => u.left_at === null).map((u) => u.employee_id);
    await breathe();
    // Who has left goes there on returning.
    if (away(come).length > 0) await store.setAway(trx, db.dialect, away(come), ordinal);
    if (away(go).length > 0) await store.setAway(trx, db.dialect, away(go), 0);
    const list: OrgChange[] = [];
    if (here(go).length > 0) list.push({ type: "move", employees: here(go), to: null });
    if (here(come).length > 0) list.push({ type: "move", employees: here(come), to: code });
    for (const below of who.groupsGo) {
      const child = directory.departments.get(below.department ?? 0);
      if (child?.parent === ordinal) list.push({ type: "move", department: child.code, to: null });
    }
    for (const below of who.groupsCome) {
      const child = currentDepartment(below, directory);
      if (child.parent !== ordinal) list.push({ type: "move", department: child.code, to: code });
    }
    await apply(trx, list, caller);
    return come.length + go.length + list.length > 0;
  }

  async function apply(trx: Trx, list: readonly OrgChange[], caller: Caller): Promise<void> {
    if (list.length === 0) return;
    try {
      await changes.apply(trx, list, { at: clock.now(), by: caller.by });
    } catch (error) {
      if (!isDaichoError(error, "org-change-invalid")) throw error;
      throw valueInvalid("members", error.message);
    }
  }

  function currentDepartment(row: GroupRow, directory: Directory): DepartmentRow {
    const department = directory.departments.get(row.department ?? 0);
    if (department?.dissolved_at === null) return department;
    throw scimErrors.make("scim-conflict", {
      reason: `The group ${row.name} stands for no department any more: it was dissolved, or groups were no departments when it was made`,
    });
  }

  /** Other groups may not be called the same: identity providers find groups by their names. */
  function free(directory: Directory, name: string, own: string | undefined): void {
    for (const other of directory.groups) {
      const called = (areDepartments && directory.departments.get(other.department ?? 0)?.name) || other.name;
      if (other.id !== own && called.toLowerCase() === name.toLowerCase())
        throw scimErrors.make("scim-exists", { what: "displayName", value: name, resource: "Group", id: other.id });
    }
  }

  /** The department a new group stands for: by code, else external id, else name; made where there is none. */
  async function departmentFor(
    trx: Trx,
    directory: Directory,
    said: { readonly name: string; readonly code: string | null; readonly externalId: string | null },
    caller: Caller,
  ): Promise<number> {
    const current = [...directory.departments.values()].filter((d) => d.dissolved_at === null);
    const withCode = (code: string | null): DepartmentRow | undefined => current.find((d) => d.code === code);
    const found =
      withCode(said.code) ??
      (said.code === null
        ? (withCode(said.externalId) ?? directory.departmentCalled(said.name, "displayName"))
        : undefined);
    if (found !== undefined) {
      const holder = directory.groupOfDepartment.get(found.ordinal);
      if (holder !== undefined)
        throw scimErrors.make("scim-exists", {
          what: "The department",
          value: found.code,
          resource: "Group",
          id: holder.id,
        });
      if (found.name !== said.name)
        await apply(trx, [{ type: "rename", department: found.code, name: said.name }], caller);
      return found.ordinal;
    }
    const external = said.externalId !== null && readsAsCode(said.externalId) ? said.externalId : null;
    const wished = said.code ?? external;
    const code =
      wished !== null && (said.code !== null || !directory.codeTaken(wished))
        ? wished
        : codeFor(said.name, directory.codeTaken);
    const written = await organization.writeDepartments(trx, [{ code, name: said.name, parent: null }], {
      mode: "create",
      at: clock.now(),
    });
    const fault = written.faults[0];
    if (fault?.code === "code-reserved") throw valueInvalid(`${urns.department}:code`, fault.message);
    if (fault !== undefined) throw errorOfRow(fault, "department", code);
    return (await store.departments(trx)).find((d) => d.code === code)?.ordinal ?? 0;
  }

  async function find(trx: Trx, id: string): Promise<{ row: GroupRow; directory: Directory }> {
    const directory = await readDirectory(trx);
    const row = directory.groupsById.get(id);
    if (row === undefined) throw scimErrors.make("scim-not-found", { what: "Group", id });
    return { row, directory };
  }

  async function one(trx: Trx, id: string, base: string): Promise<Resource> {
    const { row, directory } = await find(trx, id);
    return show(trx, row, directory, { base, members: false });
  }

  async function change(
    id: string,
    caller: Caller,
    make: (shown: Resource) => { readonly says: Resource; readonly members: readonly MemberChange[] },
  ): Promise<Resource> {
    const result = await db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      const { row, directory } = await find(trx, id);
      const shown = await show(trx, row, directory, { base: caller.base, members: false });
      checkVersion(id, shown, caller.ifMatch);
      const { says, members } = make(shown);
      const said = saidByGroup(says);
      free(directory, said.name, id);
      const department = row.department === null ? undefined : directory.departments.get(row.department);
      if (areDepartments && department?.dissolved_at === null) {
        const code = said.code ?? department.code;
        if (said.name !== department.name || code !== department.code)
          await apply(
            trx,
            [
              {
                type: "rename",
                department: department.code,
                name: said.name,
                ...(code !== department.code && { code }),
              },
            ],
            caller,
          );
      }
      const moved = await applyMembers(trx, row, members, caller);
      const kept = keptOf(says);
      if (
        moved ||
        JSON.stringify(kept) !== row.resource ||
        said.name !== row.name ||
        said.externalId !== row.external_id
      )
        await store.updateGroup(trx, row.ordinal, {
          external_id: said.externalId,
          name: said.name,
          resource: JSON.stringify(kept),
          changed_at: clock.now(),
        });
      return one(trx, id, caller.base);
    });
    deps.changed();
    return result;
  }

  return {
    show,
    async create(body, caller) {
      const { says, members } = await read(body, "add");
      const said = saidByGroup(says);
      const result = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const directory = await readDirectory(trx);
        free(directory, said.name, undefined);
        const department = areDepartments ? await departmentFor(trx, directory, said, caller) : null;
        const now = clock.now();
        const id = newId(now);
        await store.insertGroup(trx, {
          id,
          external_id: said.externalId,
          name: said.name,
          department,
          resource: JSON.stringify(keptOf(says)),
          created_at: now,
          changed_at: now,
        });
        const { row } = await find(trx, id);
        await applyMembers(trx, row, members, caller);
        return one(trx, id, caller.base);
      });
      deps.changed();
      return result;
    },

    async replace(id, body, caller) {
      const { says, members } = await read(body, "replace");
      // A PUT without members has none (RFC 7644 §3.5.1).
      const list = members.length > 0 ? members : [{ op: "remove", fitting: undefined, place: "" } as const];
      return change(id, caller, () => ({ says, members: list }));
    },

    async patch(id, operations, caller) {
      const parted = await memberChanges(groupType, membersAttribute, operations, maxMembers);
      return change(id, caller, (shown) => {
        const { id: own, meta, schemas, ...before } = shown;
        void [own, meta, schemas];
        return { says: applyPatch(groupType, before, parted.others), members: parted.changes };
      });
    },

    async remove(id, caller) {
      await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const { row, directory } = await find(trx, id);
        if (caller.ifMatch !== undefined) checkVersion(id, await one(trx, id, caller.base), caller.ifMatch);
        await store.forgetMember(trx, { group: row.ordinal });
        await store.deleteGroup(trx, row.ordinal);
        const department = directory.departments.get(row.department ?? 0);
        if (!areDepartments || department === undefined || department.dissolved_at !== null) return;
        const above = directory.departments.get(department.parent ?? 0);
        if (above?.dissolved_at === null)
          return apply(trx, [{ type: "dissolve", department: department.code }], caller);
        // With nothing above it to take over its rights and devices, the department stays; only its people leave it.
        const users = await usersIn(trx, row);
        for await (const slice of slicesOf(users, 1000)) {
          const rows = await store.usersByOrdinal(
            trx,
            db.dialect,
            slice.map((u) => u.ordinal),
          );
          const here = rows.filter((u) => u.left_at === null).map((u) => u.employee_id);
          const away = rows.filter((u) => u.left_at !== null).map((u) => u.ordinal);
          if (away.length > 0) await store.setAway(trx, db.dialect, away, 0);
          if (here.length > 0) await apply(trx, [{ type: "move", employees: here, to: null }], caller);
        }
      });
      deps.changed();
    },
  };
}

/** A whole group, its members apart. */
async function read(
  body: unknown,
  op: "add" | "replace",
): Promise<{ says: Resource; members: readonly MemberChange[] }> {
  if (!isObject(body)) throw scimErrors.make("scim-syntax-invalid", { reason: "a Group as a JSON object is expected" });
  const operation: Operation = { op, path: undefined, value: body, place: "" };
  const { changes, others } = await memberChanges(groupType, membersAttribute, [operation], maxMembers);
  return { says: applyPatch(groupType, {}, others), members: changes };
}

function saidByGroup(group: Resource): { name: string; code: string | null; externalId: string | null } {
  const extension = group[urns.department];
  const name = ledgerText(group["displayName"], limits.name, "displayName");
  if (name === null) throw valueInvalid("displayName", "must not be empty");
  return {
    name,
    code: isObject(extension) ? ledgerText(extension["code"], limits.code, `${urns.department}:code`) : null,
    externalId: ledgerText(group["externalId"], limits.text, "externalId"),
  };
}

/** What the ledger has no place for. */
function keptOf(says: Resource): Resource {
  const { displayName, members, [urns.department]: code, ...kept } = says;
  void [displayName, members, code];
  return kept;
}

/** `members[value eq "…"]`, the usual way to name one. */
function idNamed(filter: Filter | undefined): string | undefined {
  return filter?.op === "eq" &&
    "element" in filter.place &&
    filter.place.element.name === "value" &&
    typeof filter.value === "string"
    ? filter.value
    : undefined;
}
