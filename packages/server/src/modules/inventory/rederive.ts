/**
 * Purpose: for reconcile, what is counted worked out again from what devices reported: each title's text has its hash, each state has the digest that
 * was reported with it, each device's open interval holds the licences that follow from its state, and the title index has for each title the devices
 * whose states have it.
 * Invariants: nothing that reports left in memory decides here: the deriver is new, learns the titles from the store and reads bases that have been
 * held against their ids. What cannot be read is a difference, not a failure. Work is done in slices, each of one moment.
 */
import { digestSections, hashTitle, movedSum, titleText, unpackMachine } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import type { DeviceDirectory } from "../../ports.ts";
import { breathe, createPace, eachPolitely, pagesOf, slicesOf } from "../../slices.ts";
import type { OpenLicenses, Repository } from "../licenses/repository/index.ts";
import { isBase, partsOf, titlesOfBase, unpackTitles, type PackedTitles, type TitleParts } from "./bases.ts";
import { createCases } from "./cases.ts";
import { deriveAll, type ClassedLicense, type DeviceLicenses } from "./derive.ts";
import type { Deriver } from "./deriver.ts";
import { probesOf, stateStore, type ReportedRow } from "./state-store.ts";
import type { TitleIndex } from "./title-index.ts";
import { createTitleTally, type TitleTally } from "./title-tally.ts";
import type { Titles } from "./titles.ts";

export interface FactDifference {
  readonly law:
    | "titles-equal-their-hash"
    | "facts-equal-their-digest"
    | "licenses-follow-from-facts"
    | "title-index-follows-from-facts";
  readonly device?: string;
  readonly license?: string;
  /** Id of the title. */
  readonly title?: number;
  readonly stored: number | string;
  readonly recomputed: number | string;
}

/** Of a slice only the statements hold the loop: what is done with their rows gives way by itself. */
const slice = { first: 100, least: 30, most: 600, milliseconds: 24 };
const unreadable = "unreadable";

export async function* rederive(deps: {
  readonly db: Database;
  readonly titles: Titles;
  readonly index: Pick<TitleIndex, "watch" | "sets">;
  readonly devices: Pick<DeviceDirectory, "idsOf" | "disposedBetween">;
  readonly repository: Pick<Repository, "openLicenses">;
  readonly generation: () => number;
  /** A deriver of the policy in force that has learnt nothing yet. */
  readonly newDeriver: () => Deriver;
}): AsyncGenerator<FactDifference> {
  const { db, titles } = deps;
  let deriver = deps.newDeriver();
  const off = titles.onLearn((learnt) => deriver.learn(learnt));
  const tally = await createTitleTally(deps);
  try {
    const digestOf = createDigests(titles, await brokenBases(db));
    yield* learnTitles(titles, deriver);
    let expect = createExpectations(deriver);
    const pace = createPace(slice);
    let allRead = true;
    for (let after = 0; ;) {
      if (deriver.generation !== deps.generation()) {
        // Another policy is in force: what is left is held against that one.
        deriver = deps.newDeriver();
        yield* learnTitles(titles, deriver);
        expect = createExpectations(deriver);
      }
      const range = { after, limit: pace.size };
      pace.begin();
      const compared = await db.snapshot((trx) => compareSlice(deps, trx, { expect, digestOf, tally }, range));
      pace.end();
      yield* compared.differences;
      allRead &&= compared.allRead;
      if (compared.last === undefined) break;
      after = compared.last;
      await breathe();
    }
    // Of a state that cannot be read nobody knows which titles it has.
    if (!allRead) return;
    for await (const found of tally.differences())
      for (const difference of found) yield { law: "title-index-follows-from-facts", ...difference };
  } finally {
    tally.end();
    off();
  }
}

async function* learnTitles(titles: Titles, deriver: Deriver): AsyncGenerator<FactDifference> {
  for await (const learnt of titles.each()) {
    const wrong: FactDifference[] = [];
    await eachPolitely(learnt, (title) => {
      deriver.learn([title]);
      const { id, hash } = title;
      const recomputed = hashTitle(titleText(title));
      if (recomputed.equals(hash) && titles.table.find(hash, 0) === id) return;
      const [stored, again] = [hash.toString("hex"), recomputed.toString("hex")];
      wrong.push({ law: "titles-equal-their-hash", title: id, stored, recomputed: again });
    });
    yield* wrong;
    await breathe();
  }
}

