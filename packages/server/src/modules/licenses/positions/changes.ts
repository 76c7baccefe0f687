/**
 * Purpose: what changed between two moments and why, per licence, for the company, a department or each department; and the single events behind it.
 * Invariants: everything is read in one snapshot; the causes add up to the difference of the two positions, which are made in another way (past.ts),
 * so a hole in the history cannot hide: it shows as `unexplained`. Memory: one slice of devices, what of licences counted by user changed hands, and
 * one page of events.
 */
import {
  always,
  both,
  childrenOf,
  createDifferences,
  createUseReplay,
  causeOf,
  differenceCause,
  heldAt,
  heldChanges,
  measures,
  stepsOf,
  subtree,
  unassigned,
  valueAt,
  type Amounts,
  type CauseSum,
  type Counts,
  type DifferenceCause,
  type Differences,
  type EntitlementVersion,
  type Measure,
  type Step,
  type UseInterval,
  type UsePlace,
} from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { serverErrors } from "../../../errors.ts";
import { breathe, eachPolitely, slicesOf } from "../../../slices.ts";
import { unpackLicenses } from "../repository/index.ts";
import { withCoverage } from "./covered.ts";
import { eachCounts, type Cube, type CubeLicense } from "./cube.ts";
import { createEventPage, type EventKey } from "./event-page.ts";
import { sliceOfDevices, type Past } from "./past.ts";
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

export interface ChangeItem {
  readonly license: string;
  readonly name: string;
  readonly metric: Metric;
  /** Where departments were asked for. */
  readonly department?: string;
  /** `held` is the company's: 0 where a department was asked for. */
  readonly from: Amounts;
  readonly to: Amounts;
  readonly causes: readonly CauseSum[];
  readonly unexplained: Amounts;
}

export interface ChangeEvent {
  readonly at: number;
  readonly cause: DifferenceCause;
  readonly measure: Measure;
  readonly license: string;
  readonly department?: string;
  /** What it did to the number. */
  readonly by: number;
  readonly device?: string;
  readonly entitlement?: string;
  readonly before?: EventPlace;
  readonly after?: EventPlace;
}
export interface EventPlace {
  readonly department: string;
  readonly employee?: string;
  readonly count: number;
}

export interface Changes {
  /** Rows in which something changed, or all of `license`; by codes of department and licence. @throws not-found */
  between(query: ChangeQuery): Promise<readonly ChangeItem[]>;
  /** The single changes, by time. Steps of the tree and of the selection have none: they move what was counted long before. */
  events(
    query: ChangeQuery & { readonly after?: EventKey | undefined; readonly limit: number },
  ): Promise<{ readonly items: readonly ChangeEvent[]; readonly next?: EventKey }>;
}

export function createChanges(deps: { readonly db: Database; readonly past: Past }): Changes {
  const { db, past } = deps;
  return {
    between: (query) =>
      db.snapshot(async (trx) => {
        const view = await viewOf(trx, past, query);
        const differences = createDifferences<number>(query.from, query.to);
        await putEnds(view, differences);
        await putCovered(view, differences);
        await walk(db, trx, view, (event) =>
          differences.change(
            view.rowOf(event.department, event.license),
            view.shown(event),
            event.measure,
            event.at,
            event.by,
            event.cause,
          ),
        );
        return itemsOf(view, differences);
      }),

    events: (query) =>
      db.snapshot(async (trx) => {
        const view = await viewOf(trx, past, query);
        const page = createEventPage<WalkedEvent>(query.limit, query.after, (e) => [
          e.at,
          measures.indexOf(e.measure),
          e.license,
          e.department ?? -1,
          e.source,
        ]);
        await walk(db, trx, view, (event) => {
          if (valueAt(view.shown(event), event.at)) page.put(event);
        });
        const { items, next } = page.taken();
        return { items: await named(db, trx, view, items), ...(next !== undefined && { next }) };
      }),
  };
}

interface WalkedEvent {
  readonly at: number;
  readonly measure: Measure;
  /** Ordinals; without a department it is the company's. */
  readonly license: number;
  readonly department?: number;
  readonly by: number;
  readonly cause: DifferenceCause;
  /** What tells it from others of the moment: ordinal of the device, id of the entitlement, number of the history row. */
  readonly source: number | string;
  readonly before?: UsePlace | undefined;
  readonly after?: UsePlace | undefined;
}

/** What is looked at: who belongs to it and which licences are shown, at each moment between. */
interface View {
  readonly query: ChangeQuery;
  readonly first: Cube;
  readonly last: Cube;
  readonly departments: readonly number[];
  /** By licence, whether it is counted by user; absent where it never is. */
  readonly byUser: ReadonlyMap<number, readonly Step<boolean>[]>;
  wanted(license: number): boolean;
  shown(place: { readonly department?: number; readonly license: number }): readonly Step<boolean>[];
  /** Both ordinals in one number: this is asked millions of times. */
  rowOf(department: number | undefined, license: number): number;
}

