/** What came of a change is kept in parts, and answered whole. */
import { expect, it } from "vitest";
import { forEachStore } from "../../../testing/stores.ts";
import { orgChangeMigrations } from "./migrations.ts";
import { outcomes } from "./outcomes.ts";
import type { OrgOutcome } from "./types.ts";

const people = (count: number): OrgOutcome => ({
  departments: [{ department: "A", change: "dissolved", name: "A 部" }],
  employees: Array.from({ length: count }, (_, i) => ({ employee: `E${i}`, change: "moved", from: "A", devices: i })),
  devices: Array.from({ length: count / 2 }, (_, i) => ({ device: `PC${i}`, from: "A", to: "B" })),
  positions: [],
  applications: [],
  allocations: [],
  handOvers: [],
  warnings: [],
});

forEachStore((store) => {
  it("is answered as it was kept, however much it is", async () => {
    const db = await store.open();
    for (const [id, outcome] of [
      ["few", people(2)],
      ["many", people(12_000)],
      ["none", { ...people(0), departments: [] }],
    ] as const)
      // prettier-ignore
      await db.transaction((trx) => outcomes.keep(trx, id, outcome));
    expect(await outcomes.of(db.kysely, "few")).toEqual(people(2));
    expect(await outcomes.of(db.kysely, "many")).toEqual(people(12_000));
    expect(await outcomes.of(db.kysely, "none")).toEqual({ ...people(0), departments: [] });
    await db.close();
  });

  it("of an earlier version's store is still there", async () => {
    const db = await store.open();
    await db.transaction(async (trx) => {
      await trx.schema.dropTable("org_change_outcomes").execute();
      await trx.schema.alterTable("org_changes").addColumn("outcome", "text").execute();
      const row = { place: 1, state: "applied", effective_on: null, types: "move", changes: "[]", idempotency_key: null, digest: "", created_at: 1, created_by: "t", done_at: 1, failure: null }; // prettier-ignore
      await trx.insertInto("org_changes").values([{ ...row, id: "done", outcome: JSON.stringify(people(4)) } as never, { ...row, id: "planned", place: 2, outcome: null } as never]).execute(); // prettier-ignore
      await orgChangeMigrations
        .find(({ name }) => name.endsWith("-organization-outcomes"))
        ?.up(trx as never, db.dialect);
    });
    expect(await outcomes.of(db.kysely, "done")).toEqual(people(4));
    await db.close();
  });
});
