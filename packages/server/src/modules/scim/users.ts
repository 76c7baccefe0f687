/**
 * Purpose: Users: employees as an identity provider sees them (domain.md §6). Creating hires or adopts, `active: false` and DELETE are leaving,
 * `active: true` is returning, a department is where the person goes.
 * Invariants: one transaction per request, under the ledger's lock, so two requests for one person come one after the other; what is in use on the
 * person's devices moves in it; an attribute the client never sent is left as the ledger has it; a User belongs to one employee and stays with it.
 */
import { newId, type Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { lockLedger } from "../../db/locks.ts";
import type { OrgChange, OrgChanges, Organization } from "../organization/index.ts";
import { errorOfRow } from "../../rows.ts";
import { limits } from "../../http/text.ts";
import { readDirectory, usersOfEmployees, type Directory } from "./directory.ts";
import { codeFor, correctedBy, saidBy, type LedgerWord, type Said } from "./mapping.ts";
import { schemasOf } from "./protocol/discovery.ts";
import { scimErrors, valueInvalid } from "./protocol/errors.ts";
import { isObject } from "./protocol/match.ts";
import { applyPatch, readResource, type Operation } from "./protocol/patch.ts";
import { urns, userType, type Resource } from "./protocol/schema.ts";
import { scimStore as store, type Reader, type UserRow } from "./store.ts";
import { checkVersion, etag, metaOf, type Caller } from "./versions.ts";

export interface Users {
  create(body: unknown, caller: Caller): Promise<Resource>;
  replace(id: string, body: unknown, caller: Caller): Promise<Resource>;
  patch(id: string, operations: readonly Operation[], caller: Caller): Promise<Resource>;
  remove(id: string, caller: Caller): Promise<void>;
  /** Inside a snapshot. */
  show(trx: Reader, rows: readonly UserRow[], directory: Directory, base: string): Promise<Resource[]>;
}

type Employee = Awaited<ReturnType<typeof store.employeesById>>[number];

const departmentPlace = `${urns.enterprise}:department`;

export function createUsers(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly organization: Organization;
  readonly changes: OrgChanges;
  readonly groups: "departments" | "ignore";
  readonly createDepartments: boolean;
  /** After the commit: people moved, came or left. */
  readonly changed: () => void;
}): Users {
  const { db, clock, organization, changes } = deps;

  async function show(trx: Reader, rows: readonly UserRow[], directory: Directory, base: string): Promise<Resource[]> {
    const managers = await usersOfEmployees(
      db,
      trx,
      rows.flatMap(({ manager }) => (manager === null ? [] : [manager])),
    );
    const named = await managersNamed(trx, rows);
    const memberships = new Map<number, number[]>();
    if (deps.groups === "ignore")
      for (const row of await store.membershipsOfUsers(
        trx,
        db.dialect,
        rows.map((r) => r.ordinal),
      ))
        memberships.set(row.member_user, [...(memberships.get(row.member_user) ?? []), row.of_group]);
    const byOrdinal = new Map(directory.groups.map((g) => [g.ordinal, g]));
    return rows.map((row) => {
      const user = corrected(row, directory, managers, named);
      const manager = row.manager === null ? undefined : managers.get(row.manager);
      const enterprise = user[urns.enterprise];
      if (manager !== undefined && isObject(enterprise) && isObject(enterprise["manager"]))
        Object.assign(enterprise["manager"], { $ref: `${base}/Users/${manager.id}`, displayName: manager.name });
      const ofDepartment = directory.groupOfDepartment.get(row.belongs_to);
      const groups =
        deps.groups === "departments"
          ? ofDepartment === undefined
            ? []
            : [ofDepartment]
          : (memberships.get(row.ordinal) ?? []).flatMap((ordinal) => byOrdinal.get(ordinal) ?? []);
      const shown: Resource = {
        schemas: schemasOf(userType, user),
        id: row.id,
        ...user,
        active: row.left_at === null,
        ...(groups.length > 0 && {
          groups: groups.map((g) => ({
            value: g.id,
            $ref: `${base}/Groups/${g.id}`,
            display: directory.departments.get(g.department ?? 0)?.name ?? g.name,
            type: "direct",
          })),
        }),
      };
      return { ...shown, meta: metaOf("User", `${base}/Users/${row.id}`, row, etag(shown)) };
    });
  }

  /** Employee ids of the managers that rows name by a user's id. */
  async function managersNamed(trx: Reader, rows: readonly UserRow[]): Promise<ReadonlyMap<string, string>> {
    const ids = new Set<string>();
    for (const row of rows) {
      const { manager } = saidBy(sentBy(row));
      if (manager !== null && row.manager !== null) for (const id of idsOf(manager)) ids.add(id);
    }
    if (ids.size === 0) return new Map();
    return new Map((await store.usersById(trx, db.dialect, [...ids])).map((u) => [u.id, u.employee_id]));
  }

  function corrected(
    row: UserRow,
    directory: Directory,
    managers: ReadonlyMap<string, UserRow>,
    named: ReadonlyMap<string, string>,
  ): Resource {
    const sent = sentBy(row);
    const said = saidBy(sent);
    // Who has left is shown as the identity provider last told it.
    if (row.left_at !== null) return sent;
    const manager = said.manager;
    const managerHolds =
      (manager === null && row.manager === null) ||
      (manager !== null &&
        (manager.value === row.manager || idsOf(manager).some((id) => named.get(id) === row.manager)));
    const word: LedgerWord = {
      name: row.name,
      mail: row.mail,
      title: row.title,
      department: departmentHolds(said, row.department, directory)
        ? undefined
        : row.department === null
          ? null
          : directory.nameOf(row.department),
      manager: managerHolds ? undefined : row.manager === null ? null : (managers.get(row.manager)?.id ?? row.manager),
    };
    return correctedBy(sent, word);
  }

  /** The employee id of whom a client names as manager: by SCIM id, address, employee id or userName; else the text as it is. */
  async function managerOf(trx: Trx, said: Said): Promise<string | null> {
    if (said.manager === null) return null;
    const { value } = said.manager;
    for (const id of idsOf(said.manager)) {
      const user = await store.user(trx, id);
      if (user !== undefined) return user.employee_id;
    }
    if (value === "") return null;
    const [employee] = await store.employeesById(trx, db.dialect, [value]);
    if (employee !== undefined) return employee.id;
    return (await store.userByKey(trx, value.toLowerCase()))?.employee_id ?? value;
  }

  /** Code of the department a client names, which is made where there is none. undefined: it says nothing about it; null: none. */
  async function departmentOf(
    trx: Trx,
    said: Said,
    before: Said | undefined,
    at: number,
  ): Promise<string | null | undefined> {
    if (said.department === null) return before !== undefined && before.department !== null ? null : undefined;
    const directory = await readDirectory(trx);
    const found = directory.departmentCalled(said.department, departmentPlace);
    if (found !== undefined) return found.code;
    if (!deps.createDepartments)
      throw valueInvalid(departmentPlace, `there is no department with the code or name ${said.department}`);
    const code = codeFor(said.department, directory.codeTaken);
    const row = { code, name: said.department, ...(said.costCentre !== null && { costCentre: said.costCentre }) };
    const written = await organization.writeDepartments(trx, [row], { mode: "create", at });
    if (written.faults[0] !== undefined) throw errorOfRow(written.faults[0], "department", code);
    return code;
  }

  /**
   * Makes the ledger say what the client says.
   * @param before what the client said until now; what it never spoke of stays
   */
  async function tell(
    trx: Trx,
    said: Said,
    before: Said | undefined,
    person: { readonly id: string; readonly employee: Employee | undefined; readonly user: UserRow | undefined },
    by: string,
  ): Promise<void> {
    const at = clock.now();
    const { employee, user, id } = person;
    const away = employee !== undefined && employee.left_at !== null;
    const department = await departmentOf(trx, said, before, at);
    const kept = <T>(value: T | null, former: T | null | undefined): T | null | undefined =>
      value ?? (former === null || former === undefined ? undefined : null);
    const fields = {
      name: said.name,
      mail: kept(said.mail, before?.mail),
      title: kept(said.title, before?.title),
      manager: kept(await managerOf(trx, said), before?.manager?.value),
    };
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    if (employee !== undefined && away && !said.active) {
      if (user !== undefined && department !== undefined)
        await store.setAway(trx, db.dialect, [user.ordinal], await ordinalOf(trx, department));
      return;
    }
    // Where somebody was put while away is over with the return.
    if (user !== undefined && user.away_department !== null) await store.setAway(trx, db.dialect, [user.ordinal], null);
    const list: OrgChange[] = [];
    if (employee === undefined || away) {
      const back =
        department === undefined && employee !== undefined ? await formerDepartment(trx, employee, user) : department;
      list.push({ type: "hire", employee: { id, ...given, ...(back !== undefined && { department: back }) } });
    } else {
      const written = await organization.writeEmployees(trx, [{ id, ...given }], { mode: "change", at });
      if (written.faults[0] !== undefined) throw errorOfRow(written.faults[0], "employee", id);
      if (department !== undefined && (await ordinalOf(trx, department)) !== (employee.department ?? 0))
        list.push({ type: "move", employee: id, to: department });
    }
    if (!said.active) list.push({ type: "leave", employee: id });
    if (list.length > 0) await changes.apply(trx, list, { at, by });
  }

  async function ordinalOf(trx: Trx, code: string | null): Promise<number> {
    if (code === null) return 0;
    return (await store.departments(trx)).find((d) => d.code === code)?.ordinal ?? 0;
  }

  /** Where someone who returns belongs; undefined leaves it to the ledger. */
  async function formerDepartment(
    trx: Trx,
    employee: Employee,
    user: UserRow | undefined,
  ): Promise<string | null | undefined> {
    const ordinal = user?.away_department ?? employee.department ?? 0;
    const found = (await store.departments(trx)).find((d) => d.ordinal === ordinal);
    return found?.dissolved_at === null ? found.code : null;
  }

  async function one(trx: Trx, id: string, base: string): Promise<Resource> {
    const row = await store.user(trx, id);
    if (row === undefined) throw notFound(id);
    const [shown] = await show(trx, [row], await readDirectory(trx), base);
    return shown as Resource;
  }

  async function free(trx: Trx, said: Said, own: string | undefined): Promise<void> {
    const holder = await store.userByKey(trx, keyOf(said.userName));
    if (holder !== undefined && holder.id !== own)
      throw scimErrors.make("scim-exists", {
        what: "userName",
        value: said.userName,
        resource: "User",
        id: holder.id,
      });
  }

  /** The employee a new User stands for: one whose id it gives, else the one with its mail address. */
  async function existing(trx: Trx, said: Said): Promise<Employee | undefined> {
    const ids = candidateIds(said);
    const found = new Map((await store.employeesById(trx, db.dialect, ids)).map((e) => [e.id, e]));
    let employee = ids.map((id) => found.get(id)).find((e) => e !== undefined);
    if (employee === undefined && said.mail !== null) {
      const withMail = await store.employeesByMail(trx, said.mail);
      employee = withMail.length === 1 ? withMail[0] : undefined;
    }
    if (employee === undefined) return undefined;
    const holder = await store.userOfEmployee(trx, employee.ordinal);
    if (holder !== undefined)
      throw scimErrors.make("scim-exists", {
        what: "The employee",
        value: employee.id,
        resource: "User",
        id: holder.id,
      });
    return employee;
  }

  /** Changes a User: `make` says what is to be kept as sent, and what is said by it. */
  async function change(
    id: string,
    caller: Caller,
    make: (
      sent: Resource,
      shown: Resource,
    ) => { readonly sent: Resource; readonly says: Resource; readonly before: Resource },
  ): Promise<Resource> {
    const result = await db.transaction(async (trx) => {
      await lockLedger(trx, db.dialect);
      const row = await store.user(trx, id);
      if (row === undefined) throw notFound(id);
      const shown = await one(trx, id, caller.base);
      checkVersion(id, shown, caller.ifMatch);
      const { sent, says, before } = make(sentBy(row), shown);
      const said = saidBy(says);
      saidBy(sent);
      await free(trx, said, id);
      const [employee] = await store.employeesById(trx, db.dialect, [row.employee_id]);
      await store.updateUser(trx, row.ordinal, {
        user_name: said.userName,
        user_key: keyOf(said.userName),
        external_id: said.externalId,
        resource: JSON.stringify(sent),
        changed_at: clock.now(),
      });
      await tell(trx, said, saidBy(before), { id: row.employee_id, employee, user: row }, caller.by);
      return one(trx, id, caller.base);
    });
    deps.changed();
    return result;
  }

  return {
    show,
    async create(body, caller) {
      const sent = readResource(userType, body);
      const said = saidBy(sent);
      const result = await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        await free(trx, said, undefined);
        const found = await existing(trx, said);
        const employeeId = found?.id ?? candidateIds(said).find((id) => id.length <= limits.id);
        if (employeeId === undefined)
          throw valueInvalid("userName", `cannot become an employee's id: longer than ${limits.id} characters`);
        await tell(trx, said, undefined, { id: employeeId, employee: found, user: undefined }, caller.by);
        const [employee] = await store.employeesById(trx, db.dialect, [employeeId]);
        const id = newId(clock.now());
        const now = clock.now();
        await store.insertUser(trx, {
          id,
          user_name: said.userName,
          user_key: keyOf(said.userName),
          external_id: said.externalId,
          employee: employee?.ordinal ?? 0,
          away_department: null,
          resource: JSON.stringify(sent),
          created_at: now,
          changed_at: now,
        });
        return one(trx, id, caller.base);
      });
      deps.changed();
      return result;
    },

    async replace(id, body, caller) {
      const sent = readResource(userType, body);
      return change(id, caller, (before, shown) => ({
        // One that does not speak of `active` brings nobody back.
        sent,
        before,
        says: "active" in sent ? sent : { ...sent, active: shown["active"] },
      }));
    },

    patch: (id, operations, caller) =>
      change(id, caller, (sent, shown) => {
        const before = writable(shown);
        return { sent: applyPatch(userType, sent, operations), says: applyPatch(userType, before, operations), before };
      }),

    async remove(id, caller) {
      await db.transaction(async (trx) => {
        await lockLedger(trx, db.dialect);
        const row = await store.user(trx, id);
        if (row === undefined) throw notFound(id);
        if (caller.ifMatch !== undefined) checkVersion(id, await one(trx, id, caller.base), caller.ifMatch);
        await store.forgetMember(trx, { user: row.ordinal });
        await store.deleteUser(trx, row.ordinal);
        if (row.left_at === null)
          await changes.apply(trx, [{ type: "leave", employee: row.employee_id }], { at: clock.now(), by: caller.by });
      });
      deps.changed();
    },
  };
}

