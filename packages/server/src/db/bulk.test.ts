import fc from "fast-check";
import { sql } from "kysely";
import { expect, it } from "vitest";
import { forEachStore } from "../testing/stores.ts";
import { blob, integer, text } from "./dialect.ts";

const columns = [integer("device"), integer("base"), blob("titles"), blob("details"), blob("probes"), blob("machine"), blob("scan")]; // prettier-ignore
const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b));

forEachStore((store) => {
  it("rows of bytes, empty and absent ones too, come back as they went, however many go at once", async () => {
    const db = await store.open();
    const row = fc.tuple(bytes, bytes, bytes, bytes, fc.option(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), async (values) => {
        const rows = values.map((blobs, i) => [i + 1, i % 3 === 0 ? null : i, ...blobs]);
        const update = Object.fromEntries(columns.slice(1).map(({ name }) => [name, "replace"] as const));
        await db.transaction((trx) => db.bulk.insert(trx, { table: "inv_states", columns, conflict: ["device"], update }, rows)); // prettier-ignore
        const held = await db.kysely.selectFrom("inv_states").selectAll().where("device", "<=", rows.length).orderBy("device").execute(); // prettier-ignore
        expect(held.map((h) => [h.device, h.base, h.titles, h.details, h.probes, h.machine, h.scan])).toEqual(rows);
      }),
      { numRuns: 25 },
    );
  });

  if (store.name === "postgres") {
    it("a row that is as it should be is not written again", async () => {
      const db = await store.open();
      const write = (value: number): Promise<void> =>
        db.transaction(
          (trx) =>
          db.bulk.update(trx, { table: "inv_marks", keys: [text("name")], set: [integer("change")] }, [["m", value]]), // prettier-ignore
        );
      const version = async (): Promise<unknown> =>
        (await sql<{ xmin: string }>`select xmin::text from inv_marks where name = 'm'`.execute(db.kysely)).rows;
      await db.kysely.insertInto("inv_marks").values({ name: "m", change: 1 }).execute();
      const before = await version();
      await write(1);
      expect(await version()).toEqual(before);
      await write(2);
      expect(await version()).not.toEqual(before);
    });

    it("a table whose rows are all written over again and again stays near its size", async () => {
      const db = await store.open();
      const size = async (): Promise<number> =>
        Number((await sql<{ n: number }>`select pg_relation_size('inv_states') as n`.execute(db.kysely)).rows[0]?.n);
      const none = Buffer.alloc(0);
      const update = Object.fromEntries(columns.slice(1).map(({ name }) => [name, "replace"] as const));
      const round = async (n: number): Promise<void> => {
        for (let at = 0; at < 4000; at += 100) {
          const rows = Array.from({ length: 100 }, (_, i) => [at + i + 1, n, Buffer.alloc(700, n), none, none, none, null]); // prettier-ignore
          await db.transaction((trx) => db.bulk.insert(trx, { table: "inv_states", columns, conflict: ["device"], update }, rows)); // prettier-ignore
        }
      };
      await round(1);
      const once = await size();
      for (let n = 2; n <= 6; n++) await round(n);
      // Without a vacuum in between it would be six times.
      expect((await size()) / once).toBeLessThan(3);
    });
  }
});
