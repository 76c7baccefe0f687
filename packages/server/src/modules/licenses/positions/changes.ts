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
import { codeOf, licenseSpan, viewOf, type ChangeQuery, type View } from "./change-view.ts";
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
        return await itemsOf(view, differences);
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

/** By codes of department and licence; made one by one as they are taken: there may be one for every department and licence. */
async function itemsOf(view: View, differences: Differences<number>): Promise<Iterable<ChangeItem>> {
  const { query, first, last } = view;
  const byDepartment = query.byDepartment === true;
  const licenses = ranked(new Map([...first.licenses, ...last.licenses].map((l) => [l.ordinal, l])), (l) => l.code);
  const departments = ranked(new Map(view.departments.map((ordinal) => [ordinal, codeOf(view, ordinal)])), (code) => code); // prettier-ignore
  // As numbers: to compare 100,000 pairs of texts in one go would take too long.
  const ranks = await mapPolitely(differences.rows(), (row) => {
    const license = row % licenseSpan;
    const department = byDepartment ? departments.ranks.get((row - license) / licenseSpan) : 0;
    return (department as number) * licenseSpan + (licenses.ranks.get(license) as number);
  });
  const rows = Float64Array.from(ranks).sort();
  return {
    *[Symbol.iterator]() {
      for (const rank of rows) {
        const [license, { code, name, metric }] = licenses.order[rank % licenseSpan] as [number, CubeLicense];
        const [department, of] = departments.order[Math.floor(rank / licenseSpan)] as [number, string];
        const { causes, ...ends } = differences.explained(view.rowOf(department, license));
        const unchanged = causes.length === 0 && measures.every((m) => ends.from[m] === ends.to[m]);
        if (unchanged && query.license === undefined) continue;
        const where = byDepartment ? of : query.department;
        yield { license: code, name, metric, ...(where !== undefined && { department: where }), ...ends, causes };
      }
    },
  };
}

/** What ordinals stand for, by code, and the place of each. */
function ranked<T>(all: ReadonlyMap<number, T>, codeOf: (one: T) => string) {
  const order = [...all].sort(([, a], [, b]) => (codeOf(a) < codeOf(b) ? -1 : codeOf(a) > codeOf(b) ? 1 : 0));
  return { order, ranks: new Map(order.map(([ordinal], rank) => [ordinal, rank])) };
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
