/**
 * Purpose: "which devices have title T", answerable at once. Postings (title → containers of device ordinals) are written behind: a commit
 * appends to inv_changes and to a tail in memory; the tail is merged into inv_postings in slices when it has grown or the
 * server is idle. Posting + tail (newest wins) = truth.
 * Recovery: everything here is derived. inv_marks says up to which change the postings are merged; at start the changes after it
 * are read into the tail again. Replaying a change twice sets the same bits to the same values.
 */
import type { Clock, Log } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { changeContainer, chunkSize, createBitmapUnion, sizeWith } from "./ordinals.ts";
import { unpackChange } from "./pack.ts";
import { indexStore } from "./index-store.ts";
import { stateStore } from "./state-store.ts";

export interface TitleIndex {
  /** After the commit of change `id`: the device's titles changed so. */
  note(change: number, device: number, added: ArrayLike<number>, removed: ArrayLike<number>): void;
  /** Devices that have any of the titles, ascending, from `after` on, at most `limit`; and how many there are in all. */
  devices(
    titles: readonly number[],
    options?: { readonly after?: number; readonly limit?: number },
  ): Promise<{ count: number; devices: number[] }>;
  /** How many devices have each of the titles. */
  counts(titles: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Merges the whole tail now. */
  flush(): Promise<void>;
  /** Throws the postings away and makes them again from the devices' states. */
  rebuild(): Promise<void>;
  stop(): Promise<void>;
}

const mark = "postings";
/**
 * Entries in the tail (4 bytes each) before it is merged: about 23,000 new devices. A merge rewrites every title it touches, so the
 * longer the tail, the less a device costs.
 */
const tailLimit = 16_000_000;
const sliceTitles = 100;

export async function createTitleIndex(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly idleMs?: number;
}): Promise<TitleIndex> {
  const { db, log } = deps;
  let tail = new Map<number, TailList>();
  let entries = 0;
  let newest = 0;
  /** The part being merged; still read by queries. */
  let merging: Map<number, TailList> | undefined;
  let work: Promise<void> | undefined;
  let stopped = false;

  const push = (title: number, entry: number): void => {
    let list = tail.get(title);
    if (list === undefined) tail.set(title, (list = { entries: new Int32Array(4), length: 0 }));
    append(list, entry);
    entries++;
  };

  const note: TitleIndex["note"] = (change, device, added, removed) => {
    for (let i = 0; i < added.length; i++) push(added[i] as number, device);
    for (let i = 0; i < removed.length; i++) push(removed[i] as number, ~device);
    newest = Math.max(newest, change);
    if (entries >= tailLimit) void merge();
  };

  const merge = (): Promise<void> => {
    work ??= mergeTail()
      .catch((error: unknown) =>
        log.error("postings-merge-failed", { reason: error instanceof Error ? error.message : "unknown" }),
      )
      .finally(() => {
        work = undefined;
      });
    return work;
  };

  const mergeTail = async (): Promise<void> => {
    if (tail.size === 0 && merging === undefined) return;
    // A merge that failed is taken up again, with what has come since behind it.
    if (merging === undefined) merging = tail;
    else
      for (const [title, list] of tail) {
        const earlier = merging.get(title);
        if (earlier === undefined) merging.set(title, list);
        else for (const entry of entriesOf(list)) append(earlier, entry);
      }
    const upTo = newest;
    tail = new Map();
    entries = 0;
    const titles = [...merging.keys()].sort((a, b) => a - b);
    for (let at = 0; at < titles.length; at += sliceTitles) {
      const slice = titles.slice(at, at + sliceTitles);
      const changes = new Map(slice.map((title) => [title, entriesOf(merging?.get(title))]));
      await db.transaction(async (trx) => {
        const held = await indexStore.containers(trx, slice);
        const writes: { title: number; chunk: number; container: Buffer | undefined }[] = [];
        for (const [title, list] of changes)
          for (const [chunk, offsets] of byChunk(list))
            writes.push({ title, chunk, container: changeContainer(held.get(title)?.get(chunk), offsets) });
        await indexStore.write(db, trx, writes);
      });
      await new Promise((resolve) => setImmediate(resolve));
      if (stopped) return;
    }
    await db.transaction((trx) => indexStore.setMark(db, trx, mark, upTo));
    merging = undefined;
  };

  const unionOf = async (titles: readonly number[]) => {
    const held = await indexStore.containers(db.kysely, titles);
    const union = createBitmapUnion();
    for (const title of titles)
      union.add(
        held.get(title),
        [merging, tail].map((part) => entriesOf(part?.get(title))),
      );
    return union;
  };

  const index: TitleIndex = {
    note,
    async devices(titles, { after = 0, limit = 100 } = {}) {
      return (await unionOf(titles)).page(after, limit);
    },
    async counts(titles) {
      const out = new Map<number, number>();
      for (let at = 0; at < titles.length; at += sliceTitles) {
        const slice = titles.slice(at, at + sliceTitles);
        const held = await indexStore.containers(db.kysely, slice);
        for (const title of slice) {
          const changes = [merging, tail].map((part) => entriesOf(part?.get(title)));
          out.set(title, sizeWith(held.get(title), changes));
        }
      }
      return out;
    },
    async flush() {
      // A merge under way takes only what was there when it began.
      await work;
      await merge();
    },
    async rebuild() {
      await work;
      const changes = await indexStore.lastChange(db.kysely);
      tail = new Map();
      merging = undefined;
      entries = 0;
      await db.transaction((trx) => indexStore.clear(trx));
      for (let device = 0; ;) {
        const rows = await stateStore.titlesAfter(db.kysely, device, 500);
        if (rows.length === 0) break;
        for (const row of rows) note(changes, row.device, row.titles, []);
        device = rows[rows.length - 1]?.device ?? device;
        if (entries >= tailLimit) await merge();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await merge();
    },
    async stop() {
      stopped = true;
      idle.cancel();
      await work;
    },
  };

  const from = await indexStore.mark(db.kysely, mark);
  for (let change = from; ;) {
    const rows = await indexStore.changesAfter(db.kysely, change, 1000);
    if (rows.length === 0) break;
    const states = await stateStore.titlesOf(db.kysely, [...new Set(rows.map((row) => row.device))]);
    for (const row of rows) {
      const parsed = unpackChange(row.change);
      if (parsed.first) note(row.id, row.device, states.get(row.device) ?? [], []);
      else note(row.id, row.device, parsed.added, parsed.removed);
    }
    change = rows[rows.length - 1]?.id ?? change;
  }

  let seen = newest;
  let idle = deps.clock.after(deps.idleMs ?? 60_000, function check() {
    // Merged when a quiet minute has passed, so that a restart has little to read again.
    if (newest === seen && (entries > 0 || merging !== undefined)) void merge();
    seen = newest;
    if (!stopped) idle = deps.clock.after(deps.idleMs ?? 60_000, check);
  });
  return index;
}

/** Device ordinals in the order they came; `~device` where the device lost the title. */
interface TailList {
  entries: Int32Array;
  length: number;
}

function append(list: TailList, entry: number): void {
  if (list.length === list.entries.length) {
    const wider = new Int32Array(list.length * 2);
    wider.set(list.entries);
    list.entries = wider;
  }
  list.entries[list.length++] = entry;
}

const noEntries = new Int32Array(0);

function entriesOf(list: TailList | undefined): Int32Array {
  return list === undefined ? noEntries : list.entries.subarray(0, list.length);
}

function byChunk(list: Int32Array): Map<number, Map<number, boolean>> {
  const chunks = new Map<number, Map<number, boolean>>();
  for (const entry of list) {
    const device = entry < 0 ? ~entry : entry;
    const chunk = Math.floor(device / chunkSize);
    let offsets = chunks.get(chunk);
    if (offsets === undefined) chunks.set(chunk, (offsets = new Map()));
    offsets.set(device % chunkSize, entry >= 0);
  }
  return chunks;
}
