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
