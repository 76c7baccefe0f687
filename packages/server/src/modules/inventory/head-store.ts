/** Purpose: where each device's reporting stands, and its state, as rows; one query per method. */
import type { Kysely } from "kysely";
import type { Database, Trx } from "../../db/database.ts";
import { among } from "../../db/sets.ts";
import { blob, integer, text } from "../../db/dialect.ts";
import type { Schema } from "../../db/schema.ts";

type Db = Kysely<Schema> | Trx;
export type HeadRow = Schema["inv_heads"];
export type StateRow = Schema["inv_states"];
export type IdentityRow = Schema["inv_identities"];

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
  async heads(db: Db, devices: readonly number[], lock: boolean): Promise<Map<number, HeadRow>> {
    if (devices.length === 0) return new Map();
    let query = db
      .selectFrom("inv_heads")
      .selectAll()
      .where(among(db, "device", devices))
      .orderBy("device");
    if (lock) query = query.forUpdate();
    return new Map((await query.execute()).map((row) => [row.device, row]));
  },

  async states(db: Db, devices: readonly number[]): Promise<Map<number, StateRow>> {
    if (devices.length === 0) return new Map();
    const rows = await db
      .selectFrom("inv_states")
      .selectAll()
      .where(among(db, "device", devices))
      .execute();
    return new Map(rows.map((row) => [row.device, row]));
  },

  statesAfter: (db: Db, device: number, limit: number) =>
    db.selectFrom("inv_states").selectAll().where("device", ">", device).orderBy("device").limit(limit).execute(),

  /** Devices whose licences were derived under an older generation than `generation`, with their states. */
  stale: (db: Db, generation: number, after: number, limit: number) =>
    db
      .selectFrom("inv_heads")
      .select(["device", "generation"])
      .where("generation", "<>", generation)
      .where("device", ">", after)
      .orderBy("device")
      .limit(limit)
      .execute(),

  insertHeads: (db: Database, trx: Trx, rows: readonly HeadRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "inv_heads",
        columns: [
          integer("device"),
          text("identity"),
          integer("epoch"),
          integer("seq"),
          blob("digest"),
          text("evidence"),
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
        r.identity,
        r.epoch,
        r.seq,
        r.digest,
        r.evidence,
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

  upsertStates: (db: Database, trx: Trx, rows: readonly StateRow[]) =>
    db.bulk.insert(
      trx,
      {
        table: "inv_states",
        columns: [
          integer("device"),
          blob("titles"),
          blob("details"),
          blob("probes"),
          blob("machine"),
          blob("scan"),
          text("asserted"),
        ],
        conflict: ["device"],
        update: {
          titles: "replace",
          details: "replace",
          probes: "replace",
          machine: "replace",
          scan: "replace",
          asserted: "replace",
        },
      },
      rows.map((r) => [r.device, r.titles, r.details, r.probes, r.machine, r.scan, r.asserted]),
    ),

  insertChanges: (db: Database, trx: Trx, rows: readonly { device: number; at: number; change: Buffer }[]) =>
    db.bulk.insert(
      trx,
      { table: "inv_changes", columns: [integer("device"), integer("at"), blob("change")] },
      rows.map((r) => [r.device, r.at, r.change]),
    ),

  identities: (db: Db, ids: readonly string[]) =>
    ids.length === 0
      ? Promise.resolve([])
      : db
          .selectFrom("inv_identities")
          .selectAll()
          .where(among(db, "id", ids))
          .execute(),

  identityOfDevice: (db: Db, device: number) =>
    db.selectFrom("inv_identities").selectAll().where("device", "=", device).executeTakeFirst(),

  identitiesAt: (db: Db, device: number) =>
    db.selectFrom("inv_identities").select(["id", "device"]).where("device", "=", device).execute(),

  /** Their reports go to these devices from now on. */
  async attach(trx: Trx, identities: readonly { readonly id: string; readonly device: number }[]): Promise<void> {
    for (const { id, device } of identities)
      await trx.updateTable("inv_identities").set({ device }).where("id", "=", id).execute();
  },

  async removeReports(trx: Trx, devices: readonly number[]): Promise<void> {
    await trx.deleteFrom("inv_heads").where("device", "in", devices).execute();
    await trx.deleteFrom("inv_states").where("device", "in", devices).execute();
  },

  insertIdentity: (db: Db, row: IdentityRow) => db.insertInto("inv_identities").values(row).execute(),

  setFirstEvidence: (db: Db, id: string, evidence: string) =>
    db
      .updateTable("inv_identities")
      .set({ first_evidence: evidence })
      .where("id", "=", id)
      .where("first_evidence", "is", null)
      .execute(),

  setForked: (db: Db, id: string, at: number) =>
    db.updateTable("inv_identities").set({ forked_at: at }).where("id", "=", id).execute(),

  async agentsByDictionary(db: Db, current: number): Promise<{ current: number; behind: number }> {
    const rows = await db
      .selectFrom("inv_heads")
      .select((eb) => ["dictionary", eb.fn.countAll().as("agents")])
      .where("identity", "<>", "import")
      .groupBy("dictionary")
      .execute();
    const counts = { current: 0, behind: 0 };
    for (const row of rows) counts[row.dictionary >= current ? "current" : "behind"] += Number(row.agents);
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
    return rows.map((row) => row.id);
  },

  async lastSeen(db: Db, devices: readonly number[]): Promise<Map<number, number>> {
    if (devices.length === 0) return new Map();
    const rows = await db
      .selectFrom("inv_heads")
      .select(["device", "received_at"])
      .where("device", "in", devices)
      .execute();
    return new Map(rows.map((row) => [row.device, row.received_at]));
  },
};
