import { afterAll, describe, expect, it } from "vitest";
import { manualClock } from "@daicho/kernel";
import type { Cause } from "@daicho/licensing";
import { startServer, type TestServer } from "../../../testing/server.ts";
import { forEachStore } from "../../../testing/stores.ts";
import type { ChangeItem } from "./changes.ts";

const day = 86_400_000;
const began = Date.parse("2026-01-01T09:00:00Z");

/** The same year every time. */
function dice(seed: number) {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return { below, of: <T>(list: readonly T[]): T => list[below(list.length)] as T };
}

interface Numbers {
  readonly license: string;
  readonly department?: string;
  readonly used: number;
  readonly held: number;
  readonly rights: number;
  readonly requested: number;
  readonly required: number;
}
interface Recorded {
  readonly at: number;
  readonly company: readonly Numbers[];
  readonly departments: readonly Numbers[];
  readonly rollups: Readonly<Record<string, readonly Numbers[]>>;
}

async function company(clock: ReturnType<typeof manualClock>, made: TestServer) {
  const { server } = made;
  const send = async (method: string, path: string, json?: unknown): Promise<Record<string, unknown>> => {
    const answer = await made.api(method, path, json === undefined ? {} : { json });
    if (answer.status >= 300) throw new Error(`${method} ${path} ${JSON.stringify(json)}: ${answer.text}`);
    return answer.text === "" ? {} : answer.json();
  };
  const licenses = ["@A", "@B", "@C", "@D", "@E", "@U", "@V"];
  const metric = new Map(licenses.map((code) => [code, code === "@U" || code === "@V" ? "user" : "device"]));
  const policy = (deselected: readonly string[] = []) =>
    server.db.transaction((trx) =>
      server.repository.syncLicenses(
        trx,
        licenses
          .filter((code) => !deselected.includes(code))
          .map((code) => ({ code, name: `Product ${code}`, metric: metric.get(code) as "user" | "device" })),
        new Set(deselected),
      ),
    );
  const devices = new Map<string, number>();
  const report = async (
    id: string,
    uses: readonly string[],
    cause: Cause = "report",
    unmanaged: readonly string[] = [],
  ) => {
    const device = devices.get(id) as number;
    const licenses = uses.map((license) => ({
      license,
      count: metric.get(license) === "user" ? 1 : 1 + (device % 3),
      ...(unmanaged.includes(license) && { class: "individual" as const }),
    }));
    await server.db.transaction((trx) => server.repository.record(trx, [{ device, licenses }], clock.now(), cause));
  };
  await policy();
  for (const [code, parent] of [["R", null], ["A", "R"], ["B", "R"], ["A1", "A"], ["A2", "A"], ["B1", "B"]] as const)
    await send("POST", "/api/v1/departments", { code, name: code, parent, costCentre: code }); // prettier-ignore
  for (let e = 0; e < 12; e++)
    await server.organization.saveEmployee({ id: `E${e}`, name: `E${e}`, department: ["A1", "A2", "B1", "B"][e % 4] as string }, "create"); // prettier-ignore
  for (let v = 0; v < 24; v++) {
    await server.devices.save(
      { id: `V${v}`, ...(v % 5 !== 0 ? { employee: `E${v % 12}` } : {}), ...(v % 3 === 0 ? { department: "A" } : {}) },
      "create",
    );
  }
  for (const row of await server.db.kysely.selectFrom("dev_devices").select(["id", "ordinal"]).execute())
    devices.set(row.id, row.ordinal);
  return { send, licenses, metric, policy, devices: [...devices.keys()], report };
}

