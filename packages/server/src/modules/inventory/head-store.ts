/** Purpose: where each device's reporting stands, and its state, as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import { among, amongBytes, inSet } from "../../db/sets.ts";
import { packEvidence, packText, unpackEvidence, unpackText } from "./compact.ts";
import { stateStore } from "./state-store.ts";
import { blob, integer } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";
import { breathe } from "../../slices.ts";

type Db = Kysely<Schema> | Trx;
const countedAtOnce = 20_000;
export type { StateRow } from "./state-store.ts";

/** Rows as they are worked with: names as text, whatever their form in the store (compact.ts). */
export type HeadRow = Omit<Schema["inv_heads"], "identity" | "evidence"> & {
  identity: string;
  evidence: string | null;
};
export type IdentityRow = Omit<Schema["inv_identities"], "id" | "public_key" | "evidence" | "first_evidence"> & {
  id: string;
  /** base64url. */
  public_key: string;
  evidence: string | null;
  first_evidence: string | null;
};

const orNull = <A, B>(value: A | null, change: (value: A) => B): B | null => (value === null ? null : change(value));

const readHead = (row: Schema["inv_heads"]): HeadRow => ({
  ...row,
  identity: unpackText(row.identity),
  evidence: orNull(row.evidence, unpackText),
});

const readIdentity = (row: Schema["inv_identities"]): IdentityRow => ({
  ...row,
  id: unpackText(row.id),
  public_key: row.public_key.toString("base64url"),
  evidence: orNull(row.evidence, unpackEvidence),
  first_evidence: orNull(row.first_evidence, unpackText),
});

/** Locks the devices' heads (ascending), so that what is derived from them moves in one hand at a time. A no-op on SQLite. */
export async function lockHeads(db: Database, trx: Trx, devices: readonly number[]): Promise<void> {
  if (db.dialect !== "postgres") return;
  for (let at = 0; at < devices.length; at += 10_000)
    await trx
      .selectFrom("inv_heads")
      .select("device")
      .where("device", "in", [...devices].sort((a, b) => a - b).slice(at, at + 10_000))
      .orderBy("device")
      .forUpdate()
      .execute();
}

