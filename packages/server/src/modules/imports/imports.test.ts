import iconv from "iconv-lite";
import { describe, expect, it } from "vitest";
import { silentLog, systemClock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import { createEvents } from "../../events.ts";
import { forEachStore } from "../../testing/stores.ts";
import { createDeviceDirectory, createDevices } from "../devices/index.ts";
import { lockHeads } from "../inventory/index.ts";
import {
  createAllocations,
  createEntitlements,
  createPositions,
  createReconcile,
  createRights,
} from "../licenses/index.ts";
import { createRepository } from "../licenses/repository/index.ts";
import { createOrganization } from "../organization/index.ts";
import { createImports, type ImportKind } from "./index.ts";

function assemble(db: Database, policy: readonly string[] = []) {
  const common = { db, clock: systemClock, events: createEvents(silentLog) };
  const directory = createDeviceDirectory(common);
  const repository = createRepository({ ...common, devices: directory, deriveAgain: () => Promise.resolve() });
  const devices = createDevices({
    ...common,
    facts: {
      factsOf: () => Promise.resolve(undefined),
      lastSeenOf: () => Promise.resolve(new Map()),
      hardwareOf: () => Promise.resolve(new Map()),
      licensesOf: (devices) => repository.licensesOf(devices),
      withLicense: () => Promise.resolve([]),
      withTitle: () => Promise.resolve([]),
    },
    usage: repository,
    lockHeads: (trx, ids) => lockHeads(db, trx, ids),
  });
  const organization = createOrganization({ ...common, devices });
  const entitlements = createEntitlements({ ...common, ofPolicy: () => new Set(policy) });
  const rights = createRights({ ...common, ofPolicy: () => new Set(policy) });
  const positions = createPositions(common);
  const reconcile = createReconcile({ ...common, positions, repository });
  const imports = createImports({
    ...common,
    organization,
    devices,
    entitlements,
    rights,
    allocations: createAllocations(common),
  });
  const run = (kind: ImportKind, text: string | Buffer, options = {}) =>
    imports.run(kind, Buffer.from(text as string), options);
  const faults = async (kind: ImportKind, text: string, options = {}): Promise<unknown[]> => {
    const error = await run(kind, text, options).then(
      () => undefined,
      (e: unknown) => e as { code: string; faults: { line: number; column?: string; code: string }[] },
    );
    expect(error?.code).toBe("import-invalid");
    return (error?.faults ?? []).map((f) => [f.line, f.column, f.code]);
  };
  const count = async (
    table: "org_departments" | "org_employees" | "dev_devices" | "lic_entitlements" | "lic_rights",
  ) =>
    Number(
      (
        await db.kysely
          .selectFrom(table)
          .select(({ fn }) => fn.countAll<number>().as("n"))
          .executeTakeFirstOrThrow()
      ).n,
    );
  return {
    db,
    run,
    faults,
    count,
    organization,
    devices,
    entitlements,
    rights,
    positions,
    reconcile,
    repository,
    directory,
  };
}

const company = {
  departments: "code,name,parent,costCentre,manager\nD2,Sales,D1,200,E2\nD1,本社,,100,E1\n",
  employees: "id,name,mail,department,title,manager\nE2,Ueda,,D2,Rep,E1\nE1,Abe,a@example.com,D1,Head,\n",
  devices: "id,hostname,serial,employee,department,manager,state\nP1,pc1,S1,E1,,E2,in-use\nP2,pc2,,,D2,,\n",
  entitlements:
    "license,metric,quantity,unitPrice,currency,purchasedAt,startsAt,expiresAt,rights,contract,order,department\n" +
    "@LIBO,device,10,12000,JPY,2026-04-01,2026-04-01,2099-03-31,upgrade|downgrade,C-1,O-1,D1\n@MAP,site,,,,,,,,,,\n",
  rights: "department,license,rights,required\nD1,@LIBO,3,4\nD2,@LIBO,1,\n",
} as const;

forEachStore((store) => {
  describe("imports (contract.md, CSV)", () => {
    it("a company comes in, the same files again change nothing, and positions show it", async () => {
      const s = assemble(await store.open());
      for (const [kind, text] of Object.entries(company) as [ImportKind, string][]) {
        expect(await s.run(kind, text, { dryRun: true })).toMatchObject({
          dryRun: true,
          created: 2,
          updated: 0,
          unchanged: 0,
        });
        expect(await s.run(kind, `\ufeff${text.replaceAll("\n", "\r\n")}`)).toMatchObject({
          rows: 2,
          created: 2,
          updated: 0,
          unchanged: 0,
        });
        expect(await s.run(kind, text)).toMatchObject({ created: 0, updated: 0, unchanged: 2 });
      }
      expect(await s.devices.device("P1")).toMatchObject({
        employee: "E1",
        countsFor: "D1",
        manager: "E2",
        serial: "S1",
      });
      expect((await s.entitlements.list({ license: "@LIBO" })).rows).toMatchObject([
        { quantity: 10, unitPrice: 12000, currency: "JPY", purchasedAt: "2026-04-01T00:00:00.000Z", expiresAt: "2099-03-31T23:59:59.999Z", order: "O-1", department: "D1" },
      ]); // prettier-ignore
      expect((await s.positions.department("D1", { rollup: true })).items).toMatchObject([
        { license: "@LIBO", rights: 4, required: 4 },
      ]);
      expect((await s.positions.company()).items.map((i) => [i.license, i.held, i.overUnder])).toEqual([
        ["@LIBO", 10, 10],
        ["@MAP", 0, 0],
      ]);
    });

    it("quotas come with rights; without the column they stay, an empty cell takes one away", async () => {
      const s = assemble(await store.open());
      await s.run("departments", company.departments);
      const quotas = async () =>
        Promise.all(
          ["D1", "D2"].map(async (department) => {
            const row = await s.rights.get(department, "@A");
            return row && [row.rights, row.quota];
          }),
        );
      const both = "department,license,rights,quota\nD1,@A,3,5\nD2,@A,1,0\n";
      expect(await s.run("rights", both)).toMatchObject({ created: 2, updated: 0 });
      expect(await s.run("rights", both)).toMatchObject({ created: 0, updated: 0, unchanged: 2 });
      expect(await quotas()).toEqual([[3, 5], [1, 0]]); // prettier-ignore
      await s.run("rights", "department,license,rights\nD1,@A,4\n");
      expect(await quotas()).toEqual([[4, 5], [1, 0]]); // prettier-ignore
      expect(await s.run("rights", "department,license,quota\nD1,@A,9\nD2,@A,\n")).toMatchObject({ updated: 2 });
      expect(await quotas()).toEqual([[4, 9], [1, undefined]]); // prettier-ignore
      // A quota that is wrong leaves the file's rights alone, too.
      expect(await s.faults("rights", "department,license,rights,quota\nD1,@A,1,1\nD2,@A,1,-2\n")).toEqual([
        [3, "quota", "value-invalid"],
      ]);
      expect(await quotas()).toEqual([[4, 9], [1, undefined]]); // prettier-ignore
    });

    it("allocations: importing again changes nothing, a quantity is updated, whatever is not there is a fault with its place", async () => {
      const s = assemble(await store.open());
      await s.run("departments", company.departments);
      await s.run("employees", company.employees);
      await s.run("devices", "id,department\nPC9,D1\n");
      await s.run("entitlements", 'license,quantity,rights,packSize\n@A,2,"downgrade; suite(@B @C)",10\n');
      const file = "license,device,employee,quantity,entitlement\n@A,PC9,,2,\n@A,,E1,,\n";
      expect(await s.run("allocations", file)).toMatchObject({ created: 2, updated: 0 });
      expect(await s.run("allocations", file)).toMatchObject({ created: 0, updated: 0, unchanged: 2 });
      expect(await s.run("allocations", file.replace(",2,", ",3,"))).toMatchObject({ updated: 1, unchanged: 1 });
      expect(
        await s.faults(
          "allocations",
          "license,device,employee,quantity,entitlement\n@NO,PC9,,1,\n@A,PCX,,1,\n@A,,EX,1,\n@A,PC9,,1,e9\n@A,,,1,\n",
        ),
      ).toEqual([
        [2, "license", "reference-unknown"],
        [3, "device", "reference-unknown"],
        [4, "employee", "reference-unknown"],
        [5, "entitlement", "reference-unknown"],
        [6, "device", "value-required"],
      ]);
      expect(await s.faults("allocations", "license,device,quantity\n@A,PC9,0\n@A,PC9,1\n@A,PC9,1\n")).toEqual([
        [2, "quantity", "value-invalid"],
        [4, "license", "row-duplicate"],
      ]);
      expect(await s.faults("entitlements", "license,quantity,rights\n@A,1,upgrade|lend\n")).toEqual([
        [2, "rights", "value-invalid"],
      ]);
    });

    it("what is there is updated, columns that are missing leave their fields, empty cells clear them", async () => {
      const s = assemble(await store.open());
      await s.run("departments", company.departments);
      await s.run("employees", company.employees);
      expect(await s.run("employees", "id,title\nE1,Chair\nE2,\n")).toMatchObject({ created: 0, updated: 2 });
      expect(await s.organization.employee("E1")).toEqual({
        id: "E1",
        name: "Abe",
        mail: "a@example.com",
        department: "D1",
        title: "Chair",
        state: "active",
      });
      expect(await s.organization.employee("E2")).toMatchObject({
        id: "E2",
        name: "Ueda",
        department: "D2",
        manager: "E1",
      });
    });

    it("an entitlement with the same order is updated and keeps its id; the same words twice are two purchases", async () => {
      const s = assemble(await store.open());
      const one = "license,quantity,order\n@A,5,O-1\n";
      await s.run("entitlements", one);
      const before = (await s.entitlements.list({})).rows[0];
      expect(await s.run("entitlements", "license,quantity,order\n@A,7,O-1\n")).toMatchObject({
        created: 0,
        updated: 1,
      });
      const after = (await s.entitlements.list({})).rows[0];
      expect(after).toMatchObject({ id: before?.id, quantity: 7 });
      expect((await s.entitlements.history(after?.id ?? "")).map((e) => e.quantity)).toEqual([7, 5]);
      const twice = "license,quantity\n@B,1\n@B,1\n";
      expect(await s.run("entitlements", twice)).toMatchObject({ created: 2 });
      expect(await s.run("entitlements", twice)).toMatchObject({ created: 0, unchanged: 2 });
      expect(await s.run("entitlements", `id,quantity\n${after?.id ?? ""},9\n`)).toMatchObject({ updated: 1 });
    });

    it("a line broken inside a quoted cell is one name, and a state may be spelt as in the ledger", async () => {
      const s = assemble(await store.open());
      const text = 'code,name,costCentre\r\nD1,"Sales,\r\n \tEast",CC1\r\n"D\n2",x,\r\n';
      expect(await s.faults("departments", text)).toEqual([[4, "code", "value-invalid"]]);
      await s.run("departments", text.slice(0, text.indexOf('"D\n2"')));
      expect((await s.organization.department("D1"))?.name).toBe("Sales, East");
      await s.run("devices", "id,hostname,department,state\nP1,p1,D1,in use\nP2,p2,D1,Idle\n");
      expect((await s.devices.list({})).rows.map((d) => d.state)).toEqual(["in-use", "idle"]);
    });

    it("every fault names its line and column, and nothing is written", async () => {
      const s = assemble(await store.open());
      expect(await s.faults("departments", "code,name,boss\nA,a,b\n")).toEqual([[1, "boss", "column-unknown"]]);
      expect(await s.faults("departments", "code,code\nA,a\n")).toEqual([[1, "code", "column-duplicate"]]);
      expect(await s.faults("departments", "name\nA\n")).toEqual([[1, "code", "column-missing"]]);
      expect(await s.faults("departments", "")).toEqual([[1, undefined, "file-empty"]]);
      expect(await s.faults("departments", "code,name\nA,a\n,b\nA,c\nB,d,e\nC\n\u0007x,y\n")).toEqual([
        [3, "code", "value-required"],
        [4, "code", "row-duplicate"],
        [5, undefined, "row-malformed"],
        [6, undefined, "row-malformed"],
        [7, "code", "value-invalid"],
      ]);
      expect(
        await s.faults("departments", "code,name,parent\nA,a,B\nB,b,C\nC,c,A\nD,d,X\nunassigned,u,\nE,,\n"),
      ).toEqual([
        [2, "parent", "department-cycle"],
        [3, "parent", "department-cycle"],
        [4, "parent", "department-cycle"],
        [5, "parent", "reference-unknown"],
        [6, "code", "code-reserved"],
        [7, "name", "value-required"],
      ]);
      expect(await s.count("org_departments")).toBe(0);
      await s.run("departments", company.departments);
      await s.run("employees", company.employees);
      expect(await s.faults("employees", "id,name,department\nE5,x,D9\n")).toEqual([
        [2, "department", "reference-unknown"],
      ]);
      expect(await s.faults("devices", "id,employee,department,state\nP,E9,D9,broken\nQ,E9,D1,idle\n")).toEqual([
        [2, "state", "value-invalid"],
      ]);
      expect(await s.faults("devices", "id,employee,department\nP,E9,D9\n")).toEqual([
        [2, "employee", "reference-unknown"],
        [2, "department", "reference-unknown"],
      ]);
      expect(
        await s.faults(
          "entitlements",
          "license,metric,quantity,unitPrice,currency,startsAt\n@A,seat,1,,,\n@A,,1.5,,,\n@A,,1,9.99,USD,\n@A,,1,5,ZZZ,\n@A,,1,,,2026-02-30\n@A,,,,,\n",
        ),
      ).toEqual([
        [2, "metric", "value-invalid"],
        [3, "quantity", "value-invalid"],
        [4, "unitPrice", "value-invalid"],
        [5, "currency", "value-invalid"],
        [6, "startsAt", "value-invalid"],
      ]);
      expect(
        await s.faults(
          "entitlements",
          "license,quantity,unitPrice,currency,startsAt,expiresAt,department\n@A,,,,,,\n@A,1,5,,,,\n@A,1,,,2026-02-02,2026-02-01,D9\n",
        ),
      ).toEqual([
        [2, "quantity", "value-required"],
        [3, "currency", "value-invalid"],
        [4, "department", "reference-unknown"],
        [4, "expiresAt", "value-invalid"],
      ]);
      expect(await s.faults("rights", "department,license,rights\nD1,@A,-1\nD1,@B,1\nD1,@B,2\nD1,@C,1\n")).toEqual([
        [2, "rights", "value-invalid"],
        [4, "license", "row-duplicate"],
      ]);
      expect(await s.faults("rights", "department,license,rights\nZZ,@A,1\nunassigned,@A,1\n")).toEqual([
        [2, "department", "reference-unknown"],
        [3, "department", "code-reserved"],
      ]);
      for (const table of ["dev_devices", "lic_entitlements", "lic_rights"] as const)
        expect(await s.count(table)).toBe(0);
    });

    it("at most 100 faults are named, and undecodable bytes by their lines", async () => {
      const s = assemble(await store.open());
      expect(await s.faults("rights", `department,license,rights\n${"x,@A,-\n".repeat(5000)}`)).toHaveLength(100);
      const sjis = iconv.encode("code,name\nA,経理部\n", "shift_jis");
      await expect(s.run("departments", sjis)).rejects.toMatchObject({
        faults: [{ line: 2, code: "bytes-undecodable" }],
      });
      await s.run("departments", sjis, { encoding: "shift_jis" });
      expect(await s.organization.department("A")).toMatchObject({ name: "経理部" });
    });

    it("a licence that nothing has named before is a warning: it may be a slip of the pen, or a policy is still to come", async () => {
      const { run } = assemble(await store.open());
      const csv = "license,quantity\nWORD,5\nWORDD,1\nWORD,2\n";
      const first = await run("entitlements", csv);
      expect(first).toMatchObject({ created: 3, faults: [] });
      expect(first.warnings).toMatchObject([
        { line: 2, column: "license", code: "reference-unknown" },
        { line: 3, column: "license", code: "reference-unknown" },
      ]);
      await run("departments", "code,name,parent\nA,A,\n");
      const rights = await run("rights", "department,license,rights\nA,WORD,1\nA,WROD,1\n");
      expect(rights.warnings).toMatchObject([{ line: 3, column: "license", code: "reference-unknown" }]);
    });

    it("a licence of a policy that was published this very moment is no warning", async () => {
      const { run } = assemble(await store.open(), ["WORD", "EXCEL", "OFFICE"]);
      const csv = "license,quantity,rights\nOFFICE,5,suite(WORD EXCEL)\nOFFICES,1,\n";
      expect((await run("entitlements", csv)).warnings).toMatchObject([{ line: 3, column: "license" }]);
      await run("departments", "code,name,parent\nA,A,\n");
      expect((await run("rights", "department,license,rights\nA,WORD,1\nA,WROD,1\n")).warnings).toMatchObject([
        { line: 3, column: "license" },
      ]);
    });

    it("unknown managers are warnings: they may come with a later file", async () => {
      const s = assemble(await store.open());
      await s.run("departments", company.departments);
      const result = await s.run("employees", "id,name,manager\nE1,a,E2\nE2,b,E7\n");
      expect(result.warnings).toMatchObject([{ line: 3, column: "manager", code: "reference-unknown" }]);
    });

    it("an import that moves people and devices moves used with them, and every total stays true (§3, §6)", async () => {
      const s = assemble(await store.open());
      const size = 2500;
      const lines = (make: (i: number) => string) => Array.from({ length: size }, (_, i) => make(i)).join("\n");
      await s.run("departments", `code,name\n${Array.from({ length: 50 }, (_, i) => `D${i},d`).join("\n")}`);
      await s.run("employees", `id,name,department\n${lines((i) => `E${i},e,D${i % 50}`)}`);
      await s.run("devices", `id,hostname,employee\n${lines((i) => `P${i},p,E${i}`)}`);
      const ordinals = (await s.db.kysely.selectFrom("dev_devices").select("ordinal").orderBy("ordinal").execute()).map(
        (d) => d.ordinal,
      );
      await s.db.transaction((trx) =>
        s.repository.record(
          trx,
          ordinals.map((device) => ({ device, licenses: [{ license: "@X", count: 1 }] })),
          Date.now(),
        ),
      );
      const used = async (code: string) =>
        (await s.positions.department(code)).items.find((i) => i.license === "@X")?.used ?? 0;
      expect(await used("D7")).toBe(size / 50);
      await Promise.all([
        s.run("employees", `id,department\n${lines((i) => `E${i},D${(i % 50) % 10}`)}`),
        s.run("devices", `id,state\n${Array.from({ length: 100 }, (_, i) => `P${i},disposed`).join("\n")}`),
        s.db.transaction((trx) =>
          s.repository.record(
            trx,
            ordinals.slice(500, 600).map((device) => ({ device, licenses: [{ license: "@Y", count: 1 }] })),
            Date.now(),
          ),
        ),
      ]);
      expect(await used("D20")).toBe(0);
      const items = (await s.positions.company()).items;
      expect(items.map((i) => [i.license, i.used])).toEqual([
        ["@X", size - 200],
        ["@Y", 100],
      ]);
      expect((await s.reconcile()).differences).toEqual([]);
    });
  });
});
