import { describe, expect, it } from "vitest";
import { systemClock, type Clock } from "@daicho/kernel";
import { createAllocations } from "../../licenses/index.ts";
import { createCompany, type Company } from "../../../testing/company.ts";
import { forEachStore } from "../../../testing/stores.ts";
import type { Database } from "../../../db/database.ts";

/**
 * R ─ A ─ A1, A2 and R ─ B. E1, E2 in A; E3 in B; E4 in A1. E1 has PC1 and PC2, E2 PC3, E3 PC4, E4 PC5; PC6 belongs to A alone.
 * @DEV counts devices, @USER users.
 */
async function company(db: Database, clock?: Clock): Promise<Company> {
  const s = createCompany(db, clock);
  await db.transaction((trx) =>
    s.organization.writeDepartments(
      trx,
      [
        { code: "R", name: "Root" },
        { code: "A", name: "A", parent: "R", manager: "E1" },
        { code: "B", name: "B", parent: "R" },
        { code: "A1", name: "A1", parent: "A" },
        { code: "A2", name: "A2", parent: "A" },
      ],
      { mode: "upsert", at: 1 },
    ),
  );
  await db.transaction((trx) =>
    s.organization.writeEmployees(
      trx,
      [
        { id: "E1", name: "山田", department: "A" },
        { id: "E2", name: "E2", department: "A" },
        { id: "E3", name: "E3", department: "B" },
        { id: "E4", name: "E4", department: "A1" },
      ],
      { mode: "upsert", at: 1 },
    ),
  );
  await db.transaction((trx) =>
    s.devices.writeDevices(
      trx,
      [
        { id: "PC1", employee: "E1" },
        { id: "PC2", employee: "E1", department: "B" },
        { id: "PC3", employee: "E2" },
        { id: "PC4", employee: "E3" },
        { id: "PC5", employee: "E4" },
        { id: "PC6", department: "A" },
      ],
      { mode: "upsert", at: 1, origin: "csv" },
    ),
  );
  await s.metric("@DEV", "device");
  await s.metric("@USER", "user");
  const both = ["@DEV", "@USER"];
  await s.record({ PC1: both, PC2: both, PC3: both, PC4: both, PC5: ["@DEV"], PC6: ["@DEV"] });
  for (const [department, license, rights, required] of [
    ["A", "@DEV", 3, 5],
    ["A", "@USER", 1, 0],
    ["B", "@DEV", 1, 1],
    ["A1", "@DEV", 1, 0],
  ] as const)
    await s.rights.set({ department, license, rights, required });
  return s;
}

const start = { "A @DEV": 4, "A @USER": 2, "A1 @DEV": 1, "B @DEV": 1, "B @USER": 1 };

async function consistent(s: Company): Promise<void> {
  expect(await s.recounted()).toEqual(await s.used());
  expect(await s.astray()).toEqual([]);
}

const faultsOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "applied",
    (error: unknown) =>
      (error as { faults?: readonly { path: string; code: string }[] }).faults?.map((f) => `${f.path} ${f.code}`),
  );