function sentBy(row: { readonly resource: string }): Resource {
  return JSON.parse(row.resource) as Resource;
}

/** Without what the server adds. */
function writable(shown: Resource): Resource {
  const { id, meta, schemas, groups, ...rest } = shown;
  void [id, meta, schemas, groups];
  const enterprise = rest[urns.enterprise];
  if (isObject(enterprise) && isObject(enterprise["manager"])) {
    const { displayName, ...manager } = enterprise["manager"];
    void displayName;
    return { ...rest, [urns.enterprise]: { ...enterprise, manager } };
  }
  return rest;
}

function departmentHolds(said: Said, department: number | null, directory: Directory): boolean {
  if (said.department === null) return department === null;
  try {
    return directory.departmentCalled(said.department, departmentPlace)?.ordinal === department;
  } catch {
    // Since it was sent, another department has been given the same name.
    return directory.departments.get(department ?? 0)?.name === said.department;
  }
}

/** SCIM ids a manager may be named by: the value, or the end of an address. */
function idsOf(manager: NonNullable<Said["manager"]>): string[] {
  const fromRef = manager.ref?.split("/").pop();
  return [manager.value, ...(fromRef === undefined ? [] : [fromRef])].filter((id) => /^[0-9a-z]{26}$/.test(id));
}

function keyOf(userName: string): string {
  return userName.toLowerCase();
}

/** What may be the employee's id, best first. */
function candidateIds(said: Said): string[] {
  return [said.employeeNumber, said.externalId, said.userName].filter((id) => id !== null);
}

function notFound(id: string) {
  return scimErrors.make("scim-not-found", { what: "User", id });
}
