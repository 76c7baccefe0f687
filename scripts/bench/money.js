/**
 * The money of a large company: purchase plan (aim: ≤ 2 s) and run, a department's position (≤ 20 ms), a past day, a difference with its causes, and
 * the way from a number down to its installations. In one process; positions also over HTTP.
 */
import { code, openCompany, timer } from "./company.js";

export async function money({ devices = 100_000, departments = 1000, licenses = 100, database }) {
  const departmentOf = (i) => i % departments;
  const { server, close } = await openCompany({ devices, departments, licenses, departmentOf, database });
  const time = timer("money");
  const { token } = await server.access.createApiToken({ name: "bench", role: "admin" });
  const call = async (method, path, body) => {
    const answer = await server.app.inject({
      method,
      url: path,
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { payload: JSON.stringify(body) }),
    });
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${answer.body.slice(0, 300)}`);
    return answer.json();
  };
  for (let i = 0; i < licenses; i++)
    await call("POST", "/api/v1/entitlements", {
      license: `@L${i}`,
      quantity: 5000,
      unitPrice: 1000 + i,
      currency: "JPY",
      ...(i % 5 === 0 && { metric: "user" }),
    });
  const before = new Date().toISOString();
  await time("plan, nothing in memory yet", () => call("POST", "/api/v1/purchase-runs", { dryRun: true }));
  await time("plan", () => call("POST", "/api/v1/purchase-runs", { dryRun: true }));
  await time("run", () => call("POST", "/api/v1/purchase-runs", { period: "bench" }));
  for (const [name, path] of [
    ["a department's position", (i) => `/api/v1/departments/${code((i * 37) % departments)}/positions`],
    ["the same, rolled up", (i) => `/api/v1/departments/${code(i % 10)}/positions?rollup=true`],
    ["the company's position", () => "/api/v1/positions"],
  ]) {
    const took = [];
    for (let i = 0; i < 500; i++) {
      const begun = performance.now();
      await call("GET", path(i));
      took.push(performance.now() - begun);
    }
    took.sort((a, b) => a - b);
    console.log(`money     ${name}: p50 ${took[250].toFixed(1)} ms, p95 ${took[475].toFixed(1)} ms`);
  }
  await time("the company's position before the run", () => call("GET", `/api/v1/positions?asOf=${before}`));
  await time("the difference with its causes", () =>
    call("GET", `/api/v1/positions/changes?from=${before}&to=${new Date().toISOString()}`),
  );
  await time("why is this number so: first page", () => call("GET", "/api/v1/positions/@L1/explain?limit=100"));
  await time("reconcile", async () => {
    const { differences } = await server.reconcile();
    // The devices of this company have no reports behind them, so only these laws can be asked.
    const broken = differences.filter((d) => d.law !== "licenses-follow-from-facts");
    if (broken.length > 0) throw new Error(JSON.stringify(broken.slice(0, 3)));
  });
  await close();
}