/** Bases whose bytes are not those of their id: whatever is written against them cannot be read. */
async function brokenBases(db: Database): Promise<ReadonlySet<number>> {
  const broken = new Set<number>();
  const pages = pagesOf(
    0,
    (after, limit) => stateStore.basesAfter(db.kysely, after, limit),
    (row) => row.id,
    200,
  );
  for await (const rows of pages) for (const { id, titles } of rows) if (!isBase({ id, bytes: titles })) broken.add(id);
  return broken;
}

/** What a device should hold. */
interface Expected {
  readonly licenses: readonly ClassedLicense[];
  /** As it should be stored, once that has been asked for: rows of licences keep their ordinals. */
  packed?: Buffer | undefined;
}

interface Expectations {
  /** By device; undefined where its facts cannot be read. */
  of(trx: Trx, rows: readonly ReportedRow[]): Promise<ReadonlyMap<number, Expected | undefined>>;
}

interface Differing extends Omit<FactDifference, "device"> {
  readonly device: number;
}

async function compareSlice(
  deps: Parameters<typeof rederive>[0],
  trx: Trx,
  {
    expect,
    digestOf,
    tally,
  }: { readonly expect: Expectations; readonly digestOf: DigestOf; readonly tally: TitleTally },
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<{ last: number | undefined; allRead: boolean; differences: readonly FactDifference[] }> {
  const states = await stateStore.reportedAfter(trx, after, limit);
  const open = await deps.repository.openLicenses(trx, after, limit);
  // As far as both of them were read.
  const last = lowest([states.length < limit ? undefined : states.at(-1)?.device, open.last]);
  const rows = last === undefined ? states : states.filter(({ device }) => device <= last);
  const disposed = await deps.devices.disposedBetween(trx, after, rows.at(-1)?.device ?? after);
  const differences: Differing[] = [];
  const digests = new Map<number, string>();
  const differing: ReportedRow[] = [];
  await eachPolitely(rows, (row) => {
    const parts = readable(row);
    const digest = digestOf(row, parts);
    if (parts !== undefined && digest !== unreadable) tally.add(row.device, parts);
    digests.set(row.device, digest);
    if (digest !== row.digest?.toString("hex")) differing.push(row);
  });
  if (differing.length > 0) {
    // Another server may have learnt titles since.
    await deps.titles.know(trx, differing.flatMap(idsIn));
    for (const row of differing) digests.set(row.device, digestOf(row, readable(row)));
  }
  const inUse: ReportedRow[] = [];
  const unread = new Set<number>();
  for (const row of rows) {
    const recomputed = digests.get(row.device) as string;
    const stored = row.digest?.toString("hex") ?? "none";
    if (recomputed !== stored)
      differences.push({ law: "facts-equal-their-digest", device: row.device, stored, recomputed });
    if (recomputed === unreadable) unread.add(row.device);
    else if (!disposed.has(row.device)) inUse.push(row);
  }
  const allRead = unread.size === 0;
  const expected = await expect.of(trx, inUse);
  for (const { device, digest } of inUse)
    if (expected.get(device) === undefined) {
      const stored = digest?.toString("hex") ?? "none";
      differences.push({ law: "facts-equal-their-digest", device, stored, recomputed: unreadable });
      unread.add(device);
    }
  const compare = (device: number, stored: Buffer): void => {
    const should = expected.get(device) ?? nothing;
    const packed = (should.packed ??= open.pack(should.licenses));
    if (packed?.equals(stored) !== true) differences.push(...compareLicenses(device, open, stored, should.licenses));
  };
  // Of a device that never reported nothing follows, whatever its interval says.
  const devices = new Set([...rows.map(({ device }) => device), ...open.packed.keys()]);
  await eachPolitely(devices, (device) => {
    if (device <= (last ?? device) && !unread.has(device)) compare(device, open.packed.get(device) ?? empty);
  });
  const names = await deps.devices.idsOf(trx, [...new Set(differences.map((d) => d.device))]);
  const named = differences.map((d) => ({ ...d, device: names.get(d.device) ?? `#${d.device}` }));
  return { last, allRead, differences: named };
}

function lowest(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

const empty = Buffer.alloc(0);
const nothing: Expected = { licenses: [], packed: empty };

/** Of a row and its parts; `unreadable` where they make none. */
type DigestOf = (row: ReportedRow, parts: TitleParts | undefined) => string;

/** The digest of what a row says; a base's part of it is added up once. */
function createDigests({ table }: Titles, broken: ReadonlySet<number>): DigestOf {
  const ofBase = new Map<number, Buffer>();
  const sumOf = ({ base, added, removed }: TitleParts): Buffer => {
    if (base === null) return table.sumOf(added);
    if (broken.has(base)) throw new RangeError(`base ${base} is not what it was`);
    let sum = ofBase.get(base);
    if (sum === undefined) ofBase.set(base, (sum = table.sumOf(titlesOfBase(base))));
    // Both at once would cancel out in the sum. Whatever else does not fit the base makes another sum.
    if (haveCommon(added, removed)) throw new RangeError("titles come and go");
    return movedSum(sum, table.sumOf(added), table.sumOf(removed));
  };
  return (row, parts) => {
    if (parts === undefined) return unreadable;
    try {
      const { details, machine } = row;
      return digestSections(sumOf(parts), { details, machine, probes: probesOf(row) });
    } catch {
      return unreadable;
    }
  };
}

/** Undefined where they cannot be read. */
function readable(row: PackedTitles): TitleParts | undefined {
  try {
    return partsOf(row);
  } catch {
    return undefined;
  }
}

/** None where they cannot be read. */
function idsIn(row: PackedTitles): Uint32Array[] {
  try {
    return [unpackTitles(row)];
  } catch {
    return [];
  }
}

function haveCommon(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [x, y] = [a[i] as number, b[j] as number];
    if (x === y) return true;
    if (x < y) i++;
    else j++;
  }
  return false;
}

function compareLicenses(
  device: number,
  open: OpenLicenses,
  stored: Buffer,
  derived: readonly ClassedLicense[],
): Differing[] {
  const nameOf = (l: ClassedLicense): string => (l.class === undefined ? l.license : `${l.license} (${l.class})`);
  const counts = new Map(open.unpack(stored).map((one) => [nameOf(one), { stored: one.count, recomputed: 0 }]));
  for (const one of derived)
    counts.set(nameOf(one), { stored: counts.get(nameOf(one))?.stored ?? 0, recomputed: one.count });
  return [...counts]
    .filter(([, c]) => c.stored !== c.recomputed)
    .map(([license, c]) => ({ law: "licenses-follow-from-facts", device, license, ...c }));
}

function createExpectations(deriver: Deriver): Expectations {
  return deriver.classifier === undefined ? byCase(deriver) : byDevice(deriver);
}

/** Where nothing decides about installations, devices of the same case use the same, except for how many units their machine counts as. */
function byCase(deriver: Deriver): Expectations {
  const outcomes = new Map<string, Expected & { readonly byMachine: boolean }>();
  const caseOf = createCases(deriver.tells, (facts) => {
    const codes = deriver.licenseCodes(facts);
    const key = codes.join("\n");
    let outcome = outcomes.get(key);
    if (outcome === undefined) {
      let byMachine = false;
      const licenses = codes.map((license) => ({
        license,
        count: deriver.unitsOf(license, () => void (byMachine = true)).units,
      }));
      outcomes.set(key, (outcome = { licenses, byMachine }));
    }
    return outcome;
  });
  return {
    async of(_trx, rows) {
      const expected = new Map<number, Expected | undefined>();
      await eachPolitely(rows, (row) => {
        try {
          const outcome = caseOf(row);
          expected.set(row.device, outcome.byMachine ? onMachine(deriver, outcome, row) : outcome);
        } catch {
          expected.set(row.device, undefined);
        }
      });
      return expected;
    },
  };
}

function onMachine(deriver: Deriver, { licenses }: Expected, row: ReportedRow): Expected {
  const machine = (): ReturnType<typeof unpackMachine> => unpackMachine(row.machine);
  return { licenses: licenses.map(({ license }) => ({ license, count: deriver.unitsOf(license, machine).units })) };
}

function byDevice(deriver: Deriver): Expectations {
  const derive = async (trx: Trx, rows: readonly ReportedRow[]): Promise<readonly DeviceLicenses[]> =>
    deriveAll(trx, deriver, rows.map((row) => ({ state: { ...row, titles: unpackTitles(row), probes: probesOf(row), scan: null } }))); // prettier-ignore
  return {
    async of(trx, rows) {
      const expected = new Map<number, Expected | undefined>();
      const take = (derived: readonly DeviceLicenses[]): void => {
        for (const { device, licenses } of derived) expected.set(device, { licenses });
      };
      for await (const slice of slicesOf(rows, 100)) {
        try {
          take(await derive(trx, slice));
        } catch {
          // One of them cannot be read.
          for (const row of slice) take(await derive(trx, [row]).catch(() => []));
        }
      }
      return expected;
    },
  };
}
