/** A store of an earlier version keeps every fact when it becomes compact. */
import { sql } from "kysely";
import { expect, it } from "vitest";
import { packSection, sha256 } from "@daicho/protocol";
import { forEachStore } from "../../testing/stores.ts";
import { headStore } from "./head-store.ts";
import { indexStore } from "./index-store.ts";
import { inventoryMigrations } from "./migrations.ts";
import { members } from "./ordinals.ts";
import { packSorted } from "./pack.ts";

forEachStore((store) => {
  it("turns rows of an earlier version into compact ones without losing any", async () => {
    const db = await store.open();
    const compact = inventoryMigrations.findIndex((m) => m.name === "202611221400-inventory-compact");
    // Bitmaps as earlier versions wrote them, and one that is as long as it is now.
    const bits = Buffer.concat([Buffer.of(1), Buffer.alloc(8192, 0b1001)]);
    const noise = Buffer.concat([Buffer.of(1), ...Array.from({ length: 256 }, (_, i) => sha256(Buffer.of(i)))]);
    const devices = Array.from({ length: 1100 }, (_, i) => i + 1);
    const id = (device: number): string => device.toString(16).padStart(32, "0");
    const evidence = (device: number): string | null =>
      device % 3 === 0 ? null : JSON.stringify({ hostname: `pc-${device}`, serial: `S${device}`, macs: ["02:00:00:00:00:01"] }); // prettier-ignore
    const titles = packSorted([3, 5, 900]);
    await db.transaction(async (trx) => {
      for (const table of [
        "bases",
        "identities",
        "heads",
        "states",
        "titles",
        "changes",
        "postings",
        "marks",
        "missing",
        "clones",
      ])
        await sql`drop table ${sql.ref(`inv_${table}`)}`.execute(trx);
      for (const migration of inventoryMigrations.slice(0, compact)) await migration.up(trx as never, db.dialect);
      for (const device of devices) {
        await sql`insert into inv_identities (id, public_key, device, evidence, enrolled_at, token, first_evidence, forked_at)
          values (${id(device)}, ${Buffer.alloc(32, device).toString("base64url")}, ${device}, ${evidence(device)}, 5, 't', ${device % 2 === 0 ? "e2" : null}, null)`.execute(trx); // prettier-ignore
        await sql`insert into inv_heads (device, identity, epoch, seq, digest, evidence, dictionary, made_at, received_at, scanned_at, generation)
          values (${device}, ${device % 5 === 0 ? "import" : id(device)}, 1, 2, ${Buffer.alloc(32, 7)}, ${device % 2 === 0 ? "odd text" : null}, 1, 2, 3, 4, 5)`.execute(trx); // prettier-ignore
      }
      await sql`insert into inv_states (device, titles, details, probes, machine)
        values (1, ${titles}, ${Buffer.of(1)}, ${packSection([])}, ${Buffer.of(2)})`.execute(trx);
      for (const [title, chunk, container] of [
        [3, 0, Buffer.from([0, 1, 0])],
        [5, 0, bits],
        [5, 2, noise],
        [900, 2, Buffer.from([2, 7, 200, 1])],
      ])
        // prettier-ignore
        await sql`insert into inv_postings (title, chunk, container) values (${title}, ${chunk}, ${container})`.execute(
          trx,
        );
      for (const migration of inventoryMigrations.slice(compact)) await migration.up(trx as never, db.dialect);
    });
    const identities = await headStore.identities(db.kysely, devices.map(id));
    expect(identities).toHaveLength(devices.length);
    for (const row of identities)
      expect(row).toMatchObject({
        id: id(row.device),
        public_key: Buffer.alloc(32, row.device).toString("base64url"),
        evidence: evidence(row.device),
        token: "t",
        first_evidence: row.device % 2 === 0 ? "e2" : null,
      });
    const heads = await headStore.heads(db.kysely, devices, false);
    expect(heads.size).toBe(devices.length);
    expect(heads.get(5)).toMatchObject({ identity: "import", evidence: null, seq: 2, received_at: 3 });
    expect(heads.get(4)).toMatchObject({ identity: id(4), evidence: "odd text", generation: 5 });
    const state = (await headStore.states(db.kysely, [1])).get(1);
    expect(state).toMatchObject({ titles: Uint32Array.of(3, 5, 900), details: Buffer.of(1), probes: packSection([]) });
    const postings = await indexStore.containers(db.kysely, [3, 5, 900], [0, 1, 2]);
    const inChunk = (title: number, chunk: number): number[] => [...members(postings.get(title)?.get(chunk) ?? Buffer.alloc(1))]; // prettier-ignore
    expect([inChunk(3, 0), inChunk(900, 2)]).toEqual([[1], [7, 207]]);
    expect(inChunk(5, 0)).toEqual([...members(bits)]);
    expect(inChunk(5, 2)).toEqual([...members(noise)]);
    await db.transaction(async (trx) => {
      await headStore.setFirstEvidence(db, trx, [
        { id: id(1), evidence: "first" },
        { id: id(2), evidence: "not the first" },
      ]);
    });
    const again = await headStore.identities(db.kysely, [id(1), id(2)]);
    expect(again.map((row) => row.first_evidence).sort()).toEqual(["e2", "first"]);
  });
});
