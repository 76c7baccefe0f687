/**
 * Purpose: the licence repository (domain.md §4, §5): what every device uses, since when and for whom, and `used` per department and licence.
 * Kept as intervals, one per device for its whole set of licences: lic_repository holds the open ones, lic_history the closed ones, so any past
 * day's position can be counted. `used` is moved in the same transaction, by the difference. Each interval remembers why it was opened and closed.
 * Invariants: Σ departments' used = company used, because both are sums over the same rows (department 0 = unassigned); lic_usage equals what
 * `recount` makes of the repository; a device that does not count (disposed) has no open interval; intervals of one device never overlap, whatever the clock does.
 * Lock order: devices' heads (by the caller, ascending), then repository rows, then counters in key order.
 */
import type { Clock } from "@daicho/kernel";
import { causeCodes, type Cause, type LicenseCount } from "@daicho/licensing";
import type { Metric } from "@daicho/protocol";
import type { Database, Trx } from "../../../db/database.ts";
import type { Assignment, DeviceDirectory, UsageRepository } from "../../../ports.ts";
import { breathe } from "../../../slices.ts";
import { keepTraits } from "../coverage/index.ts";
import { holdCounting, recordingTime, touchPositions } from "../version.ts";
import { countOpen, moveCounters, openPages, rebuildCounters, type Counted } from "./counters.ts";
import { ordinalsOf, rowCode, usesByOrdinal, type Use } from "./ordinals.ts";
import { packLicenses, unpackLicenses } from "./pack.ts";
import { repositoryStore, type ClosedInterval, type OpenInterval } from "./store.ts";

export interface LicenseInfo {
  readonly code: string;
  readonly name: string;
  /** As the policy states it; absent = the policy leaves it open, and what was bought decides, else `device`. */
  readonly metric?: Metric;
}

export interface UsageRow {
  readonly department: number;
  readonly license: number;
  readonly used: number;
}

