/**
 * Purpose: a company of many departments: per department used, over and under as `report departments` prints them equal a recount made
 * here from the inventories, the policy and the CSV files (domain §3, §5.3); people who move take their part of `used` with them (§6).
 *
 *     DAICHO_DEVICES=20000 npx vitest run test/organization.test.ts
 */
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inventory, Title } from "@daicho/protocol";
import { expectReconciled } from "./harness/checks.ts";
import { licenseOf, licensesOf, policy, productCount, someTitles } from "./harness/made-up.ts";
import { createChance } from "./harness/random.ts";
import { createSite, type ServerNode } from "./harness/site.ts";

const deviceCount = Number(process.env["DAICHO_DEVICES"] ?? 2000);
const departmentCount = 500;
const chance = createChance(500);
const site = createSite();

interface Device {
  readonly id: string;
  readonly titles: readonly Title[];
  /** Index of its user. */
  readonly employee: number | undefined;
  readonly department: string | undefined;
  readonly state: "in-use" | "idle" | "disposed";
}

const codeOf = (index: number): string => `D${String(index).padStart(3, "0")}`;
/** Three levels: ten divisions, of which each has departments, of which some have sections. */
const parentOf = (index: number): string => (index < 10 ? "" : codeOf(index < 100 ? index % 10 : 10 + (index % 90)));
const departments = Array.from({ length: departmentCount }, (_, index) => codeOf(index));

/** Some in no department. */
let employees = Array.from({ length: Math.floor(deviceCount * 0.8) }, () =>
  chance.whole(20) === 0 ? undefined : chance.pick(departments),
);
const devices = Array.from({ length: deviceCount }, (_, index): Device => {
  const hasUser = chance.whole(4) !== 0;
  return {
    id: `PC-${String(index).padStart(5, "0")}`,
    titles: someTitles(chance),
    employee: hasUser ? chance.whole(employees.length) : undefined,
    department: chance.whole(3) === 0 ? undefined : chance.pick(departments),
    state: chance.whole(25) === 0 ? "disposed" : chance.whole(10) === 0 ? "idle" : "in-use",
  };
});
/** department → license → rights */
const rights = new Map<string, Map<string, number>>();
for (const department of departments)
  for (let n = 0; n < 4; n++) {
    const of = rights.get(department) ?? new Map<string, number>();
    rights.set(department, of.set(licenseOf(3 + chance.whole(productCount - 2)), chance.whole(6)));
  }

/** domain §5.3: the department of the device's user; no user, or one in no department: its managing department; neither: unassigned. */
function countsFor(device: Device): string {
  const own = device.employee === undefined ? undefined : employees[device.employee];
  return own ?? device.department ?? "unassigned";
}

interface Line {
  readonly used: number;
  readonly rights: number;
  readonly overUnder: number;
}

/** "department license" → its numbers; lines of nothing but zeros are left out. */
function recount(): Record<string, Line> {
  const used = new Map<string, number>();
  for (const device of devices)
    if (device.state !== "disposed")
      for (const license of licensesOf(device.titles)) {
        const key = `${countsFor(device)} ${license}`;
        used.set(key, (used.get(key) ?? 0) + 1);
      }
  const held = new Map<string, number>();
  for (const [department, of] of rights) for (const [license, count] of of) held.set(`${department} ${license}`, count);
  const lines: Record<string, Line> = {};
  for (const key of [...new Set([...used.keys(), ...held.keys()])].sort()) {
    const [u, r] = [used.get(key) ?? 0, held.get(key) ?? 0];
    if (u > 0 || r > 0) lines[key] = { used: u, rights: r, overUnder: r - u };
  }
  return lines;
}

