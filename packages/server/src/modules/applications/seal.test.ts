import { sql } from "kysely";
import { expect, it } from "vitest";
import { startServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";
import type { Caller } from "../access/index.ts";

const manager: Caller = { tokenId: "tm", role: "manager" };

forEachStore((store) => {
  it("any stored field of an application that is changed, and any row that is added or taken away, is found and named", async () => {
    const server = await startServer(store, { role: "corporate" });
    const { applications, purchases, db } = server.server;
    try {
      const put = async (path: string, json: unknown): Promise<void> =>
        expect((await server.api("PUT", path, { json })).status).toBeLessThan(300);
      await put("/api/v1/departments/TOP", { name: "Top", manager: "m2" });
      await put("/api/v1/departments/D", { name: "D", parent: "TOP", manager: "m1" });
      for (const id of ["m1", "m2", "e"]) await put(`/api/v1/employees/${id}`, { name: id });
      await server.api("POST", "/api/v1/entitlements", {
        json: { license: "@L", quantity: 2, unitPrice: 5, currency: "EUR" },
      });
      const input = { department: "D", license: "@L", quantity: 9, reason: "r", applicant: "e", acceptIdle: true };
      const { id } = await applications.file(input, manager, "key");
      await applications.decide(id, { decision: "approved", comment: "a" }, manager);
      await applications.decide(id, { decision: "approved", comment: "b" }, manager);
      const other = (await applications.file(input, manager)).id;
      await applications.withdraw(other, "w", manager);
      // Used 5, rights 2: the run grants 3 of the 7 requested.
      await sql`insert into lic_usage (department, license, used)
        select department, license, 5 from app_applications where id = ${id}`.execute(db.kysely);
      await sql`update lic_version set version = version + 1`.execute(db.kysely);
      await purchases.run({ period: "p" });
      expect(await applications.get(id, manager)).toMatchObject({
        state: "approved",
        granted: 3,
        signaturesValid: true,
      });

      const found = async (): Promise<string[]> =>
        (await applications.verifyAll()).faults.map((fault) => `${fault.application} ${fault.what}`);
      expect(await found()).toEqual([]);

      for (const table of ["app_applications", "app_steps", "app_grants"] as const) {
        const key = table === "app_applications" ? "id" : "application";
        const of = table === "app_applications" ? other : id;
        for (const target of [id, of]) {
          const rows = await sql<
            Record<string, unknown>
          >`select * from ${sql.table(table)} where ${sql.ref(key)} = ${target}`.execute(db.kysely);
          const row = rows.rows[rows.rows.length - 1];
          if (row === undefined) continue;
          const identity = table === "app_steps" ? sql` and place = ${row["place"]}` : sql``;
          for (const [column, value] of Object.entries(row)) {
            if (column === key) continue;
            const changed =
              typeof value === "number" ? value + 1 : value === null ? altered(column) : `${String(value)}x`;
            const where = sql`where ${sql.ref(key)} = ${target}`;
            await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${changed} ${where}${identity}`.execute(
              db.kysely,
            );
            expect([table, column, await found()]).toEqual([
              table,
              column,
              expect.arrayContaining([`${target} record`]),
            ]);
            const back = column === "place" ? sql` and place = ${changed}` : identity;
            await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${value} ${where}${back}`.execute(db.kysely);
            expect(await found()).toEqual([]);
          }
        }
      }

      // Nor can a whole application go, or come back as it was with the seal of then - not even where its department's numbers follow.
      const complete = async (): Promise<boolean> => (await applications.verifyAll()).complete;
      const all = async (of: string) => ({
        rows: await db.kysely.selectFrom("app_applications").selectAll().where("id", "=", of).execute(),
        steps: await db.kysely.selectFrom("app_steps").selectAll().where("application", "=", of).execute(),
      });
      const putBack = async (of: string, { rows, steps }: Partial<Awaited<ReturnType<typeof all>>>): Promise<void> => {
        await db.kysely.deleteFrom("app_applications").where("id", "=", of).execute();
        await db.kysely.deleteFrom("app_steps").where("application", "=", of).execute();
        if (rows !== undefined) await db.kysely.insertInto("app_applications").values(rows).execute();
        if (steps !== undefined) await db.kysely.insertInto("app_steps").values(steps).execute();
      };
      expect(await complete()).toBe(true);
      const third = (await applications.file(input, manager)).id;
      const early = await all(third);
      await applications.withdraw(third, "w", manager);
      expect(await complete()).toBe(true);
      const late = await all(third);
      await putBack(third, early);
      expect([await found(), await complete()]).toEqual([[], false]);
      await putBack(third, late);
      expect(await complete()).toBe(true);
      await putBack(third, {});
      expect([await found(), await complete()]).toEqual([[], false]);
      // What comes after does not hide it, nor does a register that fits and is not signed so.
      await applications.withdraw((await applications.file(input, manager)).id, "w", manager);
      expect([await found(), await complete()]).toEqual([[], false]);
      await sql`update app_register set applications = applications - 1`.execute(db.kysely);
      await applications.withdraw((await applications.file(input, manager)).id, "w", manager);
      expect(await complete()).toBe(false);

      // A decision whose seal was made anew by a thief of the database alone would still not have its signature.
      await sql`update app_steps set comment = 'else' where application = ${id} and place = 1`.execute(db.kysely);
      expect(await found()).toEqual([`${id} step 1`, `${id} record`]);
      expect(await applications.get(id, manager)).toMatchObject({
        signaturesValid: false,
        signatureFaults: ["step 1", "record"],
      });
      await sql`update app_steps set comment = 'a' where application = ${id} and place = 1`.execute(db.kysely);
      await sql`update app_applications set content = '{' where id = ${id}`.execute(db.kysely);
      expect(await found()).toContain(`${id} content`);
      expect((await applications.list({ limit: 10 }, manager)).rows).toHaveLength(4);
      expect(await applications.get(id, manager)).toMatchObject({ reason: "", signaturesValid: false });
      await sql`delete from app_steps where application = ${other} and place = 2`.execute(db.kysely);
      await sql`insert into app_grants (application, source, quantity, at) values (${other}, 's', 1, 1)`.execute(
        db.kysely,
      );
      expect(await found()).toContain(`${other} record`);
    } finally {
      await server.stop();
    }
  });
});

/** A value for a column that is empty. */
function altered(column: string): string | number {
  return column.endsWith("_at") || column === "department" ? 1 : "x";
}
