import { sql } from "kysely";
import { expect, it } from "vitest";
import { forEachStore } from "../testing/stores.ts";
import { createGroupCommit } from "./group.ts";

forEachStore((store) => {
  it("writes that come at once share commits, in their order; one that fails takes nothing of the others with it", async () => {
    const db = await store.open();
    await sql`create table things (n integer not null primary key)`.execute(db.kysely);
    const seen: number[] = [];
    const add = createGroupCommit<number, number>({
      db,
      most: 4,
      async work(trx, n) {
        seen.push(n);
        await sql`insert into things (n) values (${n})`.execute(trx);
        if (n % 7 === 0) throw new RangeError(`not ${n}`);
        return n * 2;
      },
    });
    const answers = await Promise.allSettled([1, 2, 3, 4, 5, 6, 7, 8, 9, 1].map((n) => add(n)));
    expect(answers.map((a) => (a.status === "fulfilled" ? a.value : "refused"))).toEqual([
      ...[2, 4, 6, 8, 10, 12],
      ...["refused", 16, 18, "refused"],
    ]);
    expect(seen.slice(0, 4)).toEqual([1, 2, 3, 4]);
    const { rows } = await sql<{ n: number }>`select n from things order by n`.execute(db.kysely);
    expect(rows.map((row) => row.n)).toEqual([1, 2, 3, 4, 5, 6, 8, 9]);
    // And it goes on.
    expect(await add(20)).toBe(40);
    await sql`drop table things`.execute(db.kysely);
  });
});
