import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "@daicho/kernel";
import { startServer, type TestServer } from "../../testing/server.ts";
import { forEachStore } from "../../testing/stores.ts";

interface Answer {
  readonly id: string;
  readonly code: string;
  readonly state: string;
  readonly waitingFor?: string;
  readonly requested: number;
  readonly granted: number;
  readonly fromIdle?: unknown;
  readonly signaturesValid: boolean;
  readonly signatureFaults?: string[];
  readonly warnings?: { code: string }[];
  readonly items: Record<string, unknown>[];
  readonly token: string;
  readonly steps: {
    step: number;
    approver?: string;
    role?: string;
    department?: string;
    state: string;
    decidedBy?: string;
    onBehalf?: boolean;
    comment?: string;
    signature?: string;
  }[];
}
type Reply = { status: number; body: Answer; text: string };

forEachStore((store) => {
  describe("applications through the API (domain.md §6)", () => {
    let server: TestServer;
    let now = Date.UTC(2026, 10, 10);
    const tokens = new Map<string, string>();

    beforeAll(async () => {
      server = await startServer(store, { role: "corporate" }, { ...systemClock, now: () => now });
      // HQ (boss) > DEV (lead) > DEV1 (nobody) ; SALES (vendor)
      for (const [code, parent, manager, costCentre] of [
        ["HQ", undefined, "boss", "CC0"],
        ["DEV", "HQ", "lead", "CC1"],
        ["DEV1", "DEV", undefined, undefined],
        ["SALES", "HQ", "vendor", "CC2"],
      ] as const)
        await put(`/api/v1/departments/${code}`, {
          name: code,
          parent: parent ?? null,
          manager: manager ?? null,
          costCentre: costCentre ?? null,
        });
      for (const [id, department] of [
        ["boss", "HQ"],
        ["lead", "DEV"],
        ["aoi", "DEV1"],
        ["ken", "SALES"],
        ["vendor", "SALES"],
      ])
        await put(`/api/v1/employees/${id}`, { name: id, department });
      for (const employee of ["boss", "lead", "aoi", "ken", "vendor"])
        tokens.set(
          employee,
          (await call("POST", "/api/v1/tokens", { name: employee, role: "employee", employee })).body.token,
        );
    });
    afterAll(() => server.stop());

    const call = async (
      method: string,
      path: string,
      json?: unknown,
      as?: string,
      headers?: object,
    ): Promise<Reply> => {
      const token = as === undefined ? undefined : tokens.get(as);
      const answer = await server.api(method, path, {
        ...(json !== undefined && { json }),
        ...(as !== undefined && token === undefined && { as: as as "manager" }),
        headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      });
      const isJson = answer.headers.get("content-type")?.includes("json") === true;
      return { status: answer.status, body: (isJson ? answer.json() : {}) as Answer, text: answer.text };
    };
    const put = (path: string, json: unknown): Promise<Reply> => call("PUT", path, json);
    const file = (json: object, as?: string, headers?: object): Promise<Reply> =>
      call("POST", "/api/v1/applications", { reason: "New colleagues", quantity: 1, ...json }, as, headers);
    const approve = (id: string, as?: string, json: object = {}): Promise<Reply> =>
      call("POST", `/api/v1/applications/${id}/approve`, json, as);
    const rightsOf = async (department: string, license: string): Promise<Record<string, unknown>> =>
      (await call("GET", `/api/v1/departments/${department}/licenses/${encodeURIComponent(license)}`)).body as never;

    it("climbs from the department's manager upward, each step decided by whom it is for, and adds to requested at the end", async () => {
      const filed = await file({ department: "DEV1", license: "@A", quantity: 3 }, "aoi");
      expect(filed.status).toBe(201);
      expect(filed.body).toMatchObject({
        state: "pending", waitingFor: "lead", applicant: "aoi", filedBy: "aoi", signaturesValid: true,
        steps: [
          { step: 1, approver: "lead", department: "DEV", state: "open" },
          { step: 2, approver: "boss", department: "HQ", state: "open" },
        ],
      }); // prettier-ignore
      const { id } = filed.body;
      expect((await approve(id, "boss")).body.code).toBe("not-your-step");
      expect((await approve(id, "auditor")).body.code).toBe("not-your-step");
      expect((await approve(id, "aoi")).body.code).toBe("own-application");
      expect((await approve(id, "vendor")).status).toBe(404);
      expect((await approve(id, "lead", { comment: "fine" })).body).toMatchObject({
        state: "pending",
        waitingFor: "boss",
      });
      expect((await approve(id, "lead")).body.code).toBe("not-your-step");
      const done = await approve(id, "manager");
      expect(done.body).toMatchObject({ state: "approved", requested: 3, granted: 0, signaturesValid: true });
      expect(done.body.steps).toMatchObject([
        { decidedBy: "lead", onBehalf: false, comment: "fine" },
        { onBehalf: true, state: "approved" },
      ]);
      expect(await rightsOf("DEV1", "@A")).toMatchObject({ rights: 0, requested: 3 });
      expect((await approve(id, "manager")).body).toMatchObject({ code: "application-state" });
    });

    it("is the licence manager's alone where no manager is there to ask", async () => {
      await put("/api/v1/departments/LONE", { name: "Lone", manager: "nobody-known" });
      const { body } = await file({ department: "LONE", license: "@A" });
      expect(body).toMatchObject({ waitingFor: "role:manager", steps: [{ role: "manager", state: "open" }] });
      expect((await approve(body.id)).body).toMatchObject({ state: "approved", steps: [{ onBehalf: false }] });
    });

    it("never asks the applicant; a manager's own application goes to the one above", async () => {
      const { body } = await file({ department: "DEV", license: "@A" }, "lead");
      expect(body.steps).toMatchObject([{ approver: "boss" }]);
      const own = (await call("POST", "/api/v1/tokens", { name: "x", role: "manager", employee: "lead" })).body.token;
      tokens.set("lead as manager", own);
      expect((await approve(body.id, "lead as manager")).body.code).toBe("own-application");
    });

    it("is refused with a reason and no longer decided; withdrawn by the applicant only", async () => {
      const refused = (await file({ department: "DEV1", license: "@A" }, "aoi")).body;
      expect((await call("POST", `/api/v1/applications/${refused.id}/refuse`, {}, "lead")).status).toBe(400);
      expect((await call("POST", `/api/v1/applications/${refused.id}/refuse`, { reason: "  " }, "lead")).status).toBe(
        400,
      );
      expect(
        (await call("POST", `/api/v1/applications/${refused.id}/refuse`, { reason: "Use @B" }, "lead")).body,
      ).toMatchObject({ state: "refused", steps: [{ state: "refused", comment: "Use @B" }, { state: "skipped" }] });
      expect((await approve(refused.id, "boss")).body.code).toBe("application-state");
      const mine = (await file({ department: "DEV1", license: "@A" }, "aoi")).body;
      const withdraw = (as: string): Promise<Reply> =>
        call("POST", `/api/v1/applications/${mine.id}/withdraw`, { reason: "Changed\nmy mind" }, as);
      expect((await withdraw("lead")).body.code).toBe("not-allowed");
      expect((await withdraw("aoi")).body).toMatchObject({ state: "withdrawn", withdrawal: { by: "aoi" } });
      expect((await withdraw("aoi")).body.code).toBe("application-state");
    });

    it("withdrawing an approved one takes what is not granted out of requested", async () => {
      const { body } = await file({ department: "SALES", license: "@W", quantity: 4 });
      expect((await approve(body.id)).body.state).toBe("pending");
      expect((await approve(body.id)).body.state).toBe("approved");
      expect(await rightsOf("SALES", "@W")).toMatchObject({ requested: 4 });
      expect((await call("POST", `/api/v1/applications/${body.id}/withdraw`)).body.state).toBe("withdrawn");
      expect(await rightsOf("SALES", "@W")).toMatchObject({ requested: 0 });
    });

    it("of two approvals of one step at once one wins and the other is told", async () => {
      for (let round = 0; round < 5; round++) {
        const { body } = await file({ department: "DEV1", license: "@C" }, "aoi");
        const both = await Promise.all([1, 2].map(() => approve(body.id, "manager", { step: 1 })));
        expect(both.map((r) => r.status).sort()).toEqual([200, 409]);
        expect(both.find((r) => r.status === 409)?.body.code).toBe("step-decided");
        expect((await call("GET", `/api/v1/applications/${body.id}`)).body).toMatchObject({
          state: "pending",
          waitingFor: "boss",
        });
      }
    });

    it("takes idle rights first where that is accepted: what no department has, then what others do not use", async () => {
      await call("POST", "/api/v1/entitlements", { license: "@I", quantity: 10 });
      await put("/api/v1/departments/SALES/licenses/%40I", { rights: 3 });
      await put("/api/v1/departments/HQ/licenses/%40I", { rights: 5 });
      const { body } = await file({ department: "DEV1", license: "@I", quantity: 11, acceptIdle: true });
      await approve(body.id);
      expect((await approve(body.id)).body).toMatchObject({
        state: "approved",
        requested: 1,
        fromIdle: [{ quantity: 2 }, { department: "HQ", quantity: 5 }, { department: "SALES", quantity: 3 }],
      });
      expect(await rightsOf("DEV1", "@I")).toMatchObject({ rights: 10, requested: 1 });
      expect(await rightsOf("HQ", "@I")).toMatchObject({ rights: 0 });
      const more = (await file({ department: "SALES", license: "@I", quantity: 2, acceptIdle: true })).body;
      await approve(more.id);
      // DEV1 awaits one itself: 10 - 0 - 1 are idle.
      expect((await approve(more.id)).body).toMatchObject({
        state: "granted",
        requested: 0,
        fromIdle: [{ department: "DEV1", quantity: 2 }],
      });
    });

    it("a step whose approver leaves passes to the department's manager of now, or the next one upward", async () => {
      await put("/api/v1/departments/OPS", { name: "Ops", parent: "HQ", manager: "ops1" });
      for (const id of ["ops1", "ops2"]) await put(`/api/v1/employees/${id}`, { name: id, department: "OPS" });
      const first = (await file({ department: "OPS", license: "@A" })).body;
      const second = (await file({ department: "OPS", license: "@A" })).body;
      expect(first.waitingFor).toBe("ops1");
      await put("/api/v1/departments/OPS", { name: "Ops", parent: "HQ", manager: "ops2" });
      await leave("ops1");
      expect((await call("GET", `/api/v1/applications/${first.id}`)).body).toMatchObject({
        waitingFor: "ops2",
        signaturesValid: true,
        steps: [
          { step: 1, approver: "ops1", state: "passed" },
          { step: 2, approver: "ops2", state: "open" },
          { step: 3, approver: "boss", state: "open" },
        ],
      });
      await put("/api/v1/departments/OPS", { name: "Ops", parent: "HQ" });
      await leave("ops2");
      const listed = await call("GET", "/api/v1/applications?waitingFor=boss&department=OPS");
      expect(listed.body.items.map((item) => item["id"]).sort()).toEqual([first.id, second.id].sort());
      expect((await approve(second.id, "boss")).body).toMatchObject({ state: "approved", signaturesValid: true });
    });

    const leave = async (employee: string): Promise<void> => {
      const answer = await call("POST", "/api/v1/org-changes", { changes: [{ type: "leave", employee }] });
      expect(answer.status).toBeLessThan(300);
    };

    it("whoever has left acts no more", async () => {
      await put("/api/v1/employees/gone", { name: "gone", department: "DEV" });
      tokens.set(
        "gone",
        (await call("POST", "/api/v1/tokens", { name: "g", role: "employee", employee: "gone" })).body.token,
      );
      await leave("gone");
      expect((await file({ department: "DEV", license: "@A" }, "gone")).body.code).toBe("employee-gone");
    });

    it("an employee files for the own department or one managed, for nobody else, and sees only what is his or hers", async () => {
      expect((await file({ department: "SALES", license: "@A" }, "aoi")).body.code).toBe("not-allowed");
      expect((await file({ department: "DEV1", license: "@A", applicant: "lead" }, "aoi")).body.code).toBe(
        "not-allowed",
      );
      expect((await file({ department: "DEV1", license: "@A" }, "lead")).status).toBe(201);
      expect((await file({ department: "DEV1", license: "@A" }, "auditor")).body.code).toBe("not-allowed");
      const kens = (await file({ department: "SALES", license: "@A" }, "ken")).body;
      expect((await call("GET", `/api/v1/applications/${kens.id}`, undefined, "aoi")).status).toBe(404);
      expect((await call("GET", `/api/v1/applications/${kens.id}`, undefined, "vendor")).status).toBe(200);
      const seen = (await call("GET", "/api/v1/applications?limit=1000", undefined, "ken")).body.items;
      expect(seen.map((item) => item["id"])).toEqual([kens.id]);
      for (const path of ["positions", "devices", "tokens", "budgets", "applications/verification"])
        expect((await call("GET", `/api/v1/${path}`, undefined, "ken")).status).toBe(403);
      const page = await call("GET", "/", undefined, "ken");
      expect(page.status).toBe(403);
    });

    it("what is wrong is named with its place, and nothing is stored", async () => {
      const before = (await call("GET", "/api/v1/applications?limit=10000")).body.items.length;
      const wrong = async (json: object): Promise<string> => {
        const answer = await call("POST", "/api/v1/applications", {
          department: "DEV",
          license: "@A",
          quantity: 1,
          reason: "x",
          ...json,
        });
        expect(answer.status).toBe(400);
        expect(answer.body.code).toBe("input-invalid");
        return (answer.body as unknown as { faults: { path: string }[] }).faults.map((f) => f.path).join();
      };
      expect(await wrong({ department: "NO" })).toBe("/department");
      expect(await wrong({ department: "unassigned" })).toBe("/department");
      expect(await wrong({ applicant: "no" })).toBe("/applicant");
      expect(await wrong({ applicant: "gone" })).toBe("/applicant");
      expect(await wrong({ quantity: 0 })).toBe("/quantity");
      expect(await wrong({ quantity: 1.5 })).toBe("/quantity");
      expect(await wrong({ quantity: 1e10 })).toBe("/quantity");
      expect(await wrong({ reason: " \n" })).toBe("/reason");
      expect(await wrong({ reason: "\u0000" })).toBe("/reason");
      expect(await wrong({ more: 1 })).toBe("");
      expect((await call("POST", "/api/v1/applications", { department: "DEV" })).status).toBe(400);
      expect((await call("GET", "/api/v1/applications?state=lost")).status).toBe(400);
      expect((await call("GET", "/api/v1/applications/none")).status).toBe(404);
      expect((await approve("none")).status).toBe(404);
      expect((await call("POST", "/api/v1/tokens", { name: "x", role: "employee" })).status).toBe(400);
      expect((await call("POST", "/api/v1/tokens", { name: "x", role: "employee", employee: "no" })).status).toBe(404);
      expect((await call("GET", "/api/v1/applications?limit=10000")).body.items).toHaveLength(before);
    });

    it("a repeated POST with an Idempotency-Key files once", async () => {
      const key = { "idempotency-key": "k" };
      const first = await file({ department: "DEV", license: "@K" }, undefined, key);
      expect((await file({ department: "DEV", license: "@K" }, undefined, key)).body).toEqual(first.body);
      expect((await file({ department: "DEV", license: "@K", quantity: 2 }, undefined, key)).body.code).toBe(
        "conflict",
      );
      expect((await call("GET", "/api/v1/applications?license=%40K")).body.items).toHaveLength(1);
    });

    it("lists by state, department, licence, applicant and approver, in pages and as CSV", async () => {
      const all = (await call("GET", "/api/v1/applications?license=%40C&state=pending")).body.items;
      expect(all).toHaveLength(5);
      const page = (await call("GET", "/api/v1/applications?license=%40C&limit=2&sort=-waitingFor")).body as Answer & {
        nextCursor: string;
      };
      expect(page.items).toHaveLength(2);
      const next = await call("GET", `/api/v1/applications?license=%40C&sort=-waitingFor&cursor=${page.nextCursor}`);
      expect(next.body.items).toHaveLength(3);
      expect(
        (await call("GET", "/api/v1/applications?applicant=aoi&approver=lead&license=%40C")).body.items,
      ).toHaveLength(5);
      const csv = await call("GET", "/api/v1/applications?license=%40I", undefined, undefined, { accept: "text/csv" });
      expect(csv.text.split("\n")[0]).toContain("id,state,department,license,name,quantity,reason");
      expect(csv.text.trim().split("\n")).toHaveLength(3);
    });

    it("a quota is kept when filing, and again at the last approval", async () => {
      expect((await put("/api/v1/departments/SALES/licenses/%40Q", { rights: 2, quota: 5 })).body).toMatchObject({
        rights: 2,
        quota: 5,
      });
      expect((await file({ department: "SALES", license: "@Q", quantity: 4 })).body).toMatchObject({
        code: "quota-exceeded",
      });
      const { body } = await file({ department: "SALES", license: "@Q", quantity: 3 });
      await approve(body.id);
      await put("/api/v1/departments/SALES/licenses/%40Q", { rights: 3 });
      expect((await approve(body.id)).body).toMatchObject({ code: "quota-exceeded" });
      expect((await call("GET", `/api/v1/applications/${body.id}`)).body).toMatchObject({ state: "pending" });
      expect((await put("/api/v1/departments/SALES/licenses/%40Q", { quota: null })).body).not.toHaveProperty("quota");
      expect((await approve(body.id)).body).toMatchObject({ state: "approved" });
    });

    it("a budget warns when filing and refuses at the last approval; what is approved is committed, what is charged is spent", async () => {
      await call("POST", "/api/v1/entitlements", { license: "@M", quantity: 0, unitPrice: 1000, currency: "JPY" });
      const set = await put("/api/v1/budgets/CC1", { period: "2026-11", amount: 5000, currency: "JPY" });
      expect(set.status).toBe(201);
      expect(set.body).toEqual({
        costCentre: "CC1",
        period: "2026-11",
        amount: 5000,
        currency: "JPY",
        spent: 0,
        committed: 0,
        left: 5000,
      });
      // DEV1 has no cost centre of its own: DEV's pays.
      const big = (await file({ department: "DEV1", license: "@M", quantity: 6 })).body;
      expect(big.warnings).toMatchObject([{ code: "budget-exceeded" }]);
      await approve(big.id);
      expect((await approve(big.id)).body.code).toBe("budget-exceeded");
      const fits = (await file({ department: "DEV1", license: "@M", quantity: 4 })).body;
      expect(fits.warnings).toBeUndefined();
      await approve(fits.id);
      expect((await approve(fits.id)).body.state).toBe("approved");
      const [budget] = (await call("GET", "/api/v1/budgets?costCentre=CC1")).body.items;
      expect(budget).toMatchObject({ spent: 0, committed: 4000, left: 1000 });
      expect((await put("/api/v1/budgets/CC1", { period: "2026", amount: 9000, currency: "USD" })).body).toMatchObject({
        committed: 0, left: 9000, otherCurrencies: [{ currency: "JPY", committed: 4000, spent: 0 }],
      }); // prettier-ignore
      expect((await file({ department: "DEV1", license: "@M" })).body.code).toBe("budget-currency");
      expect((await call("DELETE", "/api/v1/budgets/CC1?period=2026")).status).toBe(204);
      expect((await call("DELETE", "/api/v1/budgets/CC1?period=2026")).status).toBe(404);
      for (const json of [{ period: "26" }, { period: "2026-13" }, { currency: "XXZ" }, { amount: -1 }])
        expect((await put("/api/v1/budgets/CC1", { period: "2026", amount: 1, currency: "JPY", ...json })).status).toBe(
          400,
        );
      now = Date.UTC(2026, 11, 1);
      expect((await call("GET", "/api/v1/budgets?period=2026-11")).body.items).toMatchObject([
        { committed: 0, left: 5000 },
      ]);
      const csv = await call("GET", "/api/v1/budgets", undefined, undefined, { accept: "text/csv" });
      expect(csv.text.split("\n")[0]).toBe("costCentre,period,amount,currency,spent,committed,left,otherCurrencies");
    });

    it("a budget pays for whole packs, of what all departments of the cost centre need together (domain.md §7)", async () => {
      await call("POST", "/api/v1/entitlements", { license: "@PACK", quantity: 0, packSize: 10, unitPrice: 1000, currency: "JPY" }); // prettier-ignore
      for (const department of ["P1", "P2"])
        await put(`/api/v1/departments/${department}`, { name: department, costCentre: "CCP" });
      const figures = async () => (await put("/api/v1/budgets/CCP", { period: "2026-12", amount: 2500, currency: "JPY" })).body; // prettier-ignore
      expect(await figures()).toMatchObject({ committed: 0, left: 2500 });
      const approved = async (department: string, quantity: number) => {
        const { body } = await file({ department, license: "@PACK", quantity });
        return { warnings: body.warnings, ...(await approve(body.id)).body };
      };
      expect(await approved("P1", 1)).toMatchObject({ state: "approved" });
      expect(await figures()).toMatchObject({ committed: 1000, left: 1500 });
      // Nine more fit into the pack, ten more into the next; one more needs a third.
      expect(await approved("P2", 19)).toMatchObject({ state: "approved" });
      expect(await figures()).toMatchObject({ committed: 2000, left: 500 });
      expect(await approved("P1", 1)).toMatchObject({ code: "budget-exceeded", warnings: [{ code: "budget-exceeded" }] }); // prettier-ignore
    });

    it("all signatures are valid, and requested is what is outstanding", async () => {
      expect((await call("GET", "/api/v1/applications/verification", undefined, "auditor")).body).toMatchObject({
        faults: [],
        requested: [],
      });
    });
  });
});
