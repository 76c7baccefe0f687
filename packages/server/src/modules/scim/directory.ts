/**
 * Purpose: what a User or Group is shown with: departments, groups and managers, read once per request; and the finding of a department by what a
 * client calls it.
 */
import { unassigned } from "@daicho/licensing";
import type { Database } from "../../db/database.ts";
import { slicesOf } from "../../slices.ts";
import { valueInvalid } from "./protocol/errors.ts";
import { scimStore as store, type DepartmentRow, type GroupRow, type Reader, type UserRow } from "./store.ts";

export interface Directory {
  readonly departments: ReadonlyMap<number, DepartmentRow>;
  readonly groups: readonly GroupRow[];
  readonly groupsById: ReadonlyMap<string, GroupRow>;
  readonly groupOfDepartment: ReadonlyMap<number, GroupRow>;
  /** By code, else by name. @throws scim-value-invalid where several have the name */
  departmentCalled(text: string, place: string): DepartmentRow | undefined;
  /** What a department is called, so that `departmentCalled` finds it again. */
  nameOf(ordinal: number): string | null;
  /** Also of one that was dissolved, and `unassigned`. */
  codeTaken(code: string): boolean;
}

export async function readDirectory(db: Reader): Promise<Directory> {
  const departments = await store.departments(db);
  const groups = await store.groups(db);
  const all = new Map(departments.map((d) => [d.ordinal, d]));
  const byCode = new Map(departments.map((d) => [d.code, d]));
  const current = departments.filter((d) => d.dissolved_at === null);
  const byName = new Map<string, DepartmentRow[]>();
  for (const d of current) byName.set(folded(d.name), [...(byName.get(folded(d.name)) ?? []), d]);
  return {
    departments: all,
    groups,
    groupsById: new Map(groups.map((g) => [g.id, g])),
    groupOfDepartment: new Map(groups.flatMap((g) => (g.department === null ? [] : [[g.department, g] as const]))),
    departmentCalled(text, place) {
      const named = byCode.get(text);
      if (named?.dissolved_at === null) return named;
      const found = byName.get(folded(text)) ?? [];
      const exact = found.filter((d) => d.name === text);
      const candidates = exact.length > 0 ? exact : found;
      if (candidates.length > 1)
        throw valueInvalid(
          place,
          `several departments are called ${text} (${candidates
            .slice(0, 5)
            .map((d) => d.code)
            .join(", ")}); send the code`,
        );
      return candidates[0];
    },
    nameOf(ordinal) {
      const department = all.get(ordinal);
      if (department === undefined) return null;
      const alone = byName.get(folded(department.name))?.length === 1 && !byCode.has(department.name);
      return alone || department.name === department.code ? department.name : department.code;
    },
    codeTaken: (code) => byCode.has(code) || code.toLowerCase() === unassigned,
  };
}

function folded(name: string): string {
  return name.normalize("NFKC").trim().toLowerCase();
}

/** The SCIM users of these people, by employee id. */
export async function usersOfEmployees(
  db: Database,
  trx: Reader,
  employees: Iterable<string>,
): Promise<ReadonlyMap<string, UserRow>> {
  const found = new Map<string, UserRow>();
  for await (const slice of slicesOf([...new Set(employees)], 1000))
    for (const row of await store.usersByEmployeeId(trx, db.dialect, slice)) found.set(row.employee_id, row);
  return found;
}
