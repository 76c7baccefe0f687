import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { createEvents } from "../../events.ts";
import { forEachStore } from "../../testing/stores.ts";
import { lockHeads } from "../inventory/index.ts";
import { createRepository } from "../licenses/repository/index.ts";
import { createOrganization } from "../organization/index.ts";
import { createDeviceDirectory, createDevices, type DeviceFacts } from "./index.ts";

const noFacts: DeviceFacts = {
  factsOf: () => Promise.resolve(undefined),
  lastSeenOf: () => Promise.resolve(new Map()),
  hardwareOf: () => Promise.resolve(new Map()),
  licensesOf: () => Promise.resolve(new Map()),
  withLicense: () => Promise.resolve([]),
  withTitle: () => Promise.resolve([]),
};

async function assemble(db: Database, facts: Partial<DeviceFacts> = {}) {
  const events = createEvents(silentLog);
  const clock = systemClock;
  const directory = createDeviceDirectory({ db, clock });
  const repository = createRepository({ db, devices: directory, clock, deriveAgain: () => Promise.resolve() });
  const devices = createDevices({
    db,
    clock,
    events,
    facts: { ...noFacts, licensesOf: (devices) => repository.licensesOf(devices), ...facts },
    usage: repository,
    lockHeads: (trx, ids) => lockHeads(db, trx, ids),
  });
  const organization = createOrganization({ db, clock, events, devices });
  await db.transaction((trx) =>
    organization.writeDepartments(
      trx,
      [
        { code: "R", name: "Root" },
        { code: "A", name: "A", parent: "R" },
        { code: "B", name: "B", parent: "R" },
      ],
      { mode: "upsert", at: 1 },
    ),
  );
  for (const [id, department] of [
    ["E1", "A"],
    ["E2", "B"],
  ] as const)
    await organization.saveEmployee({ id, name: id, department }, "create");
  const used = async (): Promise<Record<string, number>> => {
    const rows = await db.kysely
      .selectFrom("lic_usage as u")
      .leftJoin("org_departments as d", "d.ordinal", "u.department")
      .innerJoin("lic_licenses as l", "l.ordinal", "u.license")
      .select(["d.code as department", "l.code as license", "u.used"])
      .where("u.used", "<>", 0)
      .execute();
    return Object.fromEntries(rows.map((r) => [`${r.department ?? "unassigned"} ${r.license}`, r.used]));
  };
  const adopt = (id: string, more: { serial?: string; department?: string } = {}, taken = false) =>
    db.transaction((trx) =>
      directory.adopt(trx, {
        id,
        hostname: `${id}-host`,
        origin: "enrollment",
        taken: () => Promise.resolve(taken),
        ...more,
      }),
    );
  const record = (device: number, ...licenses: string[]) =>
    db.transaction((trx) =>
      repository.record(trx, [{ device, licenses: licenses.map((license) => ({ license, count: 1 })) }], Date.now()),
    );
  return { db, directory, repository, devices, organization, used, adopt, record };
}

