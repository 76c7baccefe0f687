import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { createEvents } from "../../events.ts";
import { forEachStore } from "../../testing/stores.ts";
import { createOrganization, type Organization } from "./index.ts";

forEachStore((store) => {
  const open = async (): Promise<{ db: Database; org: Organization; moved: number[][]; at: number }> => {
    const db = await store.open();
    const moved: number[][] = [];
    const org = createOrganization({
      db,
      clock: systemClock,
      events: createEvents(silentLog),
      devices: {
        hold: (_trx, employees) => Promise.resolve(employees.map((e) => e * 10)),
        moved: (_trx, devices) => Promise.resolve(void moved.push([...devices])),
      },
    });
    return { db, org, moved, at: 1 };
  };
  const write = (
    { db, org }: { db: Database; org: Organization },
    rows: Parameters<Organization["writeDepartments"]>[1],
  ) => db.transaction((trx) => org.writeDepartments(trx, rows, { mode: "upsert", at: 1 }));

  describe("departments (§4)", () => {
    it("a parent may stand in a later row", async () => {
      const s = await open();
      expect(
        await write(s, [
          { code: "B", name: "Below", parent: "A" },
          { code: "A", name: "Above" },
        ]),
      ).toMatchObject({ created: 2, faults: [] });
      expect(await s.org.department("B")).toEqual({ code: "B", name: "Below", parent: "A" });
    });

    it("writing the same again changes nothing, and an absent field is left as it is", async () => {
      const s = await open();
      const rows = [{ code: "A", name: "A", costCentre: "100", manager: "E1" }];
      await write(s, rows);
      expect(await write(s, rows)).toMatchObject({ created: 0, updated: 0, unchanged: 1 });
      expect(await write(s, [{ code: "A", name: "A2" }])).toMatchObject({ updated: 1 });
      expect(await s.org.department("A")).toEqual({ code: "A", name: "A2", costCentre: "100", manager: "E1" });
      await write(s, [{ code: "A", costCentre: null }]);
      expect(await s.org.department("A")).toEqual({ code: "A", name: "A2", manager: "E1" });
    });

    it("a cycle is refused, with the codes named, also when only part of it is new", async () => {
      const s = await open();
      await write(s, [
        { code: "A", name: "A" },
        { code: "B", name: "B", parent: "A" },
        { code: "C", name: "C", parent: "B" },
      ]);
      const result = await write(s, [{ code: "A", parent: "C" }]);
      expect(result.faults).toMatchObject([{ row: 0, field: "parent", code: "department-cycle" }]);
      expect(result.faults[0]?.message).toMatch(/A → C → B → A|C → B → A → C|B → A → C → B/);
      expect((await write(s, [{ code: "D", name: "D", parent: "D" }])).faults).toMatchObject([
        { code: "department-cycle" },
      ]);
      await expect(s.org.saveDepartment({ code: "A", parent: "B" }, "change")).rejects.toMatchObject({
        code: "input-invalid",
      });
    });

    it("two writers that would close a cycle together: one of them is refused", async () => {
      const s = await open();
      await write(s, [
        { code: "A", name: "A" },
        { code: "B", name: "B" },
      ]);
      const results = await Promise.allSettled([
        s.org.saveDepartment({ code: "A", parent: "B" }, "change"),
        s.org.saveDepartment({ code: "B", parent: "A" }, "change"),
      ]);
      expect(results.map((r) => r.status).toSorted()).toEqual(["fulfilled", "rejected"]);
    });

    it("two that create the same department at once: one creates, the other hears that it exists", async () => {
      const s = await open();
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () => s.org.saveDepartment({ code: "A", name: "A" }, "create")),
      );
      expect(results.filter((r) => r.status === "fulfilled")).toHaveLength(1);
      for (const r of results) if (r.status === "rejected") expect(r.reason).toMatchObject({ code: "already-exists" });
    });

    it("`unassigned` is nobody's code, and unknown parents and missing names are faults of their rows", async () => {
      const s = await open();
      const result = await write(s, [
        { code: "Unassigned", name: "x" },
        { code: "A", name: "A", parent: "nowhere" },
        { code: "B" },
      ]);
      expect(result.faults.map((f) => [f.row, f.field, f.code])).toEqual([
        [0, "code", "code-reserved"],
        [1, "parent", "reference-unknown"],
        [2, "name", "value-required"],
      ]);
      expect(await s.org.departmentExists("B")).toBe(false);
    });

    it("a list is read page by page, in either direction, and by subtree", async () => {
      const s = await open();
      await write(s, [
        { code: "R", name: "root" },
        ...Array.from({ length: 25 }, (_, i) => ({
          code: `D${String(i).padStart(2, "0")}`,
          name: `same`,
          parent: i < 5 ? "R" : "D04",
        })),
      ]);
      for (const sort of ["code", "-code", "name", "-name", "parent", "-costCentre"]) {
        const codes: string[] = [];
        for (let cursor: string | undefined, pages = 0; pages < 20; pages++) {
          const p = await s.org.listDepartments({ limit: 4, sort, ...(cursor !== undefined && { cursor }) });
          codes.push(...p.rows.map((d) => d.code));
          if ((cursor = p.nextCursor) === undefined) break;
        }
        expect(codes).toHaveLength(26);
        expect(new Set(codes).size).toBe(26);
        if (sort === "-code") expect(codes[0]).toBe("R");
      }
      expect((await s.org.listDepartments({ under: "D04" })).rows).toHaveLength(21);
      expect((await s.org.listDepartments({ parent: "R" })).rows).toHaveLength(5);
      await expect(s.org.listDepartments({ sort: "toString" })).rejects.toMatchObject({ code: "input-invalid" });
      await expect(s.org.listDepartments({ cursor: "AAAA" })).rejects.toMatchObject({ code: "input-invalid" });
    });
  });

  describe("employees (§4, §6)", () => {
    it("a changed department moves the employee's devices; anything else does not", async () => {
      const s = await open();
      await write(s, [
        { code: "A", name: "A" },
        { code: "B", name: "B" },
      ]);
      await s.org.saveEmployee({ id: "E1", name: "山田 太郎", department: "A", mail: "y@example.com" }, "create");
      expect(s.moved).toEqual([]);
      await s.org.saveEmployee({ id: "E1", title: "Lead" }, "change");
      expect(s.moved).toEqual([]);
      await s.org.saveEmployee({ id: "E1", department: "B" }, "change");
      expect(s.moved).toHaveLength(1);
      expect(await s.org.employee("E1")).toEqual({
        id: "E1",
        name: "山田 太郎",
        department: "B",
        mail: "y@example.com",
        title: "Lead",
        state: "active",
      });
      await s.org.saveEmployee({ id: "E1", department: null }, "change");
      expect(s.moved).toHaveLength(2);
      expect((await s.org.listEmployees({ department: "unassigned" })).rows).toHaveLength(1);
    });

    it("an unknown department is a fault, an unknown manager a warning", async () => {
      const s = await open();
      const result = await s.db.transaction((trx) =>
        s.org.writeEmployees(
          trx,
          [
            { id: "E1", name: "a", manager: "E2" },
            { id: "E2", name: "b", manager: "E9" },
          ],
          { mode: "upsert", at: 1 },
        ),
      );
      expect(result).toMatchObject({ created: 2, faults: [] });
      expect(result.warnings.map((w) => [w.row, w.field])).toEqual([[1, "manager"]]);
      await expect(s.org.saveEmployee({ id: "E3", name: "c", department: "Z" }, "create")).rejects.toMatchObject({
        code: "input-invalid",
      });
      await expect(s.org.saveEmployee({ id: "E4", name: "c" }, "change")).rejects.toMatchObject({ code: "not-found" });
    });
  });
});