async function viewOf(trx: Trx, past: Past, query: ChangeQuery): Promise<View> {
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
  const combined = new Map<string, readonly Step<boolean>[]>();
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
      const key = `${department}:${license}`;
      let steps = combined.get(key);
      if (steps === undefined) combined.set(key, (steps = both(member, ofLicense)));
      return steps;
    },
    rowOf: (department, license) => (query.byDepartment === true ? (department ?? 0) : 0) * licenseSpan + license,
  };
}

/** More than there are licences. */
const licenseSpan = 2 ** 24;

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
  return new Map(
    [...members].map(([o, steps]) => [o, steps.length === 1 && steps[0]?.value === true ? always : steps]),
  );
}

/** What counted at both moments, from the positions of them. */
async function putEnds(view: View, differences: Differences<number>): Promise<void> {
  for (const [end, cube, at] of [
    ["start", view.first, view.query.from],
    ["end", view.last, view.query.to],
  ] as const) {
    const ordinal = (place: number): number => (cube.licenses[place] as CubeLicense).ordinal;
    await eachPolitely(cube.rows, ([department, rows]) =>
      eachCounts(rows, (place, counts) => {
        const license = ordinal(place);
        if (!view.wanted(license)) return;
        const row = view.rowOf(department, license);
        const shown = view.shown({ department, license });
        for (const measure of ["used", "rights", "requested", "required"] as const)
          if (counts[measure] !== 0) differences[end](row, shown, measure, counts[measure]);
      }),
    );
    for (const [place, entitlements] of cube.entitlements) {
      const license = ordinal(place);
      if (!view.wanted(license)) continue;
      differences[end](view.rowOf(undefined, license), view.shown({ license }), "held", heldAt(entitlements, at).held);
    }
  }
}

/** What attached rights make of the installations at both moments: positions show it, and it has no moment of its own. */
async function putCovered(view: View, differences: Differences<number>): Promise<void> {
  const { from, to } = view.query;
  const cells = new Map<string, { row: number; before: number; after: number }>();
  for (const [end, at, measured] of [
    ["start", from, view.first],
    ["end", to, view.last],
  ] as const) {
    const cube = await withCoverage(measured, at);
    for (const [department, byPlace] of cube.covered?.differences ?? [])
      await eachPolitely(byPlace, ([place, by]) => {
        const license = (cube.licenses[place] as CubeLicense).ordinal;
        if (!view.wanted(license) || !valueAt(view.shown({ department, license }), at)) return;
        const row = view.rowOf(department, license);
        const cell = cells.get(`${department}:${license}`) ?? { row, before: 0, after: 0 };
        cell[end === "start" ? "before" : "after"] = by;
        cells.set(`${department}:${license}`, cell);
        differences[end](row, always, "used", by);
      });
  }
  for (const { row, before, after } of cells.values())
    differences.apart(row, "used", after - before, "rights-attached");
}

/** Everything that changed in between, in no order. */
async function walk(db: Database, trx: Trx, view: View, tell: (event: WalkedEvent) => void): Promise<void> {
  const { from, to, department } = view.query;
  await walkUse(trx, view, tell);
  await walkRights(db, trx, view, tell);
  if (department === undefined && view.query.byDepartment !== true)
    for (const [id, versions] of await entitlementVersions(trx, view))
      for (const { by, cause, ...change } of heldChanges(versions, from, to))
        if (view.wanted(change.license))
          tell({ ...change, measure: "held", by, cause: differenceCause(cause, by), source: id });
}

async function walkUse(trx: Trx, view: View, tell: (event: WalkedEvent) => void): Promise<void> {
  const { from, to } = view.query;
  const replay = createUseReplay({
    from,
    to,
    byUser: view.byUser,
    wanted: (license) => view.wanted(license),
    emit({ at, license, effects, cause, device, before, after }) {
      for (const { department, by } of effects)
        tell({ at, measure: "used", license, department, by, cause: differenceCause(cause, by), source: device, before, after }); // prettier-ignore
    },
  });
  const last = await pastStore.lastDevice(trx);
  for (let after = 0; after < last; after += sliceOfDevices) {
    const upTo = after + sliceOfDevices;
    const closed = await pastStore.closed(trx, after, upTo, to, from);
    const open = await pastStore.open(trx, after, upTo, to);
    const devices = grouped<(typeof closed)[number] | (typeof open)[number], number>(
      [...closed, ...open],
      (row) => row.device,
    );
    // Unpacked one device at a time: all of a slice would live long enough to be moved about in memory.
    await eachPolitely(devices, ([device, rows]) => replay.device(device, rows.map(intervalOf)));
    await breathe();
  }
  await eachPolitely(replay.finish(), () => undefined);
}

type Row = Awaited<ReturnType<typeof pastStore.open>>[number];

function intervalOf(row: Row & { readonly until?: number; readonly closed?: number }): UseInterval {
  return {
    since: row.since,
    until: row.until ?? Infinity,
    employee: row.employee,
    department: row.department,
    licenses: unpackLicenses(row.licenses),
    cause: causeOf(row.cause),
    closed: causeOf(row.closed ?? 0),
  };
}

