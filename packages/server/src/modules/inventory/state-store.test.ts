/** States as rows: whatever base they are written against, and whatever became of the transaction that made it. */
import { expect, it } from "vitest";
import { packSection } from "@daicho/protocol";
import { forEachStore } from "../../testing/stores.ts";
import { stateStore, type StateRow } from "./state-store.ts";

forEachStore((store) => {
  it("come back as they were written, also after a rollback of what made their base", async () => {
    const db = await store.open();
    const titlesOf = (n: number): Uint32Array =>
      Uint32Array.from([...Array.from({ length: 300 }, (_, i) => 1 + i * 3), ...Array.from({ length: 20 }, (_, i) => 1000 + ((i * 37 + n) % 500) * 2)]).sort(); // prettier-ignore
    const state = (device: number): StateRow => ({
      device,
      titles: new Set(titlesOf(device)).size === 320 ? titlesOf(device) : Uint32Array.from(new Set(titlesOf(device))),
      details: Buffer.of(device),
      probes: packSection([]),
      machine: Buffer.of(1, device),
      scan: null,
      asserted: null,
    });
    const write = (devices: readonly number[], fail = false): Promise<void> =>
      db.transaction(async (trx) => {
        await stateStore.upsertStates(db, trx, devices.map(state));
        if (fail) throw new RangeError("rolled back");
      });
    await expect(write([1, 2, 3], true)).rejects.toThrow("rolled back");
    await write([4]);
    await write([1, 2]);
    await write([3, 5, 6]);
    const bases = await db.kysely.selectFrom("inv_bases").select("id").execute();
    const rows = await db.kysely.selectFrom("inv_states").select(["device", "base", "probes"]).execute();
    expect(bases).toHaveLength(1);
    expect(rows.filter((row) => row.base !== null).length).toBeGreaterThan(3);
    for (const row of rows) if (row.base !== null) expect(row.base).toBe(bases[0]?.id);
    expect(rows.every((row) => row.probes.length === 0)).toBe(true);
    const read = await stateStore.states(db.kysely, [1, 2, 3, 4, 5, 6]);
    for (let device = 1; device <= 6; device++) {
      expect(read.get(device)?.titles).toEqual(state(device).titles);
      expect(read.get(device)).toMatchObject({ details: Buffer.of(device), probes: packSection([]) });
    }
    expect((await stateStore.reportedAfter(db.kysely, 4, 10)).map((s) => s.device)).toEqual([5, 6]);
    expect((await stateStore.titlesOf(db.kysely, [6])).get(6)).toEqual(state(6).titles);
    // An empty device, and one that is rewritten against the base it names.
    await db.transaction(async (trx) => {
      const again = (await stateStore.states(trx, [6])).get(6) as StateRow;
      await stateStore.upsertStates(db, trx, [
        { ...again, titles: again.titles.slice(1) },
        { ...again, device: 7, titles: new Uint32Array(0) },
      ]);
    });
    expect((await stateStore.titlesOf(db.kysely, [6])).get(6)).toEqual(state(6).titles.slice(1));
    expect((await stateStore.titlesOf(db.kysely, [7])).get(7)).toHaveLength(0);
  });
});
