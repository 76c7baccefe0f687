/**
 * Purpose: the titles of the company: hash → id, text by id, and learning new ones from reports.
 * Invariants: a text is taken in only under the hash it really has; titles are never changed or removed, so a committed id stays valid and
 * learning them in a transaction of their own, before the report that brought them, is harmless when that report then fails.
 */
import { Type } from "@sinclair/typebox";
import { hashTitle, validator, type TitleIdentity, type TitleText } from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database, Trx } from "../../db/database.ts";
import { breathe, pagesOf } from "../../slices.ts";
import { createTitleTable, type TitleTable } from "./title-table.ts";
import { titleStore } from "./title-store.ts";

const Text = (max: number) => Type.String({ maxLength: max });
const checkTexts = validator(
  Type.Array(
    Type.Tuple([
      Type.String({ minLength: 1, maxLength: 32 }),
      Type.String({ minLength: 1, maxLength: 512 }),
      Text(256),
      Type.Union([Text(512), Type.Null()]),
      Type.Union([Text(64), Type.Null()]),
      Type.Union([Text(512), Type.Null()]),
    ]),
    { maxItems: 40_000 },
  ),
);

export interface KnownTitle extends TitleIdentity {
  readonly id: number;
}

export interface StoredTitle extends KnownTitle {
  readonly hash: Buffer;
}

export interface Titles {
  readonly table: TitleTable;
  /** Called for every title learnt: derivers match it against the dictionary's probes. Answers how to end that. */
  onLearn(listener: (titles: readonly KnownTitle[]) => void): () => void;
  /** Titles of a `texts` section, checked; undefined where it is malformed. */
  readTexts(section: unknown): readonly TitleText[] | undefined;
  /** Stores those that are new. Concurrent calls, also of other servers on the same database, agree on ids. */
  learn(texts: readonly TitleText[]): Promise<void>;
  /** Hashes of `packed` that no server of this database knows, packed. */
  unknown(packed: Buffer): Promise<Buffer>;
  /** Looks up what another server may have learnt; `idsOf` then knows it. */
  find(packed: readonly Buffer[]): Promise<void>;
  /** Ids that were read from the store; what another server has learnt is brought in. Before anything is made of titles by their ids. */
  know(from: Database["kysely"] | Trx, ids: readonly Uint32Array[]): Promise<void>;
  /** Sorted ids of packed hashes; undefined where one is not known. */
  idsOf(packed: Buffer): Uint32Array | undefined;
  byIds(ids: readonly number[]): Promise<ReadonlyMap<number, KnownTitle>>;
  /** All titles as they are stored, in slices, oldest first. */
  each(): AsyncGenerator<readonly StoredTitle[]>;
}

/** Titles learnt in one go: a few milliseconds. */
const learnSlice = 500;
const hashesAtOnce = 20_000;

export async function createTitles(deps: { readonly db: Database; readonly clock: Clock }): Promise<Titles> {
  const { db, clock } = deps;
  const table = createTitleTable();
  const listeners = new Set<(titles: readonly KnownTitle[]) => void>();

  const take = (rows: readonly StoredTitle[]): void => {
    for (const row of rows) table.add(row.hash, row.id);
    for (const listener of listeners) listener(rows);
  };

  const missing = (packed: Buffer): Buffer[] => {
    const hashes: Buffer[] = [];
    for (let at = 0; at + 8 <= packed.length; at += 8)
      if (table.find(packed, at) === 0) hashes.push(packed.subarray(at, at + 8));
    return hashes;
  };

  const stored = (most: number) =>
    pagesOf(
      0,
      (after, limit) => titleStore.after(db.kysely, after, limit),
      (row) => row.id,
      most,
    );

  const titles: Titles = {
    table,
    onLearn(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    readTexts(section) {
      const checked = checkTexts(section);
      // PostgreSQL's text cannot hold U+0000, and no honest title has one.
      return checked.ok && !checked.value.some((text) => text.some((t) => t?.includes("\0") === true))
        ? checked.value
        : undefined;
    },
    async learn(texts) {
      const fresh = new Map<string, { hash: Buffer; text: TitleText }>();
      for (const [i, text] of texts.entries()) {
        const hash = hashTitle(text);
        if (table.find(hash, 0) === 0) fresh.set(hash.toString("latin1"), { hash, text });
        if (i % learnSlice === learnSlice - 1) await breathe();
      }
      const list = [...fresh.values()];
      for (let at = 0; at < list.length; at += learnSlice) {
        const slice = list.slice(at, at + learnSlice);
        const rows = await db.transaction(async (trx) => {
          await titleStore.insert(db, trx, slice, clock.now());
          return titleStore.byHashes(
            trx,
            slice.map((s) => s.hash),
          );
        });
        take(rows);
        await breathe();
      }
    },
    async unknown(packed) {
      await titles.find([packed]);
      return Buffer.concat(missing(packed));
    },
    async find(packed) {
      // SQLite belongs to one process.
      if (db.dialect === "sqlite") return;
      const hashes = packed.flatMap(missing);
      for (let at = 0; at < hashes.length; at += hashesAtOnce)
        take(await titleStore.byHashes(db.kysely, hashes.slice(at, at + hashesAtOnce)));
    },
    async know(from, ids) {
      const strange = new Set<number>();
      for (const list of ids)
        for (let i = 0; i < list.length; i++) if (!table.has(list[i] as number)) strange.add(list[i] as number);
      const wanted = [...strange];
      for (let at = 0; at < wanted.length; at += learnSlice)
        take(await titleStore.byIds(from, wanted.slice(at, at + learnSlice)));
    },
    idsOf(packed) {
      const ids = new Uint32Array(packed.length / 8);
      for (let i = 0; i < ids.length; i++) {
        const id = table.find(packed, i * 8);
        if (id === 0) return undefined;
        ids[i] = id;
      }
      return ids.sort();
    },
    async byIds(ids) {
      const found = new Map<number, KnownTitle>();
      for (let at = 0; at < ids.length; at += 5000)
        for (const row of await titleStore.byIds(db.kysely, ids.slice(at, at + 5000))) found.set(row.id, row);
      return found;
    },
    async *each() {
      for await (const rows of stored(1000)) {
        const strange = rows.filter(({ id }) => !table.has(id));
        if (strange.length > 0) take(strange);
        yield rows;
      }
    },
  };
  // Nobody is served yet.
  for await (const rows of stored(20_000)) for (const row of rows) table.add(row.hash, row.id);
  return titles;
}
