/**
 * Purpose: "which devices have title T", answerable at once. Postings (title → containers of device ordinals) are written behind: a commit
 * appends to inv_changes, and every server reads that log into a tail in memory; whoever is on duty merges its tail into inv_postings in slices, when it
 * has grown or nothing has come for a while. Posting + tail (newest wins) = truth.
 * Invariants: every answer has all that was committed before it was asked for, on whatever server: the log is read on first. `inv_marks` says up to which
 * change the postings are merged; a tail always begins there. Replaying a change twice sets the same bits to the same values, and changes of one device
 * become visible in their order. A number of the log may become visible after a higher one: it is a gap until every transaction of its time has ended.
 * Recovery: everything here is derived. At start the tail is read from the mark on, and so it is whenever another server has moved the mark. A merge
 * writes only while no later one has begun.
 */
import { wait, type Clock, type Log, type Timer } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import type { Servers } from "../../db/servers.ts";
import { breathe, createPace, eachPolitely, slicesOf } from "../../slices.ts";
import {
  changeContainer,
  chunkOf,
  chunkSize,
  createBitmapUnion,
  setWith,
  sizeWith,
  type BitmapUnion,
  type DeviceSet,
} from "./ordinals.ts";
import { unpackChange } from "./pack.ts";
import { indexStore, type Containers } from "./index-store.ts";
import { createTail, type Tail } from "./tail.ts";
import { sizeByPieces, tellsUpTo } from "./pieces.ts";
import { stateStore } from "./state-store.ts";

