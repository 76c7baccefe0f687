/**
 * Purpose: what a question about differences looks at: the cubes of both moments, who belongs to it and which licences are shown, at each moment
 * between - a department may be moved into the subtree, a licence left out of the selection.
 */
import { always, both, childrenOf, stepsOf, subtree, unassigned, valueAt, type Step } from "@daicho/licensing";
import type { Trx } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { breathe } from "../../../slices.ts";
import type { Cube } from "./cube.ts";
import type { Past } from "./past.ts";
import { pastStore } from "./past-store.ts";
import { positionStore } from "./store.ts";

export interface ChangeQuery {
  /** Milliseconds; what changed at `from` is no longer told, what changed at `to` is. */
  readonly from: number;
  readonly to: number;
  readonly license?: string | undefined;
  /** Code; absent = the company. */
  readonly department?: string | undefined;
  /** The whole subtree of `department`, as it was at each moment. */
  readonly rollup?: boolean | undefined;
  /** One item per department and licence. */
  readonly byDepartment?: boolean | undefined;
}

/** What is looked at: who belongs to it and which licences are shown, at each moment between. */
export interface View {
  readonly query: ChangeQuery;
  readonly first: Cube;
  readonly last: Cube;
  readonly departments: readonly number[];
  /** By licence, whether it is counted by user; absent where it never is. */
  readonly byUser: ReadonlyMap<number, readonly Step<boolean>[]>;
  wanted(license: number): boolean;
  shown(place: { readonly department?: number; readonly license: number }): readonly Step<boolean>[];
}

export async function viewOf(trx: Trx, past: Past, query: ChangeQuery): Promise<View> {
  const { from, to } = query;
  const first = await past.within(trx, from);
  const last = await past.within(trx, to);
  const history = grouped(await pastStore.licenseHistory(trx, from), (row) => row.license);
  const byUser = new Map<number, readonly Step<boolean>[]>();
  const managed = new Map<number, readonly Step<boolean>[]>();
  let wanted: number | undefined;
  for (const row of await positionStore.licenses(trx)) {
    if (row.code === query.license) wanted = row.ordinal;
    const former = history.get(row.ordinal) ?? [];
    const users = stepsOf(
      former.map((h) => ({ value: h.metric === "user", until: h.until })),
      row.metric === "user",
    );
    if (users.some((step) => step.value)) byUser.set(row.ordinal, users);
    managed.set(
      row.ordinal,
      stepsOf(
        former.map((h) => ({ value: h.managed === 1, until: h.until, cause: "policy" as const })),
        row.managed === 1,
      ),
    );
  }
  const rows = await pastStore.departments(trx);
  const members = await membersOf(trx, query, first, last, rows);
  const combined = new Map<number, Map<number, readonly Step<boolean>[]>>();
  const scoped = query.department !== undefined || query.byDepartment === true;
  return {
    query,
    first,
    last,
    departments: [0, ...rows.map((row) => row.ordinal)],
    byUser,
    wanted: (license) => query.license === undefined || license === wanted,
    shown({ department, license }) {
      const ofLicense = managed.get(license) ?? always;
      if (department === undefined) return scoped ? never : ofLicense;
      const member = members === undefined ? always : (members.get(department) ?? never);
      if (member === always) return ofLicense;
      if (member === never) return never;
      let byLicense = combined.get(department);
      if (byLicense === undefined) combined.set(department, (byLicense = new Map<number, readonly Step<boolean>[]>()));
      let steps = byLicense.get(license);
      if (steps === undefined) byLicense.set(license, (steps = both(member, ofLicense)));
      return steps;
    },
  };
}

const never: readonly Step<boolean>[] = [{ at: -Infinity, value: false, cause: "unknown" }];

/** When each department belonged to what is looked at; undefined = all always do. */
async function membersOf(
  trx: Trx,
  query: ChangeQuery,
  first: Cube,
  last: Cube,
  rows: Awaited<ReturnType<typeof pastStore.departments>>,
): Promise<ReadonlyMap<number, readonly Step<boolean>[]> | undefined> {
  const { department, from, to } = query;
  if (department === undefined) return undefined;
  const root = department === unassigned ? 0 : (last.ordinalOf.get(department) ?? first.ordinalOf.get(department));
  if (root === undefined) throw serverErrors.make("not-found", { what: "department", id: department });
  if (query.rollup !== true || root === 0) return new Map([[root, always]]);
  const history = grouped(await pastStore.departmentHistory(trx, from), (row) => row.department);
  const parents = new Map(
    rows.map((row) => [
      row.ordinal,
      stepsOf(
        (history.get(row.ordinal) ?? []).map((h) => ({ value: h.parent, until: h.until })),
        row.parent,
      ),
    ]),
  );
  const times = new Set([...parents.values()].flat().flatMap(({ at }) => (at > from && at <= to ? [at] : [])));
  const members = new Map<number, Step<boolean>[]>();
  const follow = (at: number, of: ReadonlySet<number>): void => {
    for (const ordinal of parents.keys()) {
      const steps = members.get(ordinal);
      const value = of.has(ordinal);
      if (steps === undefined) members.set(ordinal, [{ at: -Infinity, value, cause: "reorganized" }]);
      else if (steps[steps.length - 1]?.value !== value) steps.push({ at, value, cause: "reorganized" });
    }
  };
  for (const at of [from, ...[...times].sort((a, b) => a - b)]) {
    const tree = new Map([...parents].map(([ordinal, steps]) => [ordinal, valueAt(steps, at)]));
    follow(at, new Set(subtree(childrenOf(tree), root)));
    await breathe();
  }
  const lasting = (value: boolean | undefined) => (value === true ? always : never);
  return new Map([...members].map(([o, steps]) => [o, steps.length === 1 ? lasting(steps[0]?.value) : steps]));
}

export function codeOf({ first, last }: View, department: number): string {
  if (department === 0) return unassigned;
  return (last.departments.get(department) ?? first.departments.get(department))?.code ?? `#${department}`;
}

export function grouped<R, K>(rows: readonly R[], keyOf: (row: R) => K): Map<K, R[]> {
  const groups = new Map<K, R[]>();
  for (const row of rows) {
    const list = groups.get(keyOf(row));
    if (list === undefined) groups.set(keyOf(row), [row]);
    else list.push(row);
  }
  return groups;
}
