import { afterAll, describe, expect, it } from "vitest";
import { isDaichoError, manualClock, type ManualClock } from "@daicho/kernel";
import { forEachStore } from "../../../testing/stores.ts";
import { startServer, until, type ApiAnswer, type TestServer } from "../../../testing/server.ts";
import type { OrgChangeDetails } from "./service.ts";

forEachStore((store) => {
  const running: TestServer[] = [];
  afterAll(async () => {
    for (const server of running) await server.stop();
  });

  /** 08:30 on 1 December in Tokyo, still the day before in UTC. */
  const morning = Date.UTC(2026, 10, 30, 23, 30);
  const start = async (): Promise<TestServer & { clock: ManualClock; change: Change; department: Who }> => {
    const clock = manualClock(morning);
    const server = await startServer(store, { role: "corporate", organization: { timezone: "Asia/Tokyo" } }, clock);
    running.push(server);
    for (const json of [
      { code: "R", name: "R" },
      { code: "A", name: "A", parent: "R" },
      { code: "B", name: "B", parent: "R" },
    ])
      await server.api("POST", "/api/v1/departments", { json });
    for (const json of [
      { id: "E1", name: "E1", department: "A" },
      { id: "E2", name: "E2", department: "A" },
    ])
      await server.api("POST", "/api/v1/employees", { json });
    await server.api("POST", "/api/v1/devices", { json: { id: "PC1", employee: "E1" } });
    await server.server.db.transaction((trx) =>
      server.server.repository.record(trx, [{ device: 1, licenses: [{ license: "@DEV", count: 1 }] }], clock.now()),
    );
    return {
      ...server,
      clock,
      change: (json, headers = {}) => server.api("POST", "/api/v1/org-changes", { json, headers }),
      department: async (id) =>
        (await server.api("GET", `/api/v1/employees/${id}`)).json<{ department: string }>().department,
    };
  };
  type Change = (json: unknown, headers?: object) => Promise<ApiAnswer>;
  type Who = (employee: string) => Promise<string>;
  const move = (employee: string, to: string) => ({ type: "move", employee, to });

  describe("organisation changes through the API (contract.md)", () => {
    it("are applied at once, kept with what came of them, and answered the same for the same Idempotency-Key", async () => {
      const s = await start();
      const answer = await s.change({ changes: [move("E1", "B")] }, { "idempotency-key": "k1" });
      expect(answer.status).toBe(201);
      const made = answer.json<OrgChangeDetails>();
      expect(made).toMatchObject({
        state: "applied",
        result: {
          employees: [{ employee: "E1", change: "moved", from: "A", to: "B", devices: 1 }],
          positions: [
            { department: "A", license: "@DEV", used: { before: 1, after: 0 } },
            { department: "B", license: "@DEV", used: { before: 0, after: 1 } },
          ],
        },
      });
      await s.change({ changes: [move("E1", "R")] });
      const again = await s.change({ changes: [move("E1", "B")] }, { "idempotency-key": "k1" });
      expect([again.status, again.json()]).toEqual([201, made]);
      expect(await s.department("E1")).toBe("R");
      const other = await s.change({ changes: [move("E2", "B")] }, { "idempotency-key": "k1" });
      expect([other.status, other.json()]).toMatchObject([409, { code: "conflict" }]);
      expect((await s.api("GET", `/api/v1/org-changes/${made.id}`)).json()).toEqual(made);
      const list = await s.api("GET", "/api/v1/org-changes?state=applied&limit=1");
      expect(list.json()).toMatchObject({ items: [{ state: "applied", types: ["move"] }] });
      expect(list.json()["nextCursor"]).toBeTypeOf("string");
      expect((await s.api("GET", "/api/v1/org-changes?state=failed")).json()).toEqual({ items: [] });
    });

    it("a preview says what would happen and keeps nothing of it", async () => {
      const s = await start();
      const changes = [
        { type: "leave", employee: "E1" },
        { type: "merge", department: "A", to: "B" },
      ];
      const preview = (await s.change({ dryRun: true, changes })).json<{ result: object }>();
      expect(preview).toMatchObject({ dryRun: true, result: { handOvers: [{ device: "PC1", department: "B" }] } });
      expect(await s.department("E1")).toBe("A");
      expect((await s.api("GET", "/api/v1/org-changes")).json()).toEqual({ items: [] });
      const { result } = (await s.change({ changes })).json<{ result: object }>();
      expect(result).toEqual(preview.result);
    });

    it("what is wrong is named with its place, and nothing is applied or kept", async () => {
      const s = await start();
      const wrong = await s.change({
        changes: [move("E1", "B"), move("E9", "B"), { type: "merge", department: "A", to: "Z" }],
      });
      expect([wrong.status, wrong.json()]).toMatchObject([
        422,
        {
          code: "org-change-invalid",
          faults: [
            { path: "/changes/1/employee", code: "not-found" },
            { path: "/changes/2/to", code: "value-invalid" },
          ],
        },
      ]);
      for (const [json, path] of [
        [{ changes: [] }, "/changes"],
        [{ changes: [{ type: "explode" }] }, "/changes/0/type"],
        [{ changes: [{ type: "leave", employee: "E1", when: 3 }] }, "/changes/0"],
        [{ changes: [move("E1", "B")], effectiveOn: "2026-11-30" }, "/effectiveOn"],
        [{ changes: [move("E1", "B")], effectiveOn: "2026-13-01" }, "/effectiveOn"],
        [{ changes: [move("E1", "B")], effectiveOn: "2026-12-02T00:00:00Z" }, "/effectiveOn"],
      ] as const) {
        const answer = await s.change(json);
        expect([answer.status, answer.json()]).toMatchObject([400, { code: "input-invalid", faults: [{ path }] }]);
      }
      expect(
        (await s.api("POST", "/api/v1/org-changes", { json: { changes: [move("E1", "B")] }, as: "auditor" })).status,
      ).toBe(403);
      expect(await s.department("E1")).toBe("A");
      expect((await s.api("GET", "/api/v1/org-changes")).json()).toEqual({ items: [] });
    });

    it("one for a day to come is checked now, waits, and is applied once when its day begins in the organisation's time zone", async () => {
      const s = await start();
      const today = (
        await s.change({ effectiveOn: "2026-12-01", changes: [move("E2", "B")] })
      ).json<OrgChangeDetails>();
      expect(today.state).toBe("applied");
      const later = (
        await s.change({ effectiveOn: "2026-12-02", changes: [{ type: "rename", department: "B", code: "C" }] })
      ).json<OrgChangeDetails>();
      expect(later).toMatchObject({ state: "planned", result: { departments: [{ department: "C", formerly: "B" }] } });
      // It sees what is planned before it.
      expect((await s.change({ effectiveOn: "2026-12-01", changes: [move("E1", "C")] })).status).toBe(422);
      const after = (
        await s.change({ effectiveOn: "2026-12-02", changes: [move("E1", "C")] })
      ).json<OrgChangeDetails>();
      expect(after.state).toBe("planned");
      const cancelled = (
        await s.change({ effectiveOn: "2026-12-02", changes: [move("E2", "A")] })
      ).json<OrgChangeDetails>();
      expect((await s.api("DELETE", `/api/v1/org-changes/${cancelled.id}`)).json()).toMatchObject({
        state: "cancelled",
      });
      expect((await s.api("DELETE", `/api/v1/org-changes/${today.id}`)).status).toBe(409);

      await s.server.orgChanges.applyDue();
      expect(await s.department("E1")).toBe("A");
      // 15:00 UTC is midnight in Tokyo.
      s.clock.advance(Date.UTC(2026, 11, 1, 15) - s.clock.now());
      await Promise.all([s.server.orgChanges.applyDue(), s.server.orgChanges.applyDue()]);
      expect(await s.department("E1")).toBe("C");
      expect(await s.department("E2")).toBe("C");
      for (const [change, state] of [
        [later, "applied"],
        [after, "applied"],
        [cancelled, "cancelled"],
      ] as const)
        expect((await s.server.orgChanges.get(change.id))?.state).toBe(state);
      expect((await s.api("POST", `/api/v1/org-changes/${cancelled.id}/apply`)).status).toBe(409);
    });

    it("one that no longer fits is kept as failed with its reason, holds up nobody, and can be tried again", async () => {
      const s = await start();
      const gone = (await s.change({ effectiveOn: "2026-12-05", changes: [move("E1", "B")] })).json<OrgChangeDetails>();
      const fits = (await s.change({ effectiveOn: "2026-12-06", changes: [move("E2", "R")] })).json<OrgChangeDetails>();
      await s.change({ changes: [{ type: "dissolve", department: "B" }] });
      s.clock.advance(7 * 86_400_000);
      await until("both to be settled", async () => {
        await s.server.orgChanges.applyDue();
        return (await s.server.orgChanges.get(fits.id))?.state === "applied";
      });
      expect((await s.api("GET", `/api/v1/org-changes/${gone.id}`)).json()).toMatchObject({
        state: "failed",
        failure: { code: "org-change-invalid", faults: [{ path: "/changes/0/to", code: "reference-unknown" }] },
      });
      expect((await s.api("POST", `/api/v1/org-changes/${gone.id}/apply`)).status).toBe(422);
      await s.api("POST", "/api/v1/departments", { json: { code: "B", name: "B again" } });
      expect((await s.api("POST", `/api/v1/org-changes/${gone.id}/apply`)).json()).toMatchObject({ state: "applied" });
      expect(await s.department("E1")).toBe("B");
    });

    it("asked for from several sides at once, a planned change is applied once", async () => {
      const s = await start();
      const planned = (
        await s.change({ effectiveOn: "2026-12-02", changes: [{ type: "hire", employee: "N1", name: "New", to: "B" }] })
      ).json<OrgChangeDetails>();
      s.clock.advance(2 * 86_400_000);
      const tries = await Promise.allSettled([
        s.server.orgChanges.applyNow(planned.id, "a"),
        s.server.orgChanges.applyNow(planned.id, "b"),
        s.server.orgChanges.applyDue(),
      ]);
      for (const attempt of tries)
        if (attempt.status === "rejected") expect(isDaichoError(attempt.reason, "conflict")).toBe(true);
      expect((await s.server.orgChanges.get(planned.id))?.state).toBe("applied");
      expect(await s.department("N1")).toBe("B");
    });

    it("enrolment tokens follow their department's code", async () => {
      const s = await start();
      await s.server.access.createEnrollmentToken({ department: "A" });
      await s.change({
        changes: [
          { type: "rename", department: "A", code: "AA" },
          { type: "merge", department: "AA", to: "B" },
        ],
      });
      expect((await s.server.access.listEnrollmentTokens()).map((t) => t.department)).toEqual(["B"]);
    });
  });

  describe("the hand-over list (§6)", () => {
    it("shows a leaver's devices until they are given to somebody, to a department, or disposed of", async () => {
      const s = await start();
      for (const id of ["PC2", "PC3"]) await s.api("POST", "/api/v1/devices", { json: { id, employee: "E1" } });
      await s.change({ changes: [{ type: "leave", employee: "E1" }] });
      const open = async () =>
        (await s.api("GET", "/api/v1/hand-overs")).json<{ items: { id: string; device: string }[] }>().items;
      const items = await open();
      expect(items).toMatchObject(
        ["PC1", "PC2", "PC3"].map((device) => ({ device, employee: "E1", department: "A", state: "open" })),
      );
      const complete = (device: string, json: object) =>
        s.api("POST", `/api/v1/hand-overs/${items.find((i) => i.device === device)?.id}/complete`, { json });
      expect((await complete("PC1", { employee: "E1" })).status).toBe(400);
      expect((await complete("PC1", {})).status).toBe(400);
      expect((await complete("PC1", { employee: "E2", department: "B" })).status).toBe(400);
      expect((await complete("PC1", { department: "A" })).json()).toMatchObject({
        state: "done",
        to: { department: "A" },
      });
      expect((await complete("PC1", { department: "A" })).status).toBe(409);
      expect((await complete("PC2", { dispose: true })).json()).toMatchObject({
        state: "done",
        to: { disposed: true },
      });
      expect((await s.api("PATCH", "/api/v1/devices/PC3", { json: { employee: "E2" } })).status).toBe(200);
      expect(await open()).toEqual([]);
      const done = (await s.api("GET", "/api/v1/hand-overs?state=done&device=PC3")).json<{ items: object[] }>().items;
      expect(done).toMatchObject([{ to: { employee: "E2" } }]);
      // PC1 has licences without a report behind them: every other law holds.
      const { differences } = (await s.api("GET", "/api/v1/reconcile")).json<{ differences: { law: string }[] }>();
      expect(differences.filter(({ law }) => law !== "licenses-follow-from-facts")).toEqual([]);
    });
  });
});