/** One thing that happens in a company. What is refused because of the state the company is in is nothing that happened. */
async function happen(
  { below, of }: ReturnType<typeof dice>,
  c: Awaited<ReturnType<typeof company>>,
  { server, api }: TestServer,
  live: { departments: string[]; entitlements: string[]; made: number },
  now: number,
): Promise<string> {
  const kind = below(26);
  const attempt = async (method: string, path: string, json: unknown) => {
    const answer = await api(method, path, { json });
    if (answer.status >= 500) throw new Error(answer.text);
    return answer.status < 300 ? answer.json() : undefined;
  };
  const department = of(live.departments);
  if (kind < 9) {
    const uses = c.licenses.filter(() => below(3) === 0);
    await c.report(
      of(c.devices),
      uses,
      of(["report", "report", "report", "import", "corrected", "policy"] as const),
      uses.slice(0, below(2)),
    );
    return "report";
  }
  if (kind < 11) {
    await attempt("PATCH", `/api/v1/employees/E${below(12)}`, { department });
    return "move";
  }
  if (kind === 11 && below(2) === 0) {
    await attempt("POST", "/api/v1/allocations", { license: of(c.licenses), device: of(c.devices) });
    return "allocate";
  }
  if (kind < 13) {
    const change = of([{ employee: `E${below(12)}` }, { employee: null }, { department }, { state: "disposed" }, { state: "in-use" }]); // prettier-ignore
    await attempt("PATCH", `/api/v1/devices/${of(c.devices)}`, change);
    return "reassign";
  }
  if (kind < 16) {
    const entitlement = {
      license: of(c.licenses),
      quantity: 1 + below(9),
      unitPrice: 100,
      currency: "JPY",
      ...(below(2) === 0 && { startsAt: new Date(now + (below(60) - 30) * day).toISOString() }),
      ...(below(2) === 0 && { rights: of(["upgrade(@B @C)", "downgrade(@D)", "suite(@A @E)", "second-device"]) }),
      ...(below(2) === 0 && { expiresAt: new Date(now + (40 + below(90)) * day).toISOString() }),
    };
    const made = await attempt("POST", "/api/v1/entitlements", entitlement);
    if (made !== undefined) live.entitlements.push(String(made["id"]));
    return "buy";
  }
  if (kind === 16 && live.entitlements.length > 0) {
    await attempt("PATCH", `/api/v1/entitlements/${of(live.entitlements)}`, { quantity: below(12) });
    return "edit";
  }
  if (kind === 17 && live.entitlements.length > 3) {
    const [id] = live.entitlements.splice(below(live.entitlements.length), 1);
    await api("DELETE", `/api/v1/entitlements/${id}`);
    return "withdraw";
  }
  if (kind < 20) {
    await attempt("PUT", `/api/v1/departments/${department}/licenses/${of(c.licenses)}`, of([{ rights: below(9) }, { required: below(9) }])); // prettier-ignore
    return "rights";
  }
  if (kind === 20) {
    await c.policy(below(2) === 0 ? [of(c.licenses)] : []);
    return "selection";
  }
  if (kind === 21) {
    const code = of(["@E", "@V"]);
    c.metric.set(code, c.metric.get(code) === "user" ? "device" : "user");
    await c.policy();
    return "metric";
  }
  const changes: object[] =
    kind === 22
      ? [{ type: "move", department, to: of(live.departments) }]
      : kind === 23
        ? [{ type: "split", department, to: `N${++live.made}`, name: "new", employees: [] }]
        : kind === 24
          ? of([
              [{ type: "merge", department, to: of(live.departments) }],
              [{ type: "rename", department, code: `X${++live.made}`, name: `renamed ${live.made}` }],
              [{ type: "leave", employee: `E${below(12)}` }],
              [{ type: "hire", employee: `E${below(12)}`, department }],
            ])
          : [];
  if (kind === 25) await attempt("POST", "/api/v1/purchase-runs", { period: `p${now}` });
  else await attempt("POST", "/api/v1/org-changes", { changes });
  const rows = await server.db.kysely
    .selectFrom("org_departments")
    .select("code")
    .where("dissolved_at", "is", null)
    .execute();
  live.departments = rows.map((row) => row.code);
  return kind === 25 ? "purchase run" : "reorganisation";
}