async function reported(server: ServerNode): Promise<Record<string, Line>> {
  const { code, stdout, stderr } = await server.run("report", "departments", "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { items } = JSON.parse(stdout) as { items: readonly ({ department: string; license: string } & Line)[] };
  const lines: Record<string, Line> = {};
  for (const { department, license, used, rights: r, overUnder } of items)
    if (used > 0 || r > 0) lines[`${department} ${license}`] = { used, rights: r, overUnder };
  return Object.fromEntries(Object.entries(lines).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const csv = (name: string, rows: readonly (readonly (string | number | undefined)[])[]): string =>
  site.write(name, `${rows.map((row) => row.map((cell) => cell ?? "").join(",")).join("\r\n")}\r\n`);
const nameOf = (employee: number): string => `E${String(employee).padStart(5, "0")}`;
const employeesFile = (name: string): string =>
  csv(name, [
    ["id", "name", "mail", "department", "title", "manager"],
    ...employees.map((department, i) => [nameOf(i), `社員 ${i}`, `e${i}@example.com`, department, "", ""]),
  ]);

async function imported(server: ServerNode, kind: string, file: string): Promise<void> {
  const { code, stderr } = await server.run("import", kind, file);
  expect({ kind, code, stderr: code === 0 ? "" : stderr.slice(0, 2000) }).toEqual({ kind, code: 0, stderr: "" });
}

describe(
  `a company of ${departmentCount} departments and ${deviceCount} devices`,
  { timeout: 60_000 + deviceCount * 20 },
  () => {
    let server: ServerNode;
    beforeAll(async () => {
      server = await site.server({ name: "acme" });
      await server.api.send(
        "PUT",
        "/api/v1/policies/local",
        policy(1).replace("enterprise", "local"),
        "application/yaml",
      );
    });
    afterAll(() => site.close());

    it("counts used, over and under per department as a recount by hand does", async () => {
      await imported(
        server,
        "departments",
        csv("departments.csv", [
          ["code", "name", "parent", "costCentre", "manager"],
          ...departments.map((code, i) => [code, `部門 ${code}`, parentOf(i), `CC${i}`, nameOf(i)]),
        ]),
      );
      await imported(server, "employees", employeesFile("employees.csv"));
      // Half of the devices are in the ledger before their inventories come, half after.
      const ledger = (from: number, to: number): string =>
        csv(`devices-${from}.csv`, [
          ["id", "hostname", "serial", "employee", "department", "manager", "state"],
          ...devices
            .slice(from, to)
            .map(({ id, employee, department, state }) => [
              ...[
                id,
                id.toLowerCase(),
                `SN${id}`,
                employee === undefined ? "" : nameOf(employee),
                department,
                "",
                state,
              ],
            ]),
        ]);
      await imported(server, "devices", ledger(0, deviceCount / 2));
      const scans = `${site.dir}/scans`;
      mkdirSync(scans);
      for (const { id, titles } of devices) {
        const inventory: Inventory = {
          daicho: "inventory/v1",
          device: { id, hostname: id.toLowerCase(), serial: `SN${id}` },
          hardware: {},
          software: [...titles],
          scan: { startedAt: "2026-11-20T00:00:00Z", durationMs: 100, errors: [] },
        };
        site.write(`scans/${id}.json`, JSON.stringify(inventory));
      }
      await imported(server, "inventory", scans);
      await imported(server, "devices", ledger(deviceCount / 2, deviceCount));
      await imported(
        server,
        "rights",
        csv("rights.csv", [
          ["department", "license", "rights", "required"],
          ...[...rights].flatMap(([department, of]) =>
            [...of].map(([license, count]) => [department, license, count, 0]),
          ),
        ]),
      );
      expect(await reported(server)).toEqual(recount());
      await expectReconciled(server);
    });

    it("rolls a department up over its whole subtree", async () => {
      const lines = Object.entries(recount());
      const below = (code: string): readonly string[] => [
        code,
        ...departments.filter((_, i) => parentOf(i) === code).flatMap(below),
      ];
      for (const code of ["D003", "D042", "D499"]) {
        const subtree = new Set(below(code));
        const expected: Record<string, number> = {};
        for (const [key, { used }] of lines) {
          const [department = "", license = ""] = key.split(" ");
          if (used > 0 && subtree.has(department)) expected[license] = (expected[license] ?? 0) + used;
        }
        const { items } = await server.api.get<{ items: readonly { license: string; used: number }[] }>(
          `/api/v1/departments/${code}/positions?rollup=true`,
        );
        expect(Object.fromEntries(items.filter((i) => i.used > 0).map((i) => [i.license, i.used]))).toEqual(expected);
      }
    });

    it("moves used with the people that a CSV moves", async () => {
      const before = recount();
      employees = employees.map((department) => (chance.whole(5) === 0 ? chance.pick(departments) : department));
      const after = recount();
      expect(after).not.toEqual(before);
      await imported(server, "employees", employeesFile("moved.csv"));
      expect(await reported(server)).toEqual(after);
      await expectReconciled(server);
    });

    it("takes a file with one bad row as a whole or not at all", async () => {
      const before = await reported(server);
      const file = csv("bad.csv", [
        ["id", "name", "mail", "department", "title", "manager"],
        [nameOf(0), "社員 0", "", "D001", "", ""],
        [nameOf(1), "社員 1", "", "D999", "", ""],
      ]);
      const { code, stderr } = await server.run("import", "employees", file);
      expect(code).toBe(1);
      expect(stderr).toMatch(/bad\.csv:3/);
      expect(stderr).toContain("department");
      expect(await reported(server)).toEqual(before);
    });
  },
);
