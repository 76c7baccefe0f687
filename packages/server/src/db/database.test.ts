import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@daicho/kernel";
import { forEachStore } from "../testing/stores.ts";
import { openDatabase } from "./database.ts";
import { inSet } from "./sets.ts";
import { Sqlite } from "./sqlite.ts";

forEachStore((store) => {
  describe("a snapshot", () => {
    it("reads one moment, whatever is committed meanwhile, and waits for no writer", async () => {
      const db = await store.open();
      const version = (at: typeof db.kysely) =>
        at
          .selectFrom("lic_version")
          .select("version")
          .executeTakeFirstOrThrow()
          .then((r) => r.version);
      await db.transaction(async (trx) => {
        await trx.updateTable("lic_version").set({ version: 5 }).execute();
        expect(await db.snapshot(version)).toBe(0);
      });
      await db.snapshot(async (trx) => {
        expect(await version(trx)).toBe(5);
        await db.transaction((w) => w.updateTable("lic_version").set({ version: 6 }).execute());
        expect(await version(trx)).toBe(5);
      });
      expect(await db.snapshot(version)).toBe(6);
      await expect(
        db.snapshot((trx) => trx.updateTable("lic_version").set({ version: 7 }).execute()),
      ).rejects.toThrow();
      expect(await db.snapshot(version)).toBe(6);
    });
  });

  it("a set of any size is one parameter", async () => {
    const db = await store.open();
    const now = { created_at: 0, manager: null, parent: null, cost_centre: null, dissolved_at: null };
    await db.kysely
      .insertInto("org_departments")
      .values([
        { code: "a", name: "A", ...now },
        { code: "b'\"", name: "B", ...now },
      ])
      .execute();
    const find = (values: string[] | number[], column = "code") =>
      db.kysely
        .selectFrom("org_departments")
        .select("code")
        .where(inSet(db.dialect, `org_departments.${column}`, values))
        .orderBy("ordinal")
        .execute();
    expect(await find([])).toEqual([]);
    expect(await find(["b'\"", ...Array.from({ length: 70_000 }, (_, i) => `x${i}`)])).toEqual([{ code: "b'\"" }]);
    expect(await find([1, 2], "ordinal")).toHaveLength(2);
  });
});

it("a transaction that begins by reading may write, whoever else has the SQLite file open (`daicho admin token`)", async () => {
  const dir = mkdtempSync(join(tmpdir(), "daicho-two-"));
  const file = join(dir, "daicho.db");
  const db = await openDatabase({ url: `sqlite:${file}`, clock: systemClock, log: silentLog });
  const other = new Sqlite(file, { timeout: 0 });
  try {
    const mark = "insert into inv_marks (name, change) values ('other', 1)";
    await db.transaction(async (trx) => {
      await trx.selectFrom("inv_marks").selectAll().execute();
      expect(() => other.exec(mark)).toThrow("locked");
      await trx.insertInto("inv_marks").values({ name: "own", change: 1 }).execute();
    });
    other.exec(mark);
    expect(await db.kysely.selectFrom("inv_marks").select("name").orderBy("name").execute()).toEqual([
      { name: "other" },
      { name: "own" },
    ]);
  } finally {
    other.close();
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
