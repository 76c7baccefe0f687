import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "@daicho/kernel";
import { createServer, type Server } from "../../app.ts";
import { loadServerConfig } from "../../config.ts";

// The routes are the same on both stores; what they call is tested on both.
describe("the ledger through the API (contract.md, Administration)", () => {
  let server: Server;
  let token: string;
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), "daicho-routes-"));
    const config = loadServerConfig({
      flags: {
        role: "corporate",
        name: "acme",
        database: `sqlite:${join(dir, "d.db")}`,
        data: dir,
        listen: "127.0.0.1:0",
      },
      env: {},
    });
    server = await createServer({ config, log: silentLog });
    ({ token } = await server.access.createApiToken({ name: "t", role: "manager" }));
  });
  afterAll(() => server.stop());

  const call = async (method: string, url: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await server.app.inject({
      method: method as "GET",
      url,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    });
    const json = answer.headers["content-type"]?.toString().includes("json") === true && answer.body !== "";
    return {
      status: answer.statusCode,
      body: (json ? answer.json() : answer.body) as Record<string, unknown> & { items: Record<string, unknown>[] },
    };
  };

  it("departments, employees and devices are created, replaced, changed and listed", async () => {
    expect((await call("PUT", "/api/v1/departments/D1", { name: "開発部" })).status).toBe(201);
    expect((await call("PUT", "/api/v1/departments/D2", { name: "Sales", parent: "D1", costCentre: "7" })).status).toBe(
      201,
    );
    expect((await call("PUT", "/api/v1/departments/D2", { name: "Sales", parent: "D1" })).body).toEqual({
      code: "D2",
      name: "Sales",
      parent: "D1",
    });
    expect((await call("PATCH", "/api/v1/departments/D2", { parent: null })).body).toEqual({
      code: "D2",
      name: "Sales",
    });
    expect((await call("POST", "/api/v1/employees", { id: "E1", name: "Aoi", department: "D1" })).status).toBe(201);
    expect((await call("PUT", "/api/v1/devices/PC%2F1", { employee: "E1", serial: "S-1" })).body).toMatchObject({
      id: "PC/1", hostname: "PC/1", state: "in-use", employee: "E1", countsFor: "D1", licenses: [],
    }); // prettier-ignore
    expect((await call("PATCH", "/api/v1/devices/PC%2F1", { state: "idle" })).body).toMatchObject({
      state: "idle",
      serial: "S-1",
    });
    expect((await call("GET", "/api/v1/devices?countsFor=D1")).body.items).toHaveLength(1);
    const csv = await call("GET", "/api/v1/departments", undefined, { accept: "text/csv" });
    expect(String(csv.body)).toBe(
      "code,name,parent,costCentre,manager,dissolvedAt,mergedInto\nD1,開発部,,,,,\nD2,Sales,,,,,\n",
    );
  });

  it("a repeated POST with an Idempotency-Key is answered as the first, a different one is a conflict", async () => {
    const key = { "idempotency-key": "k1" };
    const body = { license: "@LIBO", quantity: 5, unitPrice: 12_000, currency: "JPY", expiresAt: "2099-12-31" };
    const first = await call("POST", "/api/v1/entitlements", body, key);
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({ license: "@LIBO", unitPrice: 12_000, expiresAt: "2099-12-31T23:59:59.999Z" });
    expect((await call("POST", "/api/v1/entitlements", body, key)).body).toEqual(first.body);
    expect((await call("POST", "/api/v1/entitlements", { ...body, quantity: 6 }, key)).body).toMatchObject({
      code: "conflict",
    });
    expect((await call("GET", "/api/v1/entitlements?license=%40LIBO")).body.items).toHaveLength(1);
    const department = { code: "D9", name: "Nine" };
    expect((await call("POST", "/api/v1/departments", department, key)).status).toBe(201);
    expect((await call("POST", "/api/v1/departments", department, key)).status).toBe(201);
    expect((await call("POST", "/api/v1/departments", department)).body).toMatchObject({ code: "already-exists" });
  });

  it("an entitlement keeps its id and its history", async () => {
    const { body } = await call("POST", "/api/v1/entitlements", { license: "@HIST", quantity: 1, contract: "C-1" });
    const at = `/api/v1/entitlements/${String(body["id"])}`;
    expect((await call("PATCH", at, { quantity: 2 })).body).toMatchObject({
      id: body["id"],
      quantity: 2,
      contract: "C-1",
    });
    expect((await call("PUT", at, { license: "@HIST", quantity: 3 })).body).not.toHaveProperty("contract");
    expect((await call("GET", `${at}/history`)).body.items.map((i) => i["quantity"])).toEqual([3, 2, 1]);
    expect((await call("DELETE", at)).status).toBe(204);
    expect((await call("GET", at)).status).toBe(404);
    expect((await call("GET", `${at}/history`)).body.items).toHaveLength(3);
    const shown = (await call("GET", "/api/v1/positions?license=%40HIST")).body;
    expect(shown.items).toEqual([]);
  });

  it("rights are set and shown in positions, all stamped with version and time", async () => {
    await call("PUT", "/api/v1/departments/R1", { name: "Rights" });
    expect((await call("POST", "/api/v1/entitlements", { license: "@RIGHTS", quantity: 5 })).status).toBe(201);
    expect((await call("PUT", "/api/v1/departments/R1/licenses/%40RIGHTS", { rights: 3, required: 4 })).body).toEqual({
      department: "R1", license: "@RIGHTS", rights: 3, required: 4, requested: 0,
    }); // prettier-ignore
    expect((await call("PUT", "/api/v1/departments/R1/licenses/%40RIGHTS", { rights: 2 })).body).toMatchObject({
      rights: 2,
      required: 4,
    });
    expect((await call("PUT", "/api/v1/departments/NO/licenses/%40RIGHTS", { rights: 2 })).status).toBe(404);
    expect((await call("PUT", "/api/v1/departments/unassigned/licenses/%40RIGHTS", { rights: 2 })).status).toBe(400);
    expect((await call("PUT", "/api/v1/departments/R1/licenses/%40RIGHTS", {})).status).toBe(400);
    const company = (await call("GET", "/api/v1/positions?license=%40RIGHTS")).body;
    expect(company).toMatchObject({ version: expect.any(Number) as number, at: expect.any(String) as string });
    expect(company.items).toMatchObject([
      {
        license: "@RIGHTS", name: "@RIGHTS", metric: "device", required: 4, held: 5, rights: 2, requested: 0, used: 0,
        overUnder: 5, idle: 5, unmanaged: { preinstalled: 0, individual: 0, other: 0 },
      },
    ]); // prettier-ignore
    const one = (await call("GET", "/api/v1/departments/R1/positions?rollup=true")).body;
    expect(one).toMatchObject({
      department: "R1",
      items: [{ license: "@RIGHTS", rights: 2, corrected: 0, overUnder: 2 }],
    });
    const all = (await call("GET", "/api/v1/positions/departments?department=R1")).body;
    expect(all).toMatchObject({
      version: company["version"],
      items: [{ department: "R1", license: "@RIGHTS", rights: 2 }],
    });
    expect((await call("GET", "/api/v1/positions/departments?department=R1&limit=1")).body.items).toHaveLength(1);
    const csv = await call("GET", "/api/v1/positions/departments?department=R1", undefined, { accept: "text/csv" });
    expect(String(csv.body).split("\n")[0]).toContain("department,license,name,metric");
    expect((await call("GET", "/api/v1/reconcile")).body).toMatchObject({ devices: 0, differences: [] });
  });

  it("a CSV file is imported, in any of its encodings and also gzipped; faults come with line and column", async () => {
    const post = (payload: Buffer | string, query = "", headers: Record<string, string> = {}) =>
      server.app.inject({
        method: "POST",
        url: `/api/v1/imports/departments${query}`,
        headers: { authorization: `Bearer ${token}`, "content-type": "text/csv", ...headers },
        payload,
      });
    const sjis = Buffer.from([...Buffer.from("code,name\nJ1,"), 0x93, 0xfa, 0x96, 0x7b, 0x0a]);
    expect((await post(sjis, "?encoding=Shift_JIS&dryRun=true")).json()).toMatchObject({ dryRun: true, created: 1 });
    expect((await post(sjis, "", { "content-type": "text/csv; charset=shift_jis" })).json()).toMatchObject({
      created: 1,
    });
    expect((await call("GET", "/api/v1/departments/J1")).body).toEqual({ code: "J1", name: "日本" });
    const zipped = await post(gzipSync("code,name\nJ1,x\n"), "", { "content-encoding": "gzip" });
    expect(zipped.json()).toMatchObject({ updated: 1, faults: [], warnings: [] });
    const refused = await post("code,name,parent\nJ2,x,NO\n");
    expect(refused.statusCode).toBe(422);
    expect(refused.json()).toMatchObject({
      code: "import-invalid",
      faults: [{ line: 2, column: "parent", code: "reference-unknown", message: "there is no department NO" }],
    });
    expect((await post("x", "?encoding=ebcdic")).json()).toMatchObject({ code: "input-invalid" });
    expect((await post("{}", "", { "content-type": "application/json" })).statusCode).toBe(415);
    expect((await post("code,name\nJ3,x\n", "", { authorization: "Bearer no" })).statusCode).toBe(401);
  });

  it("hostile input is refused with its place, never answered with 500", async () => {
    const bad: [string, string, unknown?][] = [
      ["POST", "/api/v1/departments", { code: "x\u0000y", name: "n" }],
      ["POST", "/api/v1/departments", { code: " x", name: "n" }],
      ["POST", "/api/v1/departments", { code: "x", name: null }],
      ["POST", "/api/v1/departments", { code: "x".repeat(65), name: "n" }],
      ["POST", "/api/v1/departments", { code: "x", name: "n", surprise: 1 }],
      ["PUT", "/api/v1/departments/A", { code: "B", name: "n" }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1.5 }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1, unitPrice: 10.5, currency: "JPY" }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1, unitPrice: 10 }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1, unitPrice: 10, currency: "ZZZ" }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1, startsAt: "2026-02-30" }],
      ["POST", "/api/v1/entitlements", { license: "@A", quantity: 1, startsAt: "2026-02-03", expiresAt: "2026-02-01" }],
      ["GET", "/api/v1/devices?hostname=%00"],
      ["GET", "/api/v1/devices?cursor=%00"],
      ["GET", "/api/v1/devices?sort=constructor"],
      ["GET", "/api/v1/employees?cursor=WyJpZCIsIlx1MDAwMCIsIlx1MDAwMCJd"],
      ["GET", "/api/v1/departments/%00/positions"],
      ["GET", "/api/v1/positions?cursor=e30"],
    ];
    for (const [method, url, body] of bad) {
      const answer = await call(method, url, body);
      expect([url, answer.status, answer.body["code"]]).toEqual([url, 400, "input-invalid"]);
    }
    expect((await server.app.inject({ url: "/api/v1/positions" })).statusCode).toBe(401);
  });
});
