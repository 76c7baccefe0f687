/** The whole route table, as `/api/openapi.json` describes it, against a real server. */
import { expect, it } from "vitest";
import { startServer } from "../testing/server.ts";
import { onSqlite } from "../testing/stores.ts";

onSqlite((store) => {
  it("every route is for callers it knows: nobody else has a body judged, and an employee sees applications only", async () => {
    const s = await startServer(store, { role: "both" });
    const { paths } = (await s.api("GET", "/api/openapi.json", { as: "nobody" })).json<{
      paths: Record<string, Record<string, unknown>>;
    }>();
    const calls = Object.entries(paths)
      .filter(([path]) => path !== "/scim/v2/ServiceProviderConfig")
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((m) => [m.toUpperCase(), path.replace(/\{\w+\}/g, "x")] as const),
      );
    expect(calls.length).toBeGreaterThan(100);
    for (const [method, path] of calls) {
      const body = method === "GET" || method === "DELETE" ? {} : { json: { unknown: true } };
      const unknown = await s.api(method, path, { ...body, as: "nobody" });
      expect([method, path, unknown.status]).toEqual([method, path, 401]);
      expect(unknown.headers.get("www-authenticate")).toMatch(/^Bearer/);
      if (path.startsWith("/api/v1/applications") && !path.endsWith("/verification")) continue;
      expect([method, path, (await s.api(method, path, { ...body, as: "employee" })).status]).toEqual([
        method,
        path,
        403,
      ]);
    }
    await s.stop();
  });

  it("a list filters by every field it names, and refuses what it has no filter for", async () => {
    const s = await startServer(store, { role: "corporate" });
    const id = "日".repeat(128);
    for (const code of ["D1", "D2"]) await s.api("POST", "/api/v1/departments", { json: { code, name: "x" } });
    await s.api("POST", "/api/v1/employees", { json: { id: "E1", name: "x" } });
    for (const name of ["PC1", id]) await s.api("POST", "/api/v1/devices", { json: { id: name, hostname: "h" } });
    const found = async (path: string): Promise<number> =>
      (await s.api("GET", `/api/v1/${path}`)).json<{ items: unknown[] }>().items.length;
    expect(await found("departments?code=D2")).toBe(1);
    expect([await found("employees?id=E1"), await found("employees?id=E2")]).toEqual([1, 0]);
    expect([await found("devices?id=PC1"), await found(`devices?id=${encodeURIComponent(id)}`)]).toEqual([1, 1]);
    expect((await s.api("GET", `/api/v1/devices/${encodeURIComponent(id)}`)).status).toBe(200);
    for (const path of ["departments?colour=red", "positions?limit=1&nothing=1", "devices?lastSeenAt=x"]) {
      const refused = await s.api("GET", `/api/v1/${path}`);
      expect([refused.status, refused.json()["code"]]).toEqual([400, "input-invalid"]);
      expect(refused.text).toContain("unknown field");
    }
    await s.stop();
  });

  it("every list is had page by page, refuses a sort it does not know, and has its columns as CSV even when it is empty", async () => {
    const s = await startServer(store, { role: "both" });
    const { paths } = (await s.api("GET", "/api/openapi.json")).json<{
      paths: Record<string, { get?: { responses: Record<string, { content?: Record<string, object> }> } }>;
    }>();
    const lists = Object.entries(paths)
      .filter(([, { get }]) => get?.responses["200"]?.content?.["text/csv"] !== undefined)
      .map(([path]) => path.replace("/{", "/%40").replaceAll("}", ""));
    expect(lists.length).toBeGreaterThan(35);
    for (const path of lists) {
      const from = path.endsWith("/changes") ? "from=2026-01-01&" : "";
      const refused = await s.api("GET", `${path}?${from}sort=nothing`);
      const csv = await s.api("GET", `${path}?${from}limit=1`, { headers: { accept: "text/csv" } });
      if (path.includes("%40")) {
        expect([path, [400, 404].includes(refused.status), [200, 404].includes(csv.status)]).toEqual([
          path,
          true,
          true,
        ]);
        continue;
      }
      expect([path, refused.status, refused.json()["code"]]).toEqual([path, 400, "input-invalid"]);
      expect([path, csv.status, csv.headers.get("content-type")]).toEqual([path, 200, "text/csv; charset=utf-8"]);
      expect([path, csv.text.split("\n")[0]]).toEqual([path, expect.stringMatching(/^\w+,\w+/)]);
    }
    const head = async (path: string): Promise<string | undefined> =>
      (await s.api("GET", path, { headers: { accept: "text/csv" } })).text.split("\n")[0];
    const departments = "code,name,parent,costCentre,manager,dissolvedAt,mergedInto";
    expect(await head("/api/v1/departments")).toBe(departments);
    const body = `${departments}\nD1,One,,,,,\n`;
    expect((await s.api("POST", "/api/v1/imports/departments", { body, type: "text/csv" })).status).toBe(200);
    expect((await s.api("GET", "/api/v1/departments", { headers: { accept: "text/csv" } })).text).toBe(body);
    expect(await head("/api/v1/positions/departments")).toMatch(/^department,license,.*,unmanaged.preinstalled,/);
    expect(await head("/api/v1/group-orders")).toMatch(/^order,period,license,state,company,quantity,/);
    await s.stop();
  });

  it("tokens, like every list, are filtered, sorted and paged", async () => {
    const s = await startServer(store, { role: "corporate" });
    for (const name of ["b", "c", "a"]) await s.api("POST", "/api/v1/tokens", { json: { name, role: "auditor" } });
    const names: string[] = [];
    let cursor = "";
    do {
      const path = `/api/v1/tokens?role=auditor&sort=-name&limit=2${cursor}`;
      const page = (await s.api("GET", path)).json<{ items: { name: string }[]; nextCursor?: string }>();
      names.push(...page.items.map((item) => item.name));
      cursor = page.nextCursor === undefined ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(names.filter((name) => name.length === 1)).toEqual(["c", "b", "a"]);
    await s.stop();
  });

  it("the description says of every operation how it refuses, at SCIM in SCIM's way", async () => {
    const s = await startServer(store, { role: "both" });
    const { paths, components } = (await s.api("GET", "/api/openapi.json")).json<{
      paths: Record<string, Record<string, { responses: { default?: object } }>>;
      components: { responses: object };
    }>();
    expect(Object.keys(components.responses)).toEqual(["problem", "scimError"]);
    for (const [path, operations] of Object.entries(paths))
      for (const { responses } of Object.values(operations))
        expect(responses.default).toEqual({
          $ref: `#/components/responses/${path.startsWith("/scim/") ? "scimError" : "problem"}`,
        });
    await s.stop();
  });

  it("what cannot be read is told as a problem too: an address, a type of body, a body that is too large", async () => {
    const s = await startServer(store, { role: "corporate" });
    for (const path of ["/api/v1/devices/%E0%A4%A", `/api/v1/devices/${"x".repeat(5000)}`]) {
      const refused = await s.api("GET", path);
      expect([refused.status, refused.json()["code"]]).toEqual([400, "input-invalid"]);
    }
    const text = await s.api("POST", "/api/v1/departments", { body: "code: D1", type: "text/plain" });
    expect([text.status, text.json()["code"]]).toEqual([415, "media-type-unsupported"]);
    const large = await s.api("POST", "/api/v1/departments", { json: { code: "D1", name: "x".repeat(40_000_000) } });
    expect(large.json()).toMatchObject({ code: "too-large", title: expect.stringMatching(/than \d+ bytes/) as string });
    await s.stop();
  });

  it("an idempotency key makes one thing: again it is answered the same, with another body it is a conflict", async () => {
    const s = await startServer(store, { role: "corporate" });
    const post = (json: object, key: string) =>
      s.api("POST", "/api/v1/departments", { json, headers: { "idempotency-key": key } });
    const made = await Promise.all([1, 2, 3].map(() => post({ code: "D1", name: "x" }, "k1")));
    expect(made.map((m) => [m.status, m.text])).toEqual(Array(3).fill([201, made[0]?.text]));
    expect((await post({ name: "x", code: "D1" }, "k1")).status).toBe(201);
    for (const other of [
      { code: "D2", name: "x" },
      { code: "D1", name: "y" },
    ])
      expect((await post(other, "k1")).json()["code"]).toBe("conflict");
    expect((await s.api("GET", "/api/v1/departments/D2")).status).toBe(404);
    // What came to nothing leaves the key free.
    expect((await post({ code: "D3", name: "x", parent: "D9" }, "k2")).status).toBeGreaterThanOrEqual(400);
    expect((await post({ code: "D3", name: "x", parent: "D1" }, "k2")).status).toBe(201);
    await s.stop();
  });

  it("a path that is there for other methods says which, and one that is nowhere is not found", async () => {
    const s = await startServer(store, { role: "corporate" });
    const wrong = await s.api("POST", "/api/v1/departments/D1", { json: {} });
    expect([wrong.status, wrong.json()["code"]]).toEqual([405, "method-not-allowed"]);
    expect(wrong.headers.get("allow")).toBe("GET, HEAD, PATCH, PUT");
    expect((await s.api("PATCH", "/api/v1/positions?limit=1", { json: {} })).status).toBe(405);
    for (const path of ["/api/v1/nothing", "/api/v1/departments/D1/nothing", "/api/v1/departments/"])
      expect((await s.api("POST", path, { json: {} })).json()["code"]).toBe("route-not-found");
    await s.stop();
  });
});
