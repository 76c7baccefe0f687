/**
 * Purpose: devices' states as rows: titles against their base (bases.ts), sections as sent, the usual emptiness as no bytes.
 * Invariants: bases are inserted in the transaction whose rows name them. A base made by a transaction that was rolled back is forgotten before the
 * next row is written.
 */
import type { Kysely } from "kysely";
import { packSection } from "@daicho/protocol";
import type { Database, Trx } from "../../db/database.ts";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { among } from "../../db/sets.ts";
import { createBaseBook, isDecoded, remember, unpackTitles, type Base, type BaseBook } from "./bases.ts";

type Db = Kysely<Schema> | Trx;
type Row = Schema["inv_states"];

/** A device's state as it is worked with. */
export interface StateRow {
  readonly device: number;
  /** Sorted ids. */
  readonly titles: Uint32Array;
  readonly details: Buffer;
  readonly probes: Buffer;
  readonly machine: Buffer;
  readonly scan: Buffer | null;
  readonly asserted: string | null;
  /** The base its row names, where it was read from one: a hint for the next row. */
  readonly base?: number | null;
}

/** A row of a state, its titles packed. */
export type ReportedRow = Omit<Row, "scan"> & { readonly digest: Buffer | null };

/** Most devices have no hits of machine probes: stored as no bytes. */
const noProbes = packSection([]);
const nothing = Buffer.alloc(0);

const columns = [
  integer("device"),
  integer("base"),
  blob("titles"),
  blob("details"),
  blob("probes"),
  blob("machine"),
  blob("scan"),
  text("asserted"),
] as const;
const replace = Object.fromEntries(columns.slice(1).map((c) => [c.name, "replace"] as const));

interface Book {
  readonly book: BaseBook;
  /** Made by a transaction that has not been seen to commit. */
  readonly unconfirmed: Map<number, Trx>;
}
const books = new WeakMap<Database, Book>();

async function bookOf(db: Database, trx: Trx): Promise<Book> {
  let known = books.get(db);
  if (known === undefined) {
    const rows = await trx.selectFrom("inv_bases").select(["id", "titles"]).orderBy("id").limit(20_000).execute();
    books.set(db, (known = { book: createBaseBook(), unconfirmed: new Map() }));
    for (const row of rows) known.book.add({ id: row.id, bytes: row.titles });
  }
  const open = [...known.unconfirmed].filter(([, from]) => from !== trx).map(([id]) => id);
  if (open.length > 0) {
    const there = await trx
      .selectFrom("inv_bases")
      .select("id")
      .where(among(trx, "id", open))
      .execute();
    const committed = new Set(there.map((row) => row.id));
    for (const id of open) {
      known.unconfirmed.delete(id);
      if (!committed.has(id)) known.book.remove(id);
    }
  }
  return known;
}

async function loadBases(db: Db, rows: readonly Pick<Row, "base">[]): Promise<void> {
  const missing = new Set<number>();
  for (const { base } of rows) if (base !== null && !isDecoded(base)) missing.add(base);
  if (missing.size === 0) return;
  const found = await db
    .selectFrom("inv_bases")
    .select(["id", "titles"])
    .where(among(db, "id", [...missing]))
    .execute();
  for (const row of found) remember({ id: row.id, bytes: row.titles });
}

async function read(db: Db, rows: readonly Row[]): Promise<StateRow[]> {
  await loadBases(db, rows);
  return rows.map((row) => ({
    device: row.device,
    titles: unpackTitles(row),
    details: row.details,
    probes: probesOf(row),
    machine: row.machine,
    scan: row.scan,
    asserted: row.asserted,
    base: row.base,
  }));
}

/** The row's probes as they were sent. */
export const probesOf = (row: Pick<Row, "probes">): Buffer => (row.probes.length === 0 ? noProbes : row.probes);