export interface Repository extends UsageRepository {
  /**
   * Names and metrics as the policy has them now. A licence becomes unmanaged when the company leaves it out of its selection, or when no policy
   * names it any more and nothing of it was bought. Answers each licence's metric in force.
   */
  syncLicenses(
    trx: Trx,
    infos: readonly LicenseInfo[],
    deselected: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, Metric>>;
  /** Counts `used` anew from the open intervals, in slices and inside the given snapshot; nothing is written. */
  recount(trx?: Trx): Promise<{
    readonly usage: Iterable<UsageRow>;
    readonly users: Iterable<{ employee: number; department: number; license: number; devices: number }>;
    readonly devices: number;
  }>;
  /** Replaces the stored counters by a recount, inside the transaction. */
  rebuild(trx: Trx): Promise<void>;
  /** What devices use now. */
  licensesOf(
    devices: readonly number[],
  ): Promise<ReadonlyMap<number, readonly (ClassedLicense & { readonly since: number })[]>>;
  /** Devices above `after` that use the licence, ascending, at most `limit`. */
  devicesWith(license: string, after: number, limit: number): Promise<readonly number[]>;
  /** Open intervals of the devices above `after`, ascending, at most `limit`, for comparing with what their facts yield. */
  openLicenses(trx: Trx, after: number, limit: number): Promise<OpenLicenses>;
}

type ClassedLicense = Use & { readonly count: number };

export interface OpenLicenses {
  /** By device, as they are stored. */
  readonly packed: ReadonlyMap<number, Buffer>;
  /** The last of them where there may be more. */
  readonly last: number | undefined;
  /** As they would be stored; undefined where one of them never was. */
  pack(licenses: readonly ClassedLicense[]): Buffer | undefined;
  unpack(packed: Buffer): readonly ClassedLicense[];
}

export function createRepository(deps: {
  readonly db: Database;
  readonly devices: DeviceDirectory;
  readonly clock: Clock;
  /** These devices' licences must be derived from their facts anew, once the transaction has committed. */
  readonly deriveAgain: (trx: Trx, devices: readonly number[]) => Promise<void>;
  /** Who has a device can decide about the class of what is on it. */
  readonly classifies?: (trx: Trx) => Promise<boolean>;
}): Repository {
  const { db, devices } = deps;

  const apply = async (
    trx: Trx,
    wanted: ReadonlyMap<number, readonly LicenseCount[] | "same">,
    asked: number,
    cause: Cause,
  ): Promise<{ changed: boolean }> => {
    const ids = [...wanted.keys()].sort((a, b) => a - b);
    const open = await repositoryStore.open(trx, ids, db.dialect);
    const assignments = await devices.assignments(trx, ids);
    const at = await recordingTime(trx, asked);
    const counted: Counted[] = [];
    const closed: ClosedInterval[] = [];
    const opened: OpenInterval[] = [];
    const gone: number[] = [];
    /** Counted for nobody until now, or use nothing: their facts must be asked. */
    const revived: number[] = [];
    // As the transaction sees it: another server may have begun to classify a moment ago.
    let classifies: boolean | undefined;
    for (const device of ids) {
      const held = open.get(device);
      const target = wanted.get(device);
      const assignment: Assignment = assignments.get(device) ?? { employee: null, department: 0, counts: true };
      const licenses =
        !assignment.counts || target === undefined
          ? Buffer.alloc(0)
          : target === "same"
            ? (held?.licenses ?? Buffer.alloc(0))
            : packLicenses(target);
      const same =
        held !== undefined &&
        held.licenses.equals(licenses) &&
        held.department === assignment.department &&
        held.employee === assignment.employee;
      const moves = held?.department !== assignment.department || held.employee !== assignment.employee;
      if (moves && held !== undefined) classifies ??= (await deps.classifies?.(trx)) === true;
      const asks = held === undefined || (moves && classifies === true);
      if (asks && target === "same" && assignment.counts) revived.push(device);
      if (same || (held === undefined && licenses.length === 0)) continue;
      const why = causeCodes[cause === "reassigned" && !assignment.counts ? "disposed" : cause];
      if (held !== undefined) {
        counted.push({ use: held, licenses: unpackLicenses(held.licenses), sign: -1 });
        // An interval that would have no length never was.
        if (held.since < at) closed.push({ ...held, until: at, closed: why });
      }
      if (licenses.length === 0) gone.push(device);
      else {
        const next: OpenInterval = {
          device,
          since: at,
          employee: assignment.employee,
          department: assignment.department,
          licenses,
          cause: why,
        };
        counted.push({ use: next, licenses: unpackLicenses(licenses), sign: 1 });
        opened.push(next);
      }
    }
    if (revived.length > 0) await deps.deriveAgain(trx, revived);
    const moved = new Set([...opened.map(({ device }) => device), ...gone]);
    if (moved.size === 0) return { changed: false };
    await repositoryStore.close(db, trx, closed);
    await repositoryStore.openAll(db, trx, opened);
    await repositoryStore.remove(trx, gone);
    await moveCounters(db, trx, counted);
    // Also where the counts stayed: who uses what decides what covers it.
    const departments = new Set(
      [...open.values(), ...opened].filter(({ device }) => moved.has(device)).map((i) => i.department),
    );
    await touchPositions(db, trx, at, { departments });
    return { changed: true };
  };

  const rebuild = async (trx: Trx): Promise<void> => {
    await rebuildCounters(db, trx);
    await touchPositions(db, trx, deps.clock.now(), { everything: true });
  };

  return {
    async record(trx, changes, at, cause = "report") {
      const ordinals = await ordinalsOf(db, trx, changes.flatMap((c) => c.licenses)); // prettier-ignore
      const wanted = new Map(
        changes.map((c) => [
          c.device,
          c.licenses.map((l): LicenseCount => [ordinals.get(rowCode(l)) as number, l.count]),
        ]),
      );
      return apply(trx, wanted, at, cause);
    },

    reassign: (trx, ids, at, cause = "reassigned") =>
      apply(trx, new Map(ids.map((device) => [device, "same" as const])), at, cause),

    async reshaped(trx, reshaped, asked) {
      const at = await recordingTime(trx, asked);
      await keepTraits(db, trx, reshaped, at);
      const ids = reshaped.map(({ device }) => device);
      const open = await repositoryStore.open(trx, ids, undefined);
      const departments = new Set([...open.values()].map(({ department }) => department));
      if (departments.size > 0) await touchPositions(db, trx, at, { departments });
    },

    async syncLicenses(trx, infos, deselected) {
      const before = new Map((await repositoryStore.licenses(trx)).map((row) => [row.code, row]));
      await breathe();
      const bought = await repositoryStore.bought(trx);
      await breathe();
      const metrics = new Map<string, Metric>();
      for (const { code, metric } of infos) {
        const row = before.get(code);
        metrics.set(code, metric ?? (row && bought.get(row.ordinal)) ?? "device");
      }
      const rows = infos.map(({ code, name }) => ({ code, name, metric: metrics.get(code) as Metric }));
      const changed = rows.filter(({ code, name, metric }) => {
        const row = before.get(code);
        return row?.name !== name || row.metric !== metric || row.managed !== 1;
      });
      const unmanaged = [...before.values()].filter(
        (row) => row.managed === 1 && !metrics.has(row.code) && (deselected.has(row.code) || !bought.has(row.ordinal)),
      );
      if (changed.length + unmanaged.length === 0) return metrics;
      const at = await recordingTime(trx, deps.clock.now());
      // What is beside a licence is counted like it.
      const metricOf = new Map(changed.map(({ code, metric }) => [before.get(code)?.ordinal, metric]));
      const variants = [...before.values()].flatMap((row) => {
        const metric = row.base === null ? undefined : metricOf.get(row.base);
        return metric === undefined || metric === row.metric ? [] : [{ row, metric }];
      });
      const former = [
        ...changed.flatMap(({ code }) => before.get(code) ?? []),
        ...unmanaged,
        ...variants.map(({ row }) => row),
      ];
      await repositoryStore.keepLicenses(db, trx, former, at);
      await repositoryStore.upsertLicenses(db, trx, changed);
      await breathe();
      await repositoryStore.setMetrics(
        db,
        trx,
        variants.map(({ row, metric }) => ({ ordinal: row.ordinal, metric })),
      );
      await repositoryStore.setManaged(
        trx,
        unmanaged.map((row) => row.ordinal),
        0,
      );
      // A licence that changes from counting devices to counting people changes every number of it.
      if (changed.some(({ code, metric }) => (before.get(code)?.metric ?? metric) !== metric)) {
        await holdCounting(trx, db.dialect);
        await rebuild(trx);
      } else await touchPositions(db, trx, at, { everything: true });
      return metrics;
    },

    async recount(trx) {
      const { usage, devices: count } = await countOpen(trx ?? db.kysely);
      return { usage: usage.each(), users: usage.users(), devices: count };
    },

    rebuild,

    async licensesOf(devices) {
      const open = await repositoryStore.open(db.kysely, devices, undefined);
      if (open.size === 0) return new Map();
      const uses = usesByOrdinal(await repositoryStore.licenses(db.kysely));
      return new Map(
        [...open].map(([device, { licenses, since }]) => [
          device,
          unpackLicenses(licenses).map(([license, count]) => ({
            ...(uses.get(license) ?? { license: String(license) }),
            count,
            since,
          })),
        ]),
      );
    },

    async devicesWith(license, after, limit) {
      const uses = usesByOrdinal(await repositoryStore.licenses(db.kysely));
      const wanted = new Set([...uses].flatMap(([ordinal, use]) => (use.license === license ? [ordinal] : [])));
      const found: number[] = [];
      if (wanted.size === 0) return [];
      for await (const rows of openPages(db.kysely, after)) {
        for (const row of rows) if (unpackLicenses(row.licenses).some(([l]) => wanted.has(l))) found.push(row.device);
        if (found.length >= limit) break;
      }
      return found.slice(0, limit);
    },

    async openLicenses(trx, after, limit) {
      const rows = await repositoryStore.licenses(trx);
      const uses = usesByOrdinal(rows);
      const ordinals = new Map(rows.map((row) => [row.code, row.ordinal]));
      const open = await repositoryStore.packedAfter(trx, after, limit);
      return {
        packed: new Map(open.map(({ device, licenses }) => [device, licenses])),
        last: open.length < limit ? undefined : open.at(-1)?.device,
        pack(licenses) {
          const counts = licenses.map((l) => [ordinals.get(rowCode(l)) ?? 0, l.count] as const);
          return counts.some(([ordinal]) => ordinal === 0) ? undefined : packLicenses(counts);
        },
        unpack: (packed) =>
          unpackLicenses(packed).map(([license, count]) => ({
            ...(uses.get(license) ?? { license: `#${license}` }),
            count,
          })),
      };
    },
  };
}
