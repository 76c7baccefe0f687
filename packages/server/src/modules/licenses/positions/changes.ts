/**
 * Purpose: what changed between two moments and why, per licence, for the company, a department or each department; and the single events behind it.
 * Invariants: everything is read in one snapshot; the causes add up to the difference of the two positions, which are made in another way (past.ts),
 * so a hole in the history cannot hide: it shows as `unexplained`. Memory: what the walk keeps (change-walk.ts), the rows of the answer, and one page of
 * events.
 */
import {
  always,
  createDifferences,
  heldAt,
  measures,
  valueAt,
  type Amounts,
  type CauseSum,
  type DifferenceCause,
  type Differences,
  type Measure,
  type UsePlace,
} from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { createFirstOnes, type ItemKey } from "../../../http/first-ones.ts";
import { eachPolitely, inSteps, mapPolitely, slicesOf } from "../../../slices.ts";
import { codeOf, viewOf, type ChangeQuery, type View } from "./change-view.ts";
import { walk, type WalkedEvent } from "./change-walk.ts";
import { withCoverage } from "./covered.ts";
import { eachCounts, type CubeLicense } from "./cube.ts";
import type { Past } from "./past.ts";
import { pastStore } from "./past-store.ts";

export type { ChangeQuery } from "./change-view.ts";

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
  between(query: ChangeQuery): Promise<Iterable<ChangeItem>>;
  /** The single changes, by time. Steps of the tree and of the selection have none: they move what was counted long before. */
  events(
    query: ChangeQuery & { readonly after?: ItemKey | undefined; readonly limit: number },
  ): Promise<{ readonly items: readonly ChangeEvent[]; readonly next?: ItemKey }>;
}

export function createChanges(deps: { readonly db: Database; readonly past: Past }): Changes {
  const { db, past } = deps;
  return {
    between: (query) =>
      db.snapshot(async (trx) => {
        const view = await viewOf(trx, past, query);
        const differences = createDifferences(query.from, query.to);
        await putEnds(view, differences);
        await putCovered(view, differences);
        await walk(db, trx, view, (event) =>
          differences.change(rowOf(view, event.department), event.license, view.shown(event), event),
        );
        return itemsOf(view, differences);
      }),

    events: (query) =>
      db.snapshot(async (trx) => {
        const view = await viewOf(trx, past, query);
        const page = createFirstOnes<WalkedEvent>(query.limit, query.after, (e) => [
          e.at,
          measures.indexOf(e.measure),
          e.license,
          e.department ?? -1,
          e.source,
        ]);
        await walk(db, trx, view, (event) => {
          if (valueAt(view.shown(event), event.at)) page.put(event);
        });
        const { items, next } = await inSteps(page.taken());
        return { items: await named(db, trx, view, items), ...(next !== undefined && { next }) };
      }),
  };
}

/** What counted at both moments, from the positions of them. */
async function putEnds(view: View, differences: Differences): Promise<void> {
  for (const [end, cube, at] of [
    ["start", view.first, view.query.from],
    ["end", view.last, view.query.to],
  ] as const) {
    const ordinal = (place: number): number => (cube.licenses[place] as CubeLicense).ordinal;
    await eachPolitely(cube.rows, ([department, rows]) =>
      eachCounts(rows, (place, counts) => {
        const license = ordinal(place);
        if (!view.wanted(license)) return;
        const row = rowOf(view, department);
        const shown = view.shown({ department, license });
        for (const measure of ["used", "rights", "requested", "required"] as const)
          if (counts[measure] !== 0) differences[end](row, license, shown, measure, counts[measure]);
      }),
    );
    for (const [place, entitlements] of cube.entitlements) {
      const license = ordinal(place);
      if (!view.wanted(license)) continue;
      const { held } = heldAt(entitlements, at);
      differences[end](rowOf(view, undefined), license, view.shown({ license }), "held", held);
    }
  }
}

/** What attached rights make of the installations at both moments: positions show it, and it has no moment of its own. */
async function putCovered(view: View, differences: Differences): Promise<void> {
  const { from, to } = view.query;
  const cells = new Map<string, { row: number; license: number; before: number; after: number }>();
  for (const [end, at, measured] of [
    ["start", from, view.first],
    ["end", to, view.last],
  ] as const) {
    const cube = await withCoverage(measured, at);
    for (const [department, byPlace] of cube.covered?.differences ?? [])
      await eachPolitely(byPlace, ([place, by]) => {
        const license = (cube.licenses[place] as CubeLicense).ordinal;
        if (!view.wanted(license) || !valueAt(view.shown({ department, license }), at)) return;
        const row = rowOf(view, department);
        const cell = cells.get(`${department}:${license}`) ?? { row, license, before: 0, after: 0 };
        cell[end === "start" ? "before" : "after"] = by;
        cells.set(`${department}:${license}`, cell);
        differences[end](row, license, always, "used", by);
      });
  }
  for (const { row, license, before, after } of cells.values())
    differences.apart(row, license, "used", after - before, "rights-attached");
}

/** What is told of no department in particular is told of 0. */
const rowOf = (view: View, department: number | undefined): number =>
  view.query.byDepartment === true ? (department ?? 0) : 0;

/** By codes of department and licence; made one by one as they are taken: there may be one for every department and licence. */
function itemsOf(view: View, differences: Differences): Iterable<ChangeItem> {
  const { query, first, last } = view;
  const licenses = new Map([...first.licenses, ...last.licenses].map((l) => [l.ordinal, l]));
  const codeOfLicense = (ordinal: number): string => (licenses.get(ordinal) as CubeLicense).code;
  const departments: readonly (readonly [number, string | undefined])[] =
    query.byDepartment === true
      ? view.departments
          .map((ordinal) => [ordinal, codeOf(view, ordinal)] as const)
          .sort(([, a], [, b]) => compare(a, b))
      : [[0, query.department]];
  return {
    *[Symbol.iterator]() {
      for (const [department, where] of departments)
        for (const ordinal of [...differences.licenses(department)].sort((a, b) =>
          compare(codeOfLicense(a), codeOfLicense(b)),
        )) {
          const { code: license, name, metric } = licenses.get(ordinal) as CubeLicense;
          const { causes, ...ends } = differences.explained(department, ordinal);
          const unchanged = causes.length === 0 && measures.every((m) => ends.from[m] === ends.to[m]);
          if (unchanged && query.license === undefined) continue;
          yield { license, name, metric, ...(where !== undefined && { department: where }), ...ends, causes };
        }
    },
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

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
  return mapPolitely(events, ({ at, cause, measure, license, department, by, source, before, after }) => ({
    at,
    cause,
    measure,
    by,
    license: licenses.get(license) ?? `#${license}`,
    ...(department !== undefined && { department: codeOf(view, department) }),
    ...(measure === "used" && { device: devices.get(source as number) ?? `#${source}` }),
    ...(measure === "held" && { entitlement: String(source) }),
    ...(before !== undefined && { before: place(before) }),
    ...(after !== undefined && { after: place(after) }),
  }));
}