async function walkRights(db: Database, trx: Trx, view: View, tell: (event: WalkedEvent) => void): Promise<void> {
  const { from, to } = view.query;
  for await (const slice of slicesOf(view.departments, 16)) {
    const rows = await pastStore.rightsBetween(trx, db.dialect, slice, from, to);
    const history = grouped(rows, (row) => `${row.department}:${row.license}`);
    if (history.size === 0) continue;
    const after = new Map<string, Counts>();
    for (const department of slice) {
      const counts = view.last.rows.get(department);
      if (counts !== undefined)
        eachCounts(counts, (place, each) =>
          after.set(`${department}:${(view.last.licenses[place] as CubeLicense).ordinal}`, each),
        );
    }
    for (const [key, former] of history)
      for (const [i, row] of former.entries()) {
        const { department, license, until: at } = row;
        if (!view.wanted(license)) continue;
        const next = former[i + 1] ?? after.get(key);
        for (const measure of ["rights", "requested", "required"] as const) {
          const by = (next?.[measure] ?? 0) - row[measure];
          if (by === 0) continue;
          const cause = differenceCause(causeOf(row.cause), by);
          tell({ at, measure, license, department, by, cause, source: row.id });
        }
      }
  }
}

async function entitlementVersions(trx: Trx, view: View): Promise<ReadonlyMap<string, EntitlementVersion[]>> {
  const { from, to } = view.query;
  const versions = new Map<string, EntitlementVersion[]>();
  for (let after = ""; ; await breathe()) {
    const page = await pastStore.entitlementsBetween(trx, from, to, after, 2000);
    for (const row of page) {
      const id = row.id.split("/")[0] ?? row.id;
      const version: EntitlementVersion = {
        license: row.license,
        metric: row.metric as Metric,
        quantity: row.quantity * row.pack_size,
        startsAt: row.starts_at,
        expiresAt: row.expires_at,
        recordedAt: row.created_at,
        replacedAt: row.replaced_at ?? Infinity,
      };
      const list = versions.get(id);
      if (list === undefined) versions.set(id, [version]);
      else list.push(version);
    }
    const end = page[page.length - 1];
    if (page.length < 2000 || end === undefined) return versions;
    after = end.id;
  }
}

async function itemsOf(view: View, differences: Differences<number>): Promise<readonly ChangeItem[]> {
  const { query } = view;
  const licenses = new Map([...view.first.licenses, ...view.last.licenses].map((l) => [l.ordinal, l]));
  const items: ChangeItem[] = [];
  await eachPolitely(differences.rows(), ([key, difference]) => {
    const license = key % licenseSpan;
    const { code, name, metric } = licenses.get(license) as CubeLicense;
    const unchanged = difference.causes.length === 0 && measures.every((m) => difference.from[m] === difference.to[m]);
    if (unchanged && query.license === undefined) return;
    const of = query.byDepartment === true ? codeOf(view, (key - license) / licenseSpan) : query.department;
    items.push({ license: code, name, metric, ...(of !== undefined && { department: of }), ...difference });
  });
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return items.sort((a, b) => order(a.department ?? "", b.department ?? "") || order(a.license, b.license));
}

function codeOf({ first, last }: View, department: number): string {
  if (department === 0) return unassigned;
  return (last.departments.get(department) ?? first.departments.get(department))?.code ?? `#${department}`;
}

async function named(db: Database, trx: Trx, view: View, events: readonly WalkedEvent[]): Promise<ChangeEvent[]> {
  const licenses = new Map([...view.first.licenses, ...view.last.licenses].map((l) => [l.ordinal, l.code]));
  const devices = new Map<number, string>();
  const employees = new Map<number, string>();
  for await (const slice of slicesOf(events, 500)) {
    const seen = slice.filter((e) => e.measure === "used").map((e) => e.source as number);
    for (const row of await pastStore.deviceIds(trx, db.dialect, [...new Set(seen)])) devices.set(row.ordinal, row.id);
    const people = slice.flatMap((e) => [e.before?.employee, e.after?.employee]).filter((e) => typeof e === "number");
    for (const row of await pastStore.employeeIds(trx, db.dialect, [...new Set(people)]))
      employees.set(row.ordinal, row.id);
  }
  const place = ({ department, employee, count }: UsePlace): EventPlace => ({
    department: codeOf(view, department),
    ...(employee !== null && employees.has(employee) && { employee: employees.get(employee) as string }),
    count,
  });
  return events.map(({ at, cause, measure, license, department, by, source, before, after }) => ({
    ...{ at, cause, measure, by, license: licenses.get(license) ?? `#${license}` },
    ...(department !== undefined && { department: codeOf(view, department) }),
    ...(measure === "used" && { device: devices.get(source as number) ?? `#${source}` }),
    ...(measure === "held" && { entitlement: String(source) }),
    ...(before !== undefined && { before: place(before) }),
    ...(after !== undefined && { after: place(after) }),
  }));
}

function grouped<R, K>(rows: readonly R[], keyOf: (row: R) => K): Map<K, R[]> {
  const groups = new Map<K, R[]>();
  for (const row of rows) {
    const list = groups.get(keyOf(row));
    if (list === undefined) groups.set(keyOf(row), [row]);
    else list.push(row);
  }
  return groups;
}