forEachStore((store) => {
  describe("people that come, move and leave (§6)", () => {
    it("who moves takes what is in use along, and leaves the rights", async () => {
      const s = await company(await store.open());
      expect(await s.used()).toEqual(start);
      const outcome = await s.apply({ type: "move", employee: "E1", to: "B" });
      expect(await s.used()).toEqual({ "A @DEV": 2, "A @USER": 1, "A1 @DEV": 1, "B @DEV": 3, "B @USER": 2 });
      expect(await s.rightsOf()).toEqual({ "A @DEV": 3, "A @USER": 1, "A1 @DEV": 1, "B @DEV": 1 });
      expect(outcome).toEqual({
        departments: [],
        employees: [{ employee: "E1", change: "moved", from: "A", to: "B", devices: 2 }],
        devices: [
          { device: "PC1", from: "A", to: "B" },
          { device: "PC2", from: "A", to: "B" },
        ],
        positions: [
          ["A", "@DEV", 4, 2, 3, 5],
          ["A", "@USER", 2, 1, 1, 0],
          ["B", "@DEV", 1, 3, 1, 1],
          ["B", "@USER", 1, 2, 0, 0],
        ].map(([department, license, before, after, rights, required]) => ({
          department,
          license,
          used: { before, after },
          rights: { before: rights, after: rights },
          required: { before: required, after: required },
          requested: { before: 0, after: 0 },
        })),
        applications: [],
        allocations: [],
        handOvers: [],
        warnings: [],
      });
      await consistent(s);
    });

    it("asked to, rights go along: as many as used goes, at most what there are", async () => {
      const s = await company(await store.open());
      await s.apply({ type: "move", employees: ["E1", "E2"], to: "B", withRights: true });
      expect(await s.rightsOf()).toEqual({ "A1 @DEV": 1, "B @DEV": 4, "B @USER": 1 });
      await s.apply({ type: "move", employee: "E1", to: null });
      expect(await s.used()).toMatchObject({ "unassigned @DEV": 1, "unassigned @USER": 1, "B @DEV": 3 });
      await consistent(s);
    });

    it("a hire is there at once, each change sees the ones before, and people can come by id alone when they return", async () => {
      const s = await company(await store.open());
      await s.apply(
        { type: "hire", employee: { id: "E9", name: "New", department: "A" } },
        { type: "move", employee: "E9", to: "B" },
        { type: "hire", employee: "E10", name: "Ten", to: "B" },
        { type: "leave", employee: "E3" },
        { type: "hire", employee: "E3", title: "Back" },
      );
      expect(await s.organization.employee("E9")).toMatchObject({ department: "B", state: "active" });
      expect(await s.organization.employee("E10")).toMatchObject({ department: "B", name: "Ten" });
      expect(await s.organization.employee("E3")).toMatchObject({ department: "B", title: "Back", state: "active" });
      await consistent(s);
    });

    it("who is hired and leaves in one call has left, and can return", async () => {
      const s = await company(await store.open());
      await s.apply(
        { type: "hire", employee: { id: "E9", name: "Never came", department: "A" } },
        { type: "leave", employee: "E9" },
      );
      expect(await s.organization.employee("E9")).toMatchObject({ name: "Never came", department: "A", state: "left" });
      await s.apply({ type: "hire", employee: "E9" });
      expect(await s.organization.employee("E9")).toMatchObject({ department: "A", state: "active" });
      await consistent(s);
    });

    it("who leaves frees what counts people; the devices go on counting for the department, on the hand-over list", async () => {
      const s = await company(await store.open());
      const outcome = await s.apply({ type: "leave", employee: "E1" });
      expect(outcome.handOvers).toEqual([
        { device: "PC1", employee: "E1", department: "A" },
        { device: "PC2", employee: "E1", department: "B" },
      ]);
      expect(outcome.warnings).toMatchObject([{ path: "/changes/0/employee", code: "manager-left" }]);
      expect(await s.used()).toEqual({ "A @DEV": 3, "A @USER": 1, "A1 @DEV": 1, "B @DEV": 2, "B @USER": 1 });
      expect(await s.organization.employee("E1")).toMatchObject({ state: "left", department: "A" });
      await consistent(s);
      // Whoever gets a device takes it off the list, and counts.
      await s.devices.save({ id: "PC1", employee: "E3" }, "change");
      expect(await s.used()).toEqual({ "A @DEV": 2, "A @USER": 1, "A1 @DEV": 1, "B @DEV": 3, "B @USER": 1 });
      await s.devices.save({ id: "PC2", employee: "E4" }, "change");
      expect(await s.used()).toMatchObject({ "A1 @DEV": 2, "A1 @USER": 1 });
      await consistent(s);
      await expect(s.devices.save({ id: "PC3", employee: "E1" }, "change")).rejects.toMatchObject({
        code: "input-invalid",
      });
    });
  });

  describe("departments that change (§6)", () => {
    it("a code changes and the history stays: the next row of that code is another department", async () => {
      const s = await company(await store.open());
      await s.apply(
        { type: "rename", department: "A", code: "X", name: "Ex" },
        { type: "rename", department: "B", code: "A" },
        { type: "rename", department: "X", to: "B" },
      );
      expect(await s.organization.department("B")).toMatchObject({ name: "Ex", manager: "E1" });
      expect(await s.used()).toEqual({ "B @DEV": 4, "B @USER": 2, "A1 @DEV": 1, "A @DEV": 1, "A @USER": 1 });
    });

    it("merging sums people, devices, rights, required and what lies below into the one that stays", async () => {
      const s = await company(await store.open());
      const outcome = await s.apply({ type: "merge", departments: ["A", "A1"], to: "B" });
      expect(outcome.departments).toMatchObject([
        { department: "A", change: "dissolved", into: "B" },
        { department: "A1", change: "dissolved", into: "B" },
        { department: "A2", change: "changed", parent: "B" },
      ]);
      expect(await s.used()).toEqual({ "B @DEV": 6, "B @USER": 3 });
      expect(await s.rightsOf()).toEqual({ "B @DEV": 5, "B @USER": 1 });
      expect(await s.rightsOf("required")).toEqual({ "B @DEV": 6 });
      expect((await s.organization.listDepartments({})).rows.map((d) => d.code)).toEqual(["A2", "B", "R"]);
      expect((await s.organization.listDepartments({ dissolved: true })).rows).toHaveLength(5);
      expect(await s.organization.department("A")).toMatchObject({ mergedInto: "B" });
      expect((await s.devices.list({})).rows.map((d) => [d.id, d.countsFor])).toEqual(
        ["PC1", "PC2", "PC3", "PC4", "PC5", "PC6"].map((id) => [id, "B"]),
      );
      await consistent(s);
    });

    it("several merge into a new one; the department above can be taken over by one below it", async () => {
      const s = await company(await store.open());
      await s.apply(
        { type: "merge", departments: ["A", "B"], to: "C", name: "New" },
        { type: "merge", department: "R", to: "A2" },
      );
      expect((await s.organization.listDepartments({})).rows.map((d) => [d.code, d.parent])).toEqual([
        ["A1", "C"],
        ["A2", undefined],
        ["C", "A2"],
      ]);
      expect(await s.used()).toEqual({ "A1 @DEV": 1, "C @DEV": 5, "C @USER": 3 });
      await consistent(s);
    });

    it("dissolving hands everything to the department above, or to whom it is told; a root with something needs to be told", async () => {
      const s = await company(await store.open());
      expect(await faultsOf(s.apply({ type: "dissolve", department: "R" }))).toEqual(["/changes/0/to value-invalid"]);
      await s.apply({ type: "dissolve", department: "A" }, { type: "dissolve", department: "A1", to: "B" });
      expect(await s.used()).toEqual({ "B @DEV": 2, "B @USER": 1, "R @DEV": 4, "R @USER": 2 });
      expect(await s.rightsOf()).toEqual({ "B @DEV": 2, "R @DEV": 3, "R @USER": 1 });
      expect(await s.organization.department("A2")).toMatchObject({ parent: "R" });
      await consistent(s);
      await s.db.transaction((trx) =>
        s.organization.writeDepartments(trx, [{ code: "Z", name: "Z" }], { mode: "create", at: 1 }),
      );
      await s.apply({ type: "dissolve", department: "Z" });
      expect(await s.organization.departmentExists("Z")).toBe(false);
    });

    it("splitting moves the people, devices and departments named, and rights as said or as used", async () => {
      const s = await company(await store.open());
      await s.apply({
        type: "split",
        department: "A",
        to: "A9",
        name: "Nine",
        employees: ["E2"],
        devices: ["PC6"],
        children: ["A1"],
      });
      expect(await s.used()).toEqual({
        "A @DEV": 2,
        "A @USER": 1,
        "A1 @DEV": 1,
        "A9 @DEV": 2,
        "A9 @USER": 1,
        "B @DEV": 1,
        "B @USER": 1,
      });
      expect(await s.rightsOf()).toEqual({ "A @DEV": 1, "A1 @DEV": 1, "A9 @DEV": 2, "A9 @USER": 1, "B @DEV": 1 });
      // Required is divided as its use was, 2 of 4; what does not divide stays.
      expect(await s.rightsOf("required")).toEqual({ "A @DEV": 3, "A9 @DEV": 2, "B @DEV": 1 });
      expect(await s.organization.department("A9")).toMatchObject({ name: "Nine", parent: "R" });
      expect(await s.organization.department("A1")).toMatchObject({ parent: "A9" });
      await s.apply({
        type: "split",
        department: "A",
        to: "B",
        employees: ["E1"],
        rights: [{ license: "@DEV", rights: 1 }],
      });
      expect(await s.rightsOf()).toEqual({ "A1 @DEV": 1, "A9 @DEV": 2, "A9 @USER": 1, "B @DEV": 2 });
      expect(await s.rightsOf("required")).toEqual({ "A9 @DEV": 2, "B @DEV": 4 });
      // As said; of what nobody uses yet, as the people.
      await s.rights.set({ department: "B", license: "@PLAN", rights: 0, required: 7 });
      await s.apply({
        type: "split",
        department: "B",
        to: "A9",
        employees: ["E3"],
        rights: [{ license: "@DEV", rights: 0, required: 3 }],
      });
      expect(await s.rightsOf("required")).toEqual({
        "A9 @DEV": 5,
        "A9 @PLAN": 3,
        "B @DEV": 1,
        "B @PLAN": 4,
      });
      await s.apply({ type: "move", employee: "E3", to: "B" });
      expect(
        await faultsOf(
          s.apply({
            type: "split",
            department: "A9",
            to: "B",
            employees: ["E3"],
            devices: ["PC1", "none"],
            children: ["A2"],
            rights: [
              { license: "@DEV", rights: 3, required: 9 },
              { license: "@NO", rights: 1 },
            ],
          }),
        ),
      ).toEqual([
        "/changes/0/employees/0 value-invalid",
        "/changes/0/devices/0 value-invalid",
        "/changes/0/devices/1 not-found",
        "/changes/0/children/0 value-invalid",
        "/changes/0/rights/0/required value-invalid",
        "/changes/0/rights/0/rights value-invalid",
        "/changes/0/rights/1/license reference-unknown",
      ]);
      await consistent(s);
    });

    it("entitlements and machines that enrol follow the department that took over", async () => {
      const s = await company(await store.open());
      const saved = await s.entitlements.create({ license: "@DEV", quantity: 5, department: "A" });
      await s.apply({ type: "merge", department: "A", to: "B" }, { type: "merge", department: "B", to: "A2" });
      expect(await s.entitlements.entitlement(saved.id)).toMatchObject({ department: "A2", quantity: 5 });
      const device = await s.db.transaction((trx) =>
        s.directory.adopt(trx, {
          id: "NEW",
          hostname: "new",
          department: "A",
          origin: "enrollment",
          taken: () => Promise.resolve(false),
        }),
      );
      expect(device).toBeGreaterThan(0);
      expect(await s.devices.device("NEW")).toMatchObject({ department: "A2" });
    });

    it("what is set aside for someone who leaves is free in the same transaction; the device's own stays (issue 3)", async () => {
      let now = Date.UTC(2026, 0, 1);
      const s = await company(await store.open(), { ...systemClock, now: () => now });
      const allocations = createAllocations({ db: s.db, clock: s.clock, events: s.events });
      for (const [employee, device] of [["E1"], ["E2"], [undefined, "PC1"], ["E1", "PC2"]])
        await allocations.create({
          license: "@USER",
          ...(employee !== undefined && { employee }),
          ...(device !== undefined && { device }),
        });
      const current = async () =>
        (await allocations.list({})).rows.map((a) => [a.employee ?? "", a.device ?? ""].join()).sort();
      const allocated = async (asOf?: number) => {
        const item = (await s.positions.company(asOf === undefined ? {} : { asOf })).items.find((i) => i.license === "@USER"); // prettier-ignore
        return (item?.allocatedInUse ?? 0) + (item?.allocatedNotInUse ?? 0);
      };
      expect(await allocated()).toBe(4);
      const before = now++;
      await expect(
        s.apply({ type: "leave", employee: "E1" }, { type: "leave", employee: "NOBODY" }),
      ).rejects.toMatchObject({ code: "org-change-invalid" });
      expect(await current()).toEqual([",PC1", "E1,", "E1,PC2", "E2,"]);
      await s.apply({ type: "leave", employee: "E1" }, { type: "move", employees: ["E2"], to: "B" });
      expect(await current()).toEqual([",PC1", "E1,PC2", "E2,"]);
      expect([await allocated(), await allocated(before)]).toEqual([3, 4]);
      expect((await allocations.list({ ended: true, employee: "E1" })).rows.map((a) => a.until ?? "").sort()).toEqual([
        "",
        new Date(now).toISOString(),
      ]);
      // Who returns starts without.
      now++;
      await s.apply({ type: "hire", employee: "E1", department: "A" });
      expect(await current()).toEqual([",PC1", "E1,PC2", "E2,"]);
      await consistent(s);
    });

    it("quotas add up where all had one, and end where one had none", async () => {
      const s = await company(await store.open());
      const quota = async (department: string, license: string): Promise<number | undefined> =>
        (await s.rights.get(department, license))?.quota;
      await s.rights.set({ department: "A", license: "@DEV", quota: 10 });
      await s.rights.set({ department: "B", license: "@DEV", quota: 5 });
      await s.rights.set({ department: "B", license: "@USER", rights: 1, quota: 2 });
      await s.apply({ type: "merge", departments: ["A", "B"], to: "C", name: "C" });
      expect([await quota("C", "@DEV"), await quota("C", "@USER")]).toEqual([15, undefined]);
      await s.apply({ type: "merge", department: "C", to: "A2" });
      expect(await quota("A2", "@DEV")).toBeUndefined();
    });

    it("a code that was dissolved can be made again, empty; one that ended in the same request cannot", async () => {
      const s = await company(await store.open());
      await s.apply({ type: "merge", department: "A1", to: "B" });
      expect(
        await faultsOf(
          s.apply({ type: "move", employee: "E1", to: "A1" }, { type: "rename", department: "B", code: "A1" }),
        ),
      ).toEqual(["/changes/0/to reference-unknown", "/changes/1/code already-exists"]);
      await s.organization.saveDepartment({ code: "A1", name: "Anew" }, "create");
      expect(await s.organization.department("A1")).toEqual({ code: "A1", name: "Anew" });
      await s.apply({ type: "move", employee: "E1", to: "A1" });
      expect(await s.used()).toMatchObject({ "A1 @DEV": 2 });
      expect(
        await faultsOf(
          s.apply(
            { type: "merge", department: "A1", to: "B" },
            { type: "split", department: "B", to: "A1", name: "x", employees: ["E1"] },
          ),
        ),
      ).toEqual(["/changes/1/to value-invalid"]);
      await s.apply({ type: "dissolve", department: "A2", to: "B" });
      await s.apply({ type: "split", department: "B", to: "A2", name: "Two", employees: ["E3"] });
      expect(await s.organization.department("A2")).toEqual({ code: "A2", name: "Two", parent: "R" });
      await consistent(s);
    });
  });

  it("a file that names someone who left changes nothing where it says what is recorded, and is refused where it does not", async () => {
    const s = await company(await store.open());
    await s.apply({ type: "leave", employee: "E2" }, { type: "dissolve", department: "A" });
    const write = (row: { id: string; name?: string; department?: string }) =>
      s.db.transaction((trx) => s.organization.writeEmployees(trx, [row], { mode: "upsert", at: 1 }));
    expect(await write({ id: "E2", name: "E2", department: "A" })).toMatchObject({ unchanged: 1, faults: [] });
    expect((await write({ id: "E2", name: "other" })).faults).toMatchObject([{ field: "id", code: "employee-left" }]);
    expect((await write({ id: "E2", department: "B" })).faults).toMatchObject([{ field: "id", code: "employee-left" }]);
    expect(await faultsOf(s.apply({ type: "hire", employee: "E2" }))).toEqual(["/changes/0/department value-invalid"]);
    await s.apply({ type: "hire", employee: "E2", department: "B" });
    expect(await s.organization.employee("E2")).toMatchObject({ state: "active", department: "B" });
    // The device stays where it is until someone hands it over.
    expect(await s.used()).toMatchObject({ "R @DEV": 4 });
    await consistent(s);
  });

  it("a fault names the change and the field, and nothing at all is applied", async () => {
    const s = await company(await store.open());
    const before = await s.used();
    expect(
      await faultsOf(
        s.apply(
          { type: "move", employee: "E1", to: "B" },
          { type: "move", employees: ["E2", "nobody"], to: "B" },
          { type: "move", employee: "E1", to: "nowhere" },
          { type: "rename", department: "A", code: "Unassigned" },
          { type: "rename", department: "A", code: "B" },
          { type: "hire", employee: "E1" },
          { type: "hire", employee: "E77" },
          { type: "leave" },
          { type: "rename", department: "A" },
          { type: "leave", employee: "E1", to: "B" } as never,
          { type: "move", department: "A", to: "A1" },
        ),
      ),
    ).toEqual([
      "/changes/1/employees/1 not-found",
      "/changes/2/to reference-unknown",
      "/changes/3/code code-reserved",
      "/changes/4/code already-exists",
      "/changes/5/employee already-exists",
      "/changes/6/name value-required",
      "/changes/7/employee value-required",
      "/changes/8/name value-required",
      "/changes/9/to value-invalid",
      "/changes/10/to department-cycle",
    ]);
    expect(await s.used()).toEqual(before);
    expect(await s.organization.employee("E1")).toMatchObject({ department: "A" });
  });
});