async function readTitles(db: Db, rows: readonly Pick<Row, "device" | "base" | "titles">[]) {
  await loadBases(db, rows);
  return rows.map((row) => ({ device: row.device, titles: unpackTitles(row) }));
}

export const stateStore = {
  async states(db: Db, devices: readonly number[]): Promise<Map<number, StateRow>> {
    if (devices.length === 0) return new Map();
    const rows = await db
      .selectFrom("inv_states")
      .selectAll()
      .where(among(db, "device", devices))
      .execute();
    return new Map((await read(db, rows)).map((state) => [state.device, state]));
  },

  /** What licences follow from, titles still packed and their bases in memory. */
  async factsAfter(db: Db, device: number, limit: number) {
    const rows = await db
      .selectFrom("inv_states")
      .select(["device", "base", "titles", "probes", "asserted"])
      .where("device", ">", device)
      .orderBy("device")
      .limit(limit)
      .execute();
    await loadBases(db, rows);
    return rows;
  },

  /** Bases as they are stored. */
  basesAfter: (db: Db, id: number, limit: number) =>
    db.selectFrom("inv_bases").select(["id", "titles"]).where("id", ">", id).orderBy("id").limit(limit).execute(),

  /** States as they are stored, their bases in memory, with the digest of what was reported. */
  async reportedAfter(db: Db, device: number, limit: number): Promise<ReportedRow[]> {
    const rows = await db
      .selectFrom("inv_states as s")
      .leftJoin("inv_heads as h", "h.device", "s.device")
      .select(["s.device", "s.base", "s.titles", "s.details", "s.probes", "s.machine", "s.asserted", "h.digest"])
      .where("s.device", ">", device)
      .orderBy("s.device")
      .limit(limit)
      .execute();
    await loadBases(db, rows);
    return rows;
  },

  titlesAfter: async (db: Db, device: number, limit: number) =>
    readTitles(
      db,
      await db
        .selectFrom("inv_states")
        .select(["device", "base", "titles"])
        .where("device", ">", device)
        .orderBy("device")
        .limit(limit)
        .execute(),
    ),

  machinesOf: (db: Db, devices: readonly number[]) =>
    db
      .selectFrom("inv_states")
      .select(["device", "machine"])
      .where(among(db, "device", devices))
      .execute(),

  async lastDevice(db: Db): Promise<number> {
    const row = await db
      .selectFrom("inv_states")
      .select((eb) => eb.fn.max("device").as("device"))
      .executeTakeFirst();
    return row?.device ?? 0;
  },

  async titlesOf(db: Db, devices: readonly number[]): Promise<Map<number, Uint32Array>> {
    if (devices.length === 0) return new Map();
    const rows = await db
      .selectFrom("inv_states")
      .select(["device", "base", "titles"])
      .where(among(db, "device", devices))
      .execute();
    return new Map((await readTitles(db, rows)).map((row) => [row.device, row.titles]));
  },

  async upsertStates(db: Database, trx: Trx, states: readonly StateRow[]): Promise<void> {
    if (states.length === 0) return;
    const { book, unconfirmed } = await bookOf(db, trx);
    const made: Base[] = [];
    const rows = states.map((state) => {
      const packed = book.pack(state.titles, state.base);
      if (packed.made !== undefined) made.push(packed.made);
      const probes = noProbes.equals(state.probes) ? nothing : state.probes;
      return [
        ...[state.device, packed.base, packed.titles, state.details],
        ...[probes, state.machine, state.scan, state.asserted],
      ];
    });
    for (const { id } of made) unconfirmed.set(id, trx);
    await db.bulk.insert(
      trx,
      { table: "inv_bases", columns: [integer("id"), blob("titles")], conflict: ["id"] },
      made.sort((a, b) => a.id - b.id).map(({ id, bytes }) => [id, bytes]),
    );
    await db.bulk.insert(trx, { table: "inv_states", columns, conflict: ["device"], update: replace }, rows);
  },
};