forEachStore((store) => {
  describe("positions of the past (design.md Time)", () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterAll(async () => {
      for (const cleanup of cleanups) await cleanup();
    });

    it(
      "a year: positions asked for as of 50 past days are what was recorded on them, and any two differ by their causes exactly",
      { timeout: 600_000 },
      async () => {
        const clock = manualClock(began);
        const made = await startServer(store, { role: "corporate" }, clock);
        cleanups.push(() => made.stop());
        const { server } = made;
        const c = await company(clock, made);
        const random = dice(20_260_101);
        const live = { departments: ["R", "A", "B", "A1", "A2", "B1"], entitlements: [] as string[], made: 0 };
        const happened = new Map<string, number>();

        const record = async (asOf?: number): Promise<Omit<Recorded, "at">> => {
          const codes = asOf === undefined ? live.departments : [];
          const rollups: Record<string, readonly Numbers[]> = {};
          for (const code of codes)
            rollups[code] = (await server.positions.department(code, { rollup: true })).items as unknown as Numbers[];
          return {
            company: (await server.positions.company({ asOf })).items as unknown as Numbers[],
            departments: [...(await server.positions.departments({ asOf })).items] as unknown as Numbers[],
            rollups,
          };
        };
        const recorded: Recorded[] = [];
        for (let n = 0; n < 365; n++) {
          for (let i = random.below(4); i > 0; i--) {
            const what = await happen(random, c, made, live, clock.now());
            happened.set(what, (happened.get(what) ?? 0) + 1);
            // Some things happen within the same millisecond.
            clock.advance(random.below(3) * 1000);
          }
          if (n % 7 === 3) recorded.push({ at: clock.now(), ...(await record()) });
          clock.advance(day - (clock.now() - began - n * day));
        }
        expect(recorded.length).toBeGreaterThanOrEqual(50);
        for (const what of ["report", "move", "reassign", "buy", "edit", "withdraw", "rights", "selection", "metric", "reorganisation", "purchase run", "allocate"])
          expect(happened.get(what), what).toBeGreaterThan(3); // prettier-ignore

        for (const then of recorded) {
          const again = await record(then.at);
          expect(again.company, new Date(then.at).toISOString()).toEqual(then.company);
          expect(again.departments, new Date(then.at).toISOString()).toEqual(then.departments);
          for (const [code, items] of Object.entries(then.rollups))
            expect((await server.positions.department(code, { rollup: true, asOf: then.at })).items).toEqual(items);
        }

        const causes = new Set<string>();
        const explained = (items: readonly ChangeItem[]): void => {
          for (const item of items) {
            expect(item.unexplained, JSON.stringify(item)).toEqual({ used: 0, held: 0, rights: 0, requested: 0, required: 0 }); // prettier-ignore
            for (const cause of item.causes) {
              expect(cause.cause).not.toBe("unknown");
              causes.add(cause.cause);
            }
          }
        };
        const same = (items: readonly ChangeItem[], end: "from" | "to", then: readonly Numbers[]): void => {
          const shown = new Map(then.map((item) => [`${item.department ?? ""} ${item.license}`, item]));
          for (const item of items) {
            const position = shown.get(`${item.department ?? ""} ${item.license}`);
            for (const measure of ["used", "rights", "requested", "required"] as const)
              expect(item[end][measure], JSON.stringify(item)).toBe(position?.[measure] ?? 0);
            if (item.department === undefined) expect(item[end].held).toBe(position?.held ?? 0);
          }
        };
        for (let i = 0; i < 40; i++) {
          const [a, b] = [random.of(recorded), random.of(recorded)].sort((x, y) => x.at - y.at) as [Recorded, Recorded];
          const between = { from: a.at, to: b.at };
          const all = [...(await server.positions.changes.between(between))];
          explained(all);
          same(all, "from", a.company);
          same(all, "to", b.company);
          // What is not told did not change.
          const told = new Set(all.map((item) => item.license));
          for (const item of a.company)
            if (!told.has(item.license)) expect(b.company.find((x) => x.license === item.license)).toMatchObject({ used: item.used, held: item.held }); // prettier-ignore
          explained([...(await server.positions.changes.between({ ...between, byDepartment: true }))]);
          const department = random.of(Object.keys(b.rollups));
          for (const rollup of [true, false]) {
            const items = [...(await server.positions.changes.between({ ...between, department, rollup }))];
            explained(items);
            if (rollup) same(items.map(({ department: _, ...item }) => item as ChangeItem), "to", (b.rollups[department] ?? []).map((n) => ({ ...n, held: 0 }))); // prettier-ignore
          }
        }
        for (const cause of ["installed", "removed", "imported", "moved", "reorganized", "reassigned", "disposed", "handed-over", "corrected", "policy", "metric", "rights-attached", "purchased", "entitlement-edited", "entitlement-withdrawn", "entitlement-started", "entitlement-expired", "rights-edited", "purchase-run"])
          expect([...causes]).toContain(cause); // prettier-ignore
        // The devices of this company have no reports behind them: every other law holds.
        const { differences } = await server.reconcile();
        expect(differences.filter(({ law }) => law !== "licenses-follow-from-facts")).toEqual([]);
      },
    );

    it("through the API: dates, events page by page, and one clear error for what cannot be asked", async () => {
      const clock = manualClock(began);
      const made = await startServer(store, { role: "corporate" }, clock);
      cleanups.push(() => made.stop());
      const c = await company(clock, made);
      const get = async <T = Record<string, unknown>>(path: string) => {
        const answer = await made.api("GET", path);
        return { status: answer.status, body: answer.json<T & { items: Record<string, unknown>[] }>() };
      };
      for (let v = 0; v < 6; v++) await c.report(`V${v}`, ["@A", "@U"]);
      clock.advance(day);
      await c.send("POST", "/api/v1/entitlements", { license: "@A", quantity: 5, expiresAt: "2026-01-03" });
      await c.send("PATCH", "/api/v1/employees/E1", { department: "B" });
      await c.send("PUT", "/api/v1/departments/B/licenses/@A", { rights: 4 });
      clock.advance(3 * day);
      await c.report("V1", ["@U"]);

      // A day that is over stands for its end, the day in progress for now.
      const first = await get("/api/v1/positions?asOf=2026-01-01");
      expect(first.body).toMatchObject({ at: "2026-01-01T23:59:59.999Z" });
      expect(first.body).not.toHaveProperty("version");
      const used = (items: Record<string, unknown>[], license: string) => items.find((i) => i["license"] === license);
      expect(used(first.body.items, "@A")).toMatchObject({ used: 12, held: 0 });
      expect(used((await get("/api/v1/positions?asOf=2026-01-02")).body.items, "@A")).toMatchObject({ used: 12, held: 5, rights: 4 }); // prettier-ignore
      expect(used((await get("/api/v1/positions?asOf=2026-01-04")).body.items, "@A")).toMatchObject({ used: 12, held: 0 }); // prettier-ignore
      const today = await get("/api/v1/positions?asOf=2026-01-05");
      expect(today.body).toMatchObject({ at: "2026-01-05T09:00:00.000Z", version: expect.any(Number) as unknown });
      expect(used(today.body.items, "@A")).toMatchObject({ used: 9 });
      expect((await get("/api/v1/positions?asOf=2025-06-01T00:00:00Z")).body.items).toEqual([]);
      expect((await get("/api/v1/departments/A2/positions?asOf=2026-01-01&license=@A")).body.items).toMatchObject([{ used: 3 }]); // prettier-ignore
      expect((await get("/api/v1/departments/A2/positions?asOf=2026-01-02&license=@A")).body.items).toEqual([]);
      expect((await get("/api/v1/departments/R/positions?asOf=2026-01-02&license=@A&rollup=true")).body.items).toMatchObject([{ used: 11 }]); // prettier-ignore
      expect((await get("/api/v1/positions/departments?asOf=2026-01-02&department=B&license=@A")).body.items).toMatchObject([{ used: 5, rights: 4 }]); // prettier-ignore

      // A code is that of the day; one that nobody had then means who has it now.
      await c.send("POST", "/api/v1/org-changes", { changes: [{ type: "rename", department: "A2", code: "Z" }, { type: "rename", department: "B", code: "A2" }] }); // prettier-ignore
      for (const [code, is] of [
        ["A2", [{ used: 3 }]],
        ["Z", [{ used: 3 }]],
        ["B", [{ used: 2 }]],
      ] as const) {
        const query = "asOf=2026-01-01&license=@A";
        expect((await get(`/api/v1/departments/${code}/positions?${query}`)).body.items, code).toMatchObject(is);
        expect((await get(`/api/v1/positions/departments?${query}&department=${code}`)).body.items, code).toMatchObject(is); // prettier-ignore
        expect((await get(`/api/v1/positions/@A/explain?asOf=2026-01-01&department=${code}`)).body).toMatchObject({ totals: is[0] }); // prettier-ignore
      }
      expect((await get("/api/v1/departments/Y/positions?asOf=2026-01-01")).status).toBe(404);
      await c.send("POST", "/api/v1/org-changes", { changes: [{ type: "rename", department: "A2", code: "B" }, { type: "rename", department: "Z", code: "A2" }] }); // prettier-ignore

      const changes = await get<{ from: string }>("/api/v1/positions/changes?from=2026-01-01&license=@A");
      expect(changes.body).toMatchObject({ from: "2026-01-01T23:59:59.999Z", to: "2026-01-05T09:00:00.000Z" });
      expect(changes.body.items).toMatchObject([
        {
          license: "@A",
          from: { used: 12, held: 0, rights: 0 },
          to: { used: 9, held: 0, rights: 4 },
          causes: [
            { cause: "removed", used: -3, count: 1 },
            { cause: "moved", used: 0, count: 2 },
            { cause: "purchased", held: 5 },
            { cause: "entitlement-expired", held: -5 },
            { cause: "rights-edited", rights: 4 },
          ],
          unexplained: { used: 0, held: 0, rights: 0, requested: 0, required: 0 },
        },
      ]);
      const ofB = await get("/api/v1/positions/changes?from=2026-01-01&department=B");
      expect(ofB.body.items).toMatchObject([
        { department: "B", license: "@A", from: { used: 2 }, to: { used: 2 }, causes: [{ cause: "removed", used: -3 }, { cause: "moved", used: 3 }, { cause: "rights-edited" }] },
        { department: "B", license: "@U", to: { used: 2 }, causes: [{ cause: "moved", used: 1 }] },
      ]); // prettier-ignore
      const each = await get("/api/v1/positions/changes?from=2026-01-01&by=department&license=@U");
      expect(each.body.items.map((i) => [i["department"], (i["to"] as { used: number }).used - (i["from"] as { used: number }).used])).toEqual([["A", 0], ["A1", 0], ["A2", -1], ["B", 1], ["B1", 0], ["unassigned", 0]]); // prettier-ignore

      const whole = await get("/api/v1/positions/changes?from=2026-01-01&detail=true");
      expect(whole.body.items).toHaveLength(8);
      expect(whole.body.items[1]).toMatchObject({ at: "2026-01-02T09:00:00.000Z", cause: "moved", measure: "used", license: "@A", department: "A2", by: -3, device: "V1", before: { department: "A2", employee: "E1", count: 3 }, after: { department: "B" } }); // prettier-ignore
      expect(whole.body.items.map((e) => e["measure"])).toEqual(["used", "used", "used", "used", "held", "rights", "held", "used"]); // prettier-ignore
      const paged: unknown[] = [];
      for (let cursor = ""; ;) {
        const page = await get<{ nextCursor?: string }>(`/api/v1/positions/changes?from=2026-01-01&detail=true&limit=3${cursor}`); // prettier-ignore
        paged.push(...page.body.items);
        if (page.body.nextCursor === undefined) break;
        cursor = `&cursor=${page.body.nextCursor}`;
      }
      expect(paged).toEqual(whole.body.items);

      for (const [path, status, code, where] of [
        ["positions?asOf=yesterday", 400, "input-invalid", "querystring/asOf"],
        ["positions?asOf=2026-02-30", 400, "input-invalid", "querystring/asOf"],
        ["positions?asOf=2026-01-06", 400, "input-invalid", "querystring/asOf"],
        ["positions/departments?asOf=2026-01-05T09:00:00.001Z", 400, "input-invalid", "querystring/asOf"],
        ["departments/NOWHERE/positions?asOf=2026-01-02", 404, "not-found", undefined],
        ["departments/A/positions?asOf=2025-01-02", 404, "not-found", undefined],
        ["positions/changes", 400, "input-invalid", "querystring"],
        ["positions/changes?from=2026-01-04&to=2026-01-02", 400, "input-invalid", "querystring/from"],
        ["positions/changes?from=2026-01-01&department=NOWHERE", 404, "not-found", undefined],
        ["positions/changes?from=2026-01-01&department=A&by=department", 400, "input-invalid", "querystring/by"],
        ["positions/changes?from=2026-01-01&rollup=true", 400, "input-invalid", "querystring/rollup"],
        ["positions/changes?from=2026-01-01&detail=true&cursor=x", 400, "input-invalid", "querystring/cursor"],
        ["positions/changes?from=2026-01-01&detail=true&sort=license", 400, "input-invalid", "querystring/sort"],
      ] as const) {
        const { status: got, body } = await get<{ code: string; faults?: { path: string }[] }>(`/api/v1/${path}`);
        expect([got, body.code, body.faults?.[0]?.path], path).toEqual([status, code, where]);
      }
    });

    it("a clock that is set back makes no two intervals of a device overlap", async () => {
      const clock = manualClock(began);
      const made = await startServer(store, { role: "corporate" }, clock);
      cleanups.push(() => made.stop());
      const c = await company(clock, made);
      const { repository, db, positions } = made.server;
      const record = (at: number, uses: readonly string[]) =>
        db.transaction((trx) =>
          repository.record(trx, [{ device: 1, licenses: uses.map((license) => ({ license, count: 1 })) }], at),
        );
      await record(began + 1000, ["@A"]);
      await record(began + 500, ["@A", "@B"]);
      await record(began + 3000, []);
      await record(began + 2000, ["@B"]);
      await c.send("POST", "/api/v1/entitlements", { license: "@B", quantity: 1 });
      clock.advance(10_000);
      const used = async (after: number) => {
        const { items } = await positions.company({ asOf: began + after });
        return Object.fromEntries(items.filter((i) => i.used > 0).map((i) => [i.license, i.used]));
      };
      expect([await used(999), await used(1000), await used(2500), await used(3000)]).toEqual([{}, { "@A": 1, "@B": 1 }, { "@A": 1, "@B": 1 }, { "@B": 1 }]); // prettier-ignore
      for (const item of await positions.changes.between({ from: began, to: began + 9000 }))
        expect(item.unexplained.used).toBe(0);
    });
  });
});