forEachStore((store) => {
  describe("the hardware ledger (§4, §5.3)", () => {
    it("a device counts for its user's department, else the managing one, else it is unassigned; disposed it counts for nobody", async () => {
      const s = await assemble(await store.open());
      const device = await s.adopt("PC1");
      await s.record(device, "@X");
      expect(await s.used()).toEqual({ "unassigned @X": 1 });
      await s.devices.save({ id: "PC1", department: "A" }, "change");
      expect(await s.used()).toEqual({ "A @X": 1 });
      await s.devices.save({ id: "PC1", employee: "E2" }, "change");
      expect(await s.used()).toEqual({ "B @X": 1 });
      expect(await s.devices.device("PC1")).toMatchObject({ department: "A", employee: "E2", countsFor: "B" });
      await s.devices.save({ id: "PC1", state: "disposed" }, "change");
      expect(await s.used()).toEqual({});
      await s.devices.save({ id: "PC1", state: "in-use", employee: null, department: null }, "change");
      expect((await s.devices.device("PC1"))?.countsFor).toBe("unassigned");
    });

    it("an employee who moves takes along what is used on all their devices (§6)", async () => {
      const s = await assemble(await store.open());
      for (const id of ["PC1", "PC2", "PC3"]) {
        await s.record(await s.adopt(id), "@X", "@Y");
        await s.devices.save({ id, employee: id === "PC3" ? "E2" : "E1" }, "change");
      }
      expect(await s.used()).toEqual({ "A @X": 2, "A @Y": 2, "B @X": 1, "B @Y": 1 });
      await s.organization.saveEmployee({ id: "E1", department: "B" }, "change");
      expect(await s.used()).toEqual({ "B @X": 3, "B @Y": 3 });
    });

    it("people, devices and reports that move at the same time leave used true", async () => {
      const s = await assemble(await store.open());
      const ids = Array.from({ length: 12 }, (_, i) => `PC${i}`);
      const ordinals = await Promise.all(ids.map((id) => s.adopt(id)));
      for (const id of ids) await s.devices.save({ id, employee: "E1" }, "change");
      await Promise.all([
        ...ordinals.map((device, i) => s.record(device, "@X", ...(i % 2 === 0 ? ["@Y"] : []))),
        s.organization.saveEmployee({ id: "E1", department: "B" }, "change"),
        s.organization.saveEmployee({ id: "E2", department: "A" }, "change"),
        ...ids.slice(0, 6).map((id) => s.devices.save({ id, employee: "E2" }, "change")),
        s.organization.saveEmployee({ id: "E1", department: "R" }, "change"),
        ...ordinals.map((device) => s.record(device, "@X", "@Z")),
      ]);
      const recount = await s.repository.recount();
      const stored = await s.db.kysely.selectFrom("lic_usage").selectAll().where("used", "<>", 0).execute();
      const sorted = (rows: readonly { department: number; license: number; used: number }[]) =>
        rows.map((r) => `${r.department}/${r.license}=${r.used}`).toSorted();
      expect(sorted(stored)).toEqual(sorted([...recount.usage]));
      const truth = await s.db.transaction((trx) => s.directory.assignments(trx, ordinals));
      const intervals = await s.db.kysely.selectFrom("lic_repository").selectAll().execute();
      for (const i of intervals) expect(i.department).toBe(truth.get(i.device)?.department);
    });

    it("a device that reports for the first time while it changes hands counts for the new hands", async () => {
      const s = await assemble(await store.open());
      const device = await s.adopt("PC1");
      let moved: Promise<unknown> = Promise.resolve();
      await s.db.transaction(async (trx) => {
        await s.repository.record(trx, [{ device, licenses: [{ license: "@X", count: 1 }] }], 1000);
        moved = s.devices.save({ id: "PC1", department: "B" }, "change");
        // Long enough for the change to commit, if nothing made it wait for the report.
        await Promise.race([moved, new Promise((resolve) => setTimeout(resolve, 300))]);
      });
      await moved;
      expect(await s.used()).toEqual({ "B @X": 1 });
    });

    it("a machine is the ledger's device with its id, else the free one with its serial number, else a new one", async () => {
      const s = await assemble(await store.open());
      await s.devices.save({ id: "ASSET-1", hostname: "desk", serial: "S1", department: "A" }, "create");
      const byId = await s.adopt("ASSET-1");
      expect(await s.adopt("id-2", { serial: "S1" })).toBe(byId);
      const other = await s.adopt("id-3", { serial: "S1", department: "B" }, true);
      expect(other).not.toBe(byId);
      expect(await s.devices.device("id-3")).toMatchObject({
        origin: "enrollment",
        countsFor: "B",
        hostname: "id-3-host",
      });
      const both = await Promise.all([s.adopt("id-4"), s.adopt("id-4"), s.adopt("id-4")]);
      expect(new Set(both).size).toBe(1);
    });

    it("a machine that calls itself otherwise is renamed, and only its names change", async () => {
      const s = await assemble(await store.open());
      await s.devices.save({ id: "P", hostname: "old", serial: "S", department: "A" }, "create");
      const device = await s.adopt("P");
      await s.db.transaction((trx) => s.directory.renameHosts(trx, [{ device, hostname: "new" }]));
      expect(await s.devices.device("P")).toMatchObject({ hostname: "new", serial: "S", department: "A" });
    });

    it("unknown references are faults, and nothing is written", async () => {
      const s = await assemble(await store.open());
      const result = await s.db.transaction((trx) =>
        s.devices.writeDevices(trx, [{ id: "P1", employee: "E9" }, { id: "P2", department: "Z" }, { id: "P3" }], {
          mode: "upsert",
          at: 1,
          origin: "csv",
        }),
      );
      expect(result.faults.map((f) => [f.row, f.field, f.code])).toEqual([
        [0, "employee", "reference-unknown"],
        [1, "department", "reference-unknown"],
      ]);
      expect(await s.devices.device("P3")).toBeUndefined();
    });

    it("lists filter by whom devices count for, by subtree, by licence and by title, page by page", async () => {
      const db = await store.open();
      const s = await assemble(db, {
        withLicense: (_license, after, limit) =>
          Promise.resolve(
            Array.from({ length: 30 }, (_, i) => i + 1)
              .filter((o) => o > after && o % 2 === 1)
              .slice(0, Math.min(limit, 4)),
          ),
        withTitle: (_name, after, limit) =>
          Promise.resolve(
            Array.from({ length: 30 }, (_, i) => i + 1)
              .filter((o) => o > after && o % 3 === 0)
              .slice(0, limit),
          ),
      });
      for (let i = 1; i <= 30; i++)
        await s.devices.save(
          {
            id: `P${String(i).padStart(2, "0")}`,
            hostname: "same",
            ...(i <= 10 ? { department: "A" } : i <= 20 ? { employee: "E2" } : {}),
          },
          "create",
        );
      const all = async (query: Parameters<typeof s.devices.list>[0]): Promise<string[]> => {
        const out: string[] = [];
        for (let cursor: string | undefined, i = 0; i < 40; i++) {
          const p = await s.devices.list({ limit: 4, ...query, ...(cursor !== undefined && { cursor }) });
          out.push(...p.rows.map((d) => d.id));
          if ((cursor = p.nextCursor) === undefined) break;
        }
        return out;
      };
      expect(await all({ sort: "-hostname" })).toHaveLength(30);
      expect(await all({ countsFor: "B" })).toHaveLength(10);
      expect(await all({ countsFor: "unassigned" })).toHaveLength(10);
      expect(await all({ under: "R" })).toHaveLength(20);
      expect(await all({ license: "@X" })).toEqual(
        Array.from({ length: 15 }, (_, i) => `P${String(2 * i + 1).padStart(2, "0")}`),
      );
      expect(await all({ license: "@X", software: "t" })).toEqual(["P03", "P09", "P15", "P21", "P27"]);
      expect(await all({ license: "@X", countsFor: "A" })).toEqual(["P01", "P03", "P05", "P07", "P09"]);
      expect((await s.devices.list({ fields: "hostname" })).rows[0]).toEqual({ id: "P01", hostname: "same" });
      await expect(s.devices.list({ fields: "hostname,secret" })).rejects.toMatchObject({ code: "input-invalid" });
      await expect(s.devices.list({ license: "@X", sort: "id" })).rejects.toMatchObject({ code: "input-invalid" });
    });
  });
});
