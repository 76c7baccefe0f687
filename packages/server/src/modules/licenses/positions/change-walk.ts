/**
 * Purpose: every single change between two moments - of use, of rights, of what is held - in no order.
 * Invariants: memory does not grow with the time between: a slice of devices or departments, and what the replay of licences counted by user keeps; what
 * does not fit there at once is walked through again for the rest. A slice is as long as can be read without holding the event loop.
 */
import {
  causeOf,
  createUseReplay,
  differenceCause,
  heldChanges,
  type Counts,
  type DifferenceCause,
  type EntitlementVersion,
  type Measure,
  type UseInterval,
  type UsePlace,
} from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import { eachPolitely, inSteps, pagesOf, readInRanges, slicesOf } from "../../../slices.ts";
import { unpackLicenses } from "../repository/index.ts";
import { grouped, type View } from "./change-view.ts";
import { eachCounts, type CubeLicense } from "./cube.ts";
import { pastStore } from "./past-store.ts";

export interface WalkedEvent {
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

/** Everything that changed in between, in no order. */
export async function walk(db: Database, trx: Trx, view: View, tell: (event: WalkedEvent) => void): Promise<void> {
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
  const last = await pastStore.lastDevice(trx);
  const round = async (wanted: (license: number) => boolean): Promise<ReadonlySet<number>> => {
    const replay = createUseReplay({
      from,
      to,
      byUser: view.byUser,
      wanted,
      emit({ at, license, effects, cause, device, before, after }) {
        for (const { department, by } of effects)
          tell({ at, measure: "used", license, department, by, cause: differenceCause(cause, by), source: device, before, after }); // prettier-ignore
      },
    });
    const slices = readInRanges(last, async (after, upTo) => [
      ...(await pastStore.closed(trx, after, upTo, to, from)),
      ...(await pastStore.open(trx, after, upTo, to)),
    ]);
    // Unpacked one device at a time: all of a slice would live long enough to be moved about in memory.
    for await (const rows of slices)
      await eachPolitely(
        grouped<Row, number>(rows, (row) => row.device),
        ([device, list]) => replay.device(device, list.map(intervalOf)),
      );
    return inSteps(replay.finish());
  };
  for (let left = await round((license) => view.wanted(license)); left.size > 0;) {
    const now = left;
    left = await round((license) => now.has(license));
  }
}

type Row = Awaited<ReturnType<typeof pastStore.open>>[number] & { readonly until?: number; readonly closed?: number };

function intervalOf(row: Row): UseInterval {
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
  const pages = pagesOf(
    "",
    (after, limit) => pastStore.entitlementsBetween(trx, from, to, after, limit),
    (row) => row.id,
  );
  for await (const page of pages)
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
  return versions;
}