export const headStore = {
  ...stateStore,

  async heads(db: Db, devices: readonly number[], lock: boolean): Promise<Map<number, HeadRow>> {
    if (devices.length === 0) return new Map();
    let query = db
      .selectFrom("inv_heads")
      .selectAll()
      .where(among(db, "device", devices))
      .orderBy("device");
    if (lock) query = query.forUpdate();
    return new Map((await query.execute()).map((row) => [row.device, readHead(row)]));
  },

  /** Devices of a range whose licences were derived under a lower generation. */
  stale: (
    db: Db,
    generation: number,
    range: { readonly after: number; readonly upTo: number; readonly limit: number },
  ) =>
    db
      .selectFrom("inv_heads")
      .select(["device", "generation"])
      .where("generation", "<", generation)
      .where("device", ">", range.after)
      .where("device", "<=", range.upTo)
      .orderBy("device")
      .limit(range.limit)
      .execute(),

  async lastDevice(db: Db): Promise<number> {
    const row = await db
      .selectFrom("inv_heads")
      .select((eb) => eb.fn.max("device").as("device"))
      .executeTakeFirst();
    return row?.device ?? 0;
  },

  insertHeads: (db: Database, trx: Trx, rows: readonly HeadRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "inv_heads",
        columns: [
          integer("device"),
          blob("identity"),
          integer("epoch"),
          integer("seq"),
          blob("digest"),
          blob("evidence"),
          integer("dictionary"),
          integer("made_at"),
          integer("received_at"),
          integer("scanned_at"),
          integer("generation"),
        ],
        conflict: ["device"],
        update: {
          identity: "replace",
          epoch: "replace",
          seq: "replace",
          digest: "replace",
          evidence: "replace",
          dictionary: "replace",
          made_at: "replace",
          received_at: "replace",
          scanned_at: "replace",
          generation: "replace",
        },
      },
      rows.map((r) => [
        r.device,
        packText(r.identity),
        r.epoch,
        r.seq,
        r.digest,
        orNull(r.evidence, packText),
        r.dictionary,
        r.made_at,
        r.received_at,
        r.scanned_at,
        r.generation,
      ]),
    ),

  setGeneration: (db: Database, trx: Trx, devices: readonly number[], generation: number) =>
    db.bulk.update(
      trx,
      { table: "inv_heads", keys: [integer("device")], set: [integer("generation")] },
      devices.map((device) => [device, generation]),
    ),

  lowerGeneration: (db: Database, trx: Trx, devices: readonly number[], generation: number) =>
    trx
      .updateTable("inv_heads")
      .set({ generation })
      .where(inSet(db.dialect, "inv_heads.device", devices))
      .where("generation", ">", generation)
      .execute(),

  insertChanges: (db: Database, trx: Trx, rows: readonly { device: number; at: number; change: Buffer }[]) =>
    db.bulk.insert(
      trx,
      { table: "inv_changes", columns: [integer("device"), integer("at"), blob("change")] },
      rows.map((r) => [r.device, r.at, r.change]),
    ),

  async identities(db: Db, ids: readonly string[]): Promise<IdentityRow[]> {
    if (ids.length === 0) return [];
    const rows = await db
      .selectFrom("inv_identities")
      .selectAll()
      .where(amongBytes(db, "id", ids.map(packText)))
      .execute();
    return rows.map(readIdentity);
  },

  identityOfDevice: (db: Db, device: number) =>
    db.selectFrom("inv_identities").select("device").where("device", "=", device).limit(1).executeTakeFirst(),

  async identitiesAt(db: Db, device: number): Promise<{ id: string; device: number }[]> {
    const rows = await db.selectFrom("inv_identities").select(["id", "device"]).where("device", "=", device).execute();
    return rows.map((row) => ({ id: unpackText(row.id), device: row.device }));
  },

  /** Their reports go to these devices from now on. */
  async attach(trx: Trx, identities: readonly { readonly id: string; readonly device: number }[]): Promise<void> {
    for (const { id, device } of identities)
      await trx.updateTable("inv_identities").set({ device }).where("id", "=", packText(id)).execute();
  },

  async removeReports(trx: Trx, devices: readonly number[]): Promise<void> {
    await trx.deleteFrom("inv_heads").where("device", "in", devices).execute();
    await trx.deleteFrom("inv_states").where("device", "in", devices).execute();
  },

  insertIdentity: (db: Db, row: IdentityRow) =>
    db
      .insertInto("inv_identities")
      .values({
        ...row,
        id: packText(row.id),
        public_key: Buffer.from(row.public_key, "base64url"),
        evidence: orNull(row.evidence, packEvidence),
        first_evidence: orNull(row.first_evidence, packText),
      })
      .execute(),

  /** Where there is none yet. */
  setFirstEvidence: (db: Database, trx: Trx, rows: readonly { readonly id: string; readonly evidence: string }[]) =>
    db.bulk.update(
      trx,
      { table: "inv_identities", keys: [blob("id")], set: [blob("first_evidence")], whereNull: "first_evidence" },
      rows.map(({ id, evidence }) => [packText(id), packText(evidence)]),
    ),

  setForked: (db: Db, id: string, at: number) =>
    db.updateTable("inv_identities").set({ forked_at: at }).where("id", "=", packText(id)).execute(),

  /** How many agents hold the dictionary `current`, and how many an older one; the same query for one range of devices after the other. */
  async agentsByDictionary(db: Db, current: number): Promise<{ current: number; behind: number }> {
    const counts = { current: 0, behind: 0 };
    const last = await headStore.lastDevice(db);
    for (let after = 0; after < last; after += countedAtOnce) {
      const rows = await db
        .selectFrom("inv_heads")
        .select((eb) => ["dictionary", eb.fn.countAll().as("agents")])
        .where("device", ">", after)
        .where("device", "<=", after + countedAtOnce)
        .where("identity", "<>", packText("import"))
        .groupBy("dictionary")
        .execute();
      for (const row of rows) counts[row.dictionary >= current ? "current" : "behind"] += Number(row.agents);
      await breathe();
    }
    return counts;
  },

  /** Identities attached to devices named by their ledger ids. */
  async identitiesOf(db: Db, ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await db
      .selectFrom("inv_identities as i")
      .innerJoin("dev_devices as d", "d.ordinal", "i.device")
      .select("i.id")
      .where("d.id", "in", ids)
      .execute();
    return rows.map((row) => unpackText(row.id));
  },

  async lastSeen(db: Db, devices: readonly number[]): Promise<Map<number, number>> {
    const rows = await db
      .selectFrom("inv_heads")
      .select(["device", "received_at"])
      .where(among(db, "device", devices))
      .execute();
    return new Map(rows.map((row) => [row.device, row.received_at]));
  },
};