export interface TitleIndex {
  /** The log has grown. */
  grown(): void;
  /** Devices that have any of the titles, ascending, from `after` on, at most `limit`. */
  devices(
    titles: readonly number[],
    options?: { readonly after?: number; readonly limit?: number },
  ): Promise<readonly number[]>;
  /** How many devices have any of the titles of each group. */
  countsOfGroups(groups: readonly (readonly number[])[]): Promise<readonly number[]>;
  /** How many devices have each of the titles. */
  counts(titles: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Which devices have each of the titles, as far as it tells sets apart; for reconcile. */
  sets(titles: readonly number[]): Promise<ReadonlyMap<number, DeviceSet>>;
  /** From now on notes which titles come to devices and go. */
  watch(): Promise<Watch>;
  /** Merges the whole tail now. */
  flush(): Promise<void>;
  /** Throws the postings away and makes them again from the devices' states. */
  rebuild(): Promise<void>;
  stop(): Promise<void>;
}

export interface Watch {
  /** Titles that changed since, or a little before; undefined where not every change was seen. */
  moved(): Promise<ReadonlySet<number> | undefined>;
  end(): void;
}

const mark = "postings";
/** Counts merges: one that finds another number than its own has been overtaken. */
const mergeMark = "postings-merge";
/**
 * Entries in the tail (4 bytes each) before it is merged: about 23,000 new devices. A merge rewrites every title it touches, so the
 * longer the tail, the less a device costs.
 */
const mostEntries = 16_000_000;
const sliceTitles = 100;
/** The log is read on at most so often while nobody asks. */
const followMs = 1000;
const settleMs = 50;

export async function createTitleIndex(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly servers: Pick<Servers, "onDuty" | "duty" | "tell" | "hear">;
  readonly idleMs?: number;
  readonly tailLimit?: number;
}): Promise<TitleIndex> {
  const { db, log, clock, servers, tailLimit = mostEntries } = deps;
  let tail = createTail();
  /** The part being merged, and the last change that is in it; still read by queries. */
  let merging: Merging | undefined;
  /** Nothing is read any more for the part being merged: it is written. */
  let writing = false;
  /** The mark that the tail begins at, and how many chunks the postings have that were merged up to there. */
  let floor = 0;
  let chunkCount = 0;
  /** The highest change read; of those below it the ones not seen yet; and the change below which none can come any more. */
  let newest = 0;
  const gaps = new Set<number>();
  let settled = 0;
  /** Once every transaction before `next` has ended, nothing up to `upTo` is open. */
  let barrier: { readonly upTo: number; readonly next: number } | undefined;
  let work: Promise<void> | undefined;
  let stopped = false;
  const watches = new Set<{ readonly titles: Set<number>; whole: boolean }>();

  const beginAt = (at: number): void => {
    // What lies before will not be read here any more.
    if (at > newest || gaps.size > 0) for (const watch of watches) watch.whole = false;
    tail = createTail();
    merging = undefined;
    barrier = undefined;
    gaps.clear();
    floor = newest = settled = at;
  };

  const note = (change: number, device: number, added: ArrayLike<number>, removed: ArrayLike<number>): void => {
    const into = merging !== undefined && change <= merging.upTo ? merging.tail : tail;
    for (let i = 0; i < added.length; i++) into.append(added[i] as number, device);
    for (let i = 0; i < removed.length; i++) into.append(removed[i] as number, ~device);
    for (const { titles } of watches)
      for (const list of [added, removed]) for (let i = 0; i < list.length; i++) titles.add(list[i] as number);
  };

  const atPage: (() => void)[] = [];
  /** A long reading settles much before it ends. */
  const pageRead = (): Promise<void> => new Promise((resolve) => atPage.push(resolve));
  // A device's first report brings hundreds of titles, a later one a few.
  const pace = createPace({ first: 10, least: 4, most: 1000 });
  const read = async (): Promise<void> => {
    // What comes while it reads is the next reading's: who asks would wait for as long as reports come.
    let goal: number | undefined;
    while (!stopped) {
      pace.begin();
      const logPage = pace.size;
      const asked = floor;
      const page = await db.latest((from) => indexStore.log(from, mark, newest, [...gaps], logPage));
      // This server's own merge has ended meanwhile: the page still says what was before.
      if (floor !== asked) continue;
      // Another server has merged, or made everything anew: what it has merged need not be kept here.
      if (page.mark !== floor) {
        beginAt(page.mark);
        chunkCount = page.chunks;
        continue;
      }
      goal ??= page.last;
      // Before this page's changes are taken: what was open when its statement began may still be missing in it.
      const decided =
        page.oldest >= page.next ? newest : barrier && page.oldest >= barrier.next ? barrier.upTo : undefined;
      if (barrier === undefined || decided !== undefined) barrier = { upTo: newest, next: page.next };

      const parsed = page.rows.map((row) => ({ ...row, change: unpackChange(row.change) }));
      const first = parsed.flatMap(({ device, change }) => (change.first ? [device] : []));
      const states = await db.latest((from) => stateStore.titlesOf(from, [...new Set(first)]));
      await eachPolitely(parsed, ({ id, device, change }) => {
        if (change.first) note(id, device, states.get(device) ?? [], []);
        else note(id, device, change.added, change.removed);
        if (!gaps.delete(id)) {
          if (db.dialect === "postgres") for (let gap = newest + 1; gap < id; gap++) gaps.add(gap);
          newest = id;
        }
      });
      if (decided !== undefined) {
        settled = decided;
        for (const gap of gaps) if (gap <= settled) gaps.delete(gap);
      }
      for (const go of atPage.splice(0)) go();
      if (tail.size >= tailLimit && servers.onDuty) {
        // While one tail is written another one fills; no third.
        if (writing) await work;
        void merge();
      }
      if (page.rows.length < logPage || newest >= goal) break;
      pace.end();
      await breathe();
    }
  };
  // One at a time. Who asks gets a reading that began after it asked.
  let last: Promise<unknown> = Promise.resolve();
  let queued: Promise<void> | undefined;
  const inTurn = (step: () => Promise<void>): Promise<void> => {
    const mine = last.then(step);
    last = mine.catch(() => undefined);
    return mine;
  };
  const follow = (): Promise<void> =>
    (queued ??= inTurn(() => {
      queued = undefined;
      return read();
    }));

  const failed = (event: string) => (error: unknown) => {
    log.error(event, { reason: error instanceof Error ? error.message : "unknown" });
  };
  const merge = (): Promise<void> => {
    work ??= mergeTail()
      .catch(failed("postings-merge-failed"))
      .finally(() => {
        work = undefined;
        writing = false;
      });
    return work;
  };

  const mergeAll = async (): Promise<void> => {
    await follow();
    await merge();
  };

  const mergeTail = async (): Promise<void> => {
    if (tail.size === 0 && merging === undefined) return;
    // A merge that failed is taken up again, with what has come since behind it.
    const earlier = merging?.tail;
    if (earlier !== undefined)
      for (const title of tail.titles()) for (const entry of tail.entriesOf(title)) earlier.append(title, entry);
    const own = { tail: earlier ?? tail, upTo: newest };
    merging = own;
    tail = createTail();
    for (let tries = 0; settled < own.upTo; tries++) {
      if (tries > 10) await wait(clock, settleMs);
      if (stopped || merging !== own) return;
      await Promise.race([follow(), pageRead()]);
    }
    writing = true;
    await writeTail(own);
  };

  const writeTail = async (own: Merging): Promise<void> => {
    const token = await db.transaction((trx) => indexStore.raiseMark(db, trx, mergeMark));
    const isMine = async (trx: Trx): Promise<boolean> =>
      merging === own && (await indexStore.holdMark(db, trx, mergeMark)) === token;
    for await (const slice of slicesOf(own.tail.titles(), sliceTitles)) {
      const changes = slice.map((title) => [title, byChunk(own.tail.entriesOf(title))] as const);
      const chunks = [...new Set(changes.flatMap(([, lists]) => [...lists.keys()]))];
      const written = await db.transaction(async (trx) => {
        if (!(await isMine(trx))) return false;
        const there = await indexStore.containers(trx, slice, chunks);
        const writes = changes.flatMap(([title, lists]) =>
          [...lists].map(([chunk, offsets]) => {
            const held = there.get(title)?.get(chunk);
            return { title, chunk, container: changeContainer(held, offsets), held };
          }),
        );
        await indexStore.write(db, trx, writes);
        return true;
      });
      if (!written || stopped) return;
      chunkCount = Math.max(chunkCount, ...chunks.map((chunk) => chunk + 1));
    }
    const done = await db.transaction(
      async (trx) => (await isMine(trx)) && (await indexStore.setMark(db, trx, mark, own.upTo), true),
    );
    // Unless a reading has seen the mark already and begun there.
    if (done && merging === own) {
      floor = own.upTo;
      merging = undefined;
    }
  };

  /** Containers (of one chunk, where it is named), with a tail that has everything since they were written. */
  const withTail = async <T>(
    titles: readonly number[],
    answer: (containers: ReadonlyMap<number, Containers>, changes: (title: number) => Int32Array[]) => T,
    { chunk, pieces }: { readonly chunk?: number; readonly pieces?: "first" } = {},
  ): Promise<T> => {
    for (;;) {
      const before = floor;
      const chunks = chunk === undefined ? Array.from({ length: chunkCount }, (_, at) => at) : [chunk];
      const held = await db.latest((from) => indexStore.containers(from, titles, chunks, pieces));
      await follow();
      if (floor === before)
        return answer(held, (title) => [merging?.tail.entriesOf(title) ?? noEntries, tail.entriesOf(title)]);
    }
  };

  /** As many as are wanted, if the first pieces have them below `upTo`. */
  const firstOnes = (
    titles: readonly number[],
    { chunk, upTo, after, wanted }: Readonly<Record<"chunk" | "upTo" | "after" | "wanted", number>>,
  ): Promise<readonly number[] | undefined> =>
    withTail(
      titles,
      (held, changes) => {
        for (const containers of held.values()) if (!tellsUpTo(containers.get(chunk) as Buffer, upTo)) return undefined;
        const found = unionOf(titles, held, changes, chunk, upTo).devices(chunk, after, wanted);
        return found.length === wanted ? found : undefined;
      },
      { chunk, pieces: "first" },
    );

  const index: TitleIndex = {
    grown() {
      if (servers.onDuty) look();
      else
        telling ??= clock.after(followMs, () => {
          telling = undefined;
          servers.tell("titles", {});
        });
    },
    async devices(titles, { after = 0, limit = 100 } = {}) {
      const found: number[] = [];
      const last = chunkOf(await stateStore.lastDevice(db.kysely));
      // Container by container: a page needs the first few of all that a million devices fill, and of the first of them its beginning, as a rule.
      for (let chunk = chunkOf(after + 1); chunk <= last && found.length < limit; chunk++) {
        const some = Math.max(0, after - chunk * chunkSize) + limit * 16;
        const wanted = limit - found.length;
        const first = some < chunkSize ? await firstOnes(titles, { chunk, upTo: some, after, wanted }) : undefined;
        const all = (): Promise<readonly number[]> =>
          withTail(titles, (held, changes) => unionOf(titles, held, changes, chunk).devices(chunk, after, wanted), { chunk }); // prettier-ignore
        found.push(...(first ?? (await all())));
      }
      return found;
    },
    async countsOfGroups(groups) {
      const out: number[] = [];
      for await (const slice of slicesOf(groups, 500, 10))
        await withTail(slice.flat(), (containers, changes) => {
          for (const titles of slice) out.push(unionOf(titles, containers, changes).size());
        });
      return out;
    },
    async counts(titles) {
      const out = new Map<number, number>();
      // A title may have a container or hundreds; and PostgreSQL takes several round trips for each slice.
      for await (const slice of slicesOf(titles, 2000, 25)) {
        // Most containers begin with how many there are.
        const sizes = await withTail(
          slice,
          (held, changes) =>
            slice.map((title) =>
              changes(title).some((list) => list.length > 0) ? undefined : sizeByPieces(held.get(title)),
            ),
          { pieces: "first" },
        );
        const others: number[] = [];
        for (const [i, title] of slice.entries()) {
          const size = sizes[i];
          if (size === undefined) others.push(title);
          else out.set(title, size);
        }
        if (others.length > 0)
          await withTail(others, (held, changes) => {
            for (const title of others) out.set(title, sizeWith(held.get(title), changes(title)));
          });
      }
      return out;
    },
    async sets(titles) {
      const out = new Map<number, DeviceSet>();
      for await (const slice of slicesOf(titles, 500, 4))
        await withTail(slice, (containers, changes) => {
          for (const title of slice) out.set(title, setWith(containers.get(title), changes(title)));
        });
      return out;
    },
    async watch() {
      await follow();
      const own = { titles: new Set<number>(), whole: true };
      watches.add(own);
      return {
        async moved() {
          await follow();
          return own.whole ? own.titles : undefined;
        },
        end: () => void watches.delete(own),
      };
    },
    async flush() {
      // A merge under way takes only what was there when it began.
      await work;
      await mergeAll();
    },
    async rebuild() {
      await work;
      await inTurn(async () => {
        // From here on no merge that has begun writes any more, and nobody's tail but this one is used.
        await db.transaction(async (trx) => {
          await indexStore.raiseMark(db, trx, mergeMark);
          await indexStore.clear(trx);
          await indexStore.setMark(db, trx, mark, 0);
        });
        beginAt(0);
      });
      await index.flush();
    },
    async stop() {
      stopped = true;
      quiet?.cancel();
      soon?.cancel();
      telling?.cancel();
      for (const end of off) end();
      await work;
      await last;
    },
  };

  let soon: Timer | undefined;
  let telling: Timer | undefined;
  let quiet: Timer | undefined;
  // Merged when nothing has come for a while, so that a start has little to read again.
  const look = (): void => {
    if (!servers.onDuty || stopped) return;
    soon ??= clock.after(followMs, () => {
      soon = undefined;
      if (!stopped) void follow().catch(failed("titles-unread"));
    });
    quiet?.cancel();
    quiet = clock.after(deps.idleMs ?? 60_000, () => void mergeAll().catch(failed("titles-unread")));
  };
  beginAt(await indexStore.mark(db.kysely, mark));
  chunkCount = await indexStore.chunkCount(db.kysely);
  // Much may have come since the last merge, and reports need not wait for it: only who asks does.
  void follow().catch(failed("titles-unread"));
  const off = [servers.hear("titles", look), servers.hear("missed", look)];
  servers.duty(look);
  return index;
}

interface Merging {
  readonly tail: Tail;
  readonly upTo: number;
}

/** Of one chunk alone, where it is named. */
function unionOf(
  titles: readonly number[],
  containers: ReadonlyMap<number, Containers>,
  changes: (title: number) => Int32Array[],
  chunk?: number,
  upTo?: number,
): BitmapUnion {
  const union = createBitmapUnion(chunk, upTo);
  for (const title of titles) union.add(containers.get(title), changes(title));
  return union;
}

const noEntries = new Int32Array(0);

/** Changes as `changeContainer` takes them. */
function byChunk(list: Int32Array): Map<number, number[]> {
  const chunks = new Map<number, number[]>();
  for (const entry of list) {
    const device = entry < 0 ? ~entry : entry;
    const chunk = chunkOf(device);
    const offset = device % chunkSize;
    const change = entry < 0 ? ~offset : offset;
    const offsets = chunks.get(chunk);
    if (offsets === undefined) chunks.set(chunk, [change]);
    else offsets.push(change);
  }
  return chunks;
}
