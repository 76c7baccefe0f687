import { afterEach, describe, expect, it } from "vitest";
import { startServer, type ApiAnswer, type TestServer } from "../../../testing/server.ts";
import { forEachStore } from "../../../testing/stores.ts";
import type { OrgOutcome } from "./types.ts";

forEachStore((store) => {
  let made: TestServer;
  afterEach(() => made.stop());

  const ok = async (answer: Promise<ApiAnswer>): Promise<ApiAnswer> => {
    const got = await answer;
    expect([got.status, got.status < 300 ? "" : got.text]).toEqual([got.status, ""]);
    return got;
  };
  const post = (path: string, json: object): Promise<ApiAnswer> => ok(made.api("POST", path, { json }));
  const outcome = async (changes: readonly object[], dryRun: boolean): Promise<OrgOutcome> =>
    (await post("/api/v1/org-changes", { dryRun, changes })).json<{ result: OrgOutcome }>().result;

  /** D1 has E1 and E2, each with a device that has @OLD; D2 is empty. */
  async function company(): Promise<void> {
    made = await startServer(store, { role: "both" });
    const policy = ["daicho: policy/v1", "id: p", "edition: enterprise", "version: 1", "software:"];
    for (const code of ["@OLD", "@NEW"])
      policy.push(`  - { code: "${code}", name: x, detect: 'app(name = "${code}")' }`);
    const type = "application/yaml";
    await ok(made.api("PUT", "/api/v1/policies/enterprise", { body: policy.join("\n"), type }));
    for (const code of ["D1", "D2"]) await post("/api/v1/departments", { code, name: code });
    for (const id of ["E1", "E2"]) {
      await post("/api/v1/employees", { id, name: id, department: "D1" });
      await post("/api/v1/imports/inventories", {
        daicho: "inventory/v1",
        device: { id: `PC-${id}`, hostname: id },
        software: [{ name: "@OLD", version: "1", source: "msi" }],
        scan: { startedAt: "2026-05-01T00:00:00Z", durationMs: 1, errors: [] },
      });
      await ok(made.api("PATCH", `/api/v1/devices/PC-${id}`, { json: { employee: id } }));
    }
  }

  describe("what an organisation change says it does (§6)", () => {
    it("shows used as positions show it, where attached rights cover", async () => {
      await company();
      await post("/api/v1/entitlements", { license: "@NEW", quantity: 2, rights: "downgrade(@OLD)" });
      const move = [{ type: "move", employee: "E1", to: "D2" }];
      const preview = await outcome(move, true);
      expect(preview.positions.map((p) => [p.department, p.license, p.used.before, p.used.after])).toEqual([
        ["D1", "@NEW", 2, 1],
        ["D2", "@NEW", 0, 1],
      ]);
      expect(await outcome(move, false)).toEqual(preview);
      const { items } = (await ok(made.api("GET", "/api/v1/positions/departments"))).json<{ items: object[] }>();
      expect(items).toMatchObject([
        { department: "D1", license: "@NEW", used: 1 },
        { department: "D1", license: "@OLD", used: 0 },
        { department: "D2", license: "@NEW", used: 1 },
        { department: "D2", license: "@OLD", used: 0 },
      ]);
    });

    it("lists the allocations that end with who leaves; a device's stay", async () => {
      await company();
      await post("/api/v1/entitlements", { license: "@OLD", quantity: 2 });
      await post("/api/v1/allocations", { license: "@OLD", employee: "E1" });
      await post("/api/v1/allocations", { license: "@OLD", device: "PC-E2" });
      const leave = [{ type: "leave", employees: ["E1", "E2"] }];
      const preview = await outcome(leave, true);
      expect(preview.allocations).toEqual([{ employee: "E1", license: "@OLD", quantity: 1 }]);
      expect((await outcome(leave, false)).allocations).toEqual(preview.allocations);
      expect((await outcome([{ type: "hire", employee: "E1" }], true)).allocations).toEqual([]);
    });

    it("people who move with their rights take along what a split would: part of what is required, and their open applications", async () => {
      await company();
      const rights = { rights: 5, required: 5 };
      await ok(made.api("PUT", "/api/v1/departments/D1/licenses/@OLD", { json: rights }));
      const json = { department: "D1", license: "@OLD", quantity: 2, reason: "more" };
      const ids: string[] = [];
      for (const applicant of ["E1", "E2", "E1"]) {
        const { id } = (await post("/api/v1/applications", { ...json, applicant })).json<{ id: string }>();
        ids.push(id);
      }
      for (const id of ids.slice(0, 2)) await ok(made.api("POST", `/api/v1/applications/${id}/approve`));
      const move = { type: "move", employees: ["E1"], to: "D2" };
      const stays = await outcome([move], true);
      expect([
        stays.applications,
        stays.positions.map((p) => [p.department, p.rights.after, p.required.after]),
      ]).toEqual([
        [],
        [
          ["D1", 5, 5],
          ["D2", 0, 0],
        ],
      ]);
      const preview = await outcome([{ ...move, withRights: true }], true);
      expect(await outcome([{ ...move, withRights: true }], false)).toEqual(preview);
      expect(preview.applications.map((a) => a.application).sort()).toEqual([ids[0], ids[2]].sort());
      // One of two in use goes: so do two of the five required, the odd one stays.
      expect(
        preview.positions.map((p) =>
          [p.department, p.used, p.rights, p.required, p.requested].map((n) => (typeof n === "string" ? n : n.after)),
        ),
      ).toEqual([
        ["D1", 1, 4, 3, 2],
        ["D2", 1, 1, 2, 2],
      ]);
      expect((await ok(made.api("GET", "/api/v1/applications/verification"))).json()).toMatchObject({
        complete: true,
        faults: [],
        requested: [],
      });
    });

    it("a split takes along the applications of who goes, or those named, with what they still request", async () => {
      await company();
      const file = async (applicant: string, quantity: number): Promise<string> => {
        const json = { department: "D1", license: "@OLD", quantity, reason: "more", applicant };
        const { id } = (await post("/api/v1/applications", json)).json<{ id: string }>();
        return id;
      };
      const [one, two, three] = [await file("E1", 2), await file("E2", 4), await file("E2", 8)];
      for (const id of [one, two]) await ok(made.api("POST", `/api/v1/applications/${id}/approve`));
      const preview = await outcome([{ type: "split", department: "D1", to: "D2", employees: ["E1"] }], true);
      expect(preview.applications).toEqual([{ application: one, from: "D1", to: "D2" }]);
      expect(preview.positions.map((p) => [p.department, p.requested.before, p.requested.after])).toEqual([
        ["D1", 6, 4],
        ["D2", 0, 2],
      ]);
      const named = { type: "split", department: "D1", to: "D3", name: "Three", applications: [two, three] };
      const done = await outcome([named, { type: "merge", department: "D3", to: "D2" }], false);
      expect(done.applications.map((a) => a.application).sort()).toEqual([two, three].sort());
      const { items } = (await ok(made.api("GET", "/api/v1/positions/departments"))).json<{ items: object[] }>();
      expect(items).toMatchObject([
        { department: "D1", requested: 2 },
        { department: "D2", requested: 4 },
      ]);
      expect((await ok(made.api("GET", `/api/v1/applications/${three}`))).json()).toMatchObject({ department: "D2" });
      expect((await ok(made.api("GET", "/api/v1/applications/verification"))).json()).toMatchObject({ faults: [] });
      const other = { type: "split", department: "D1", to: "D2", applications: [two] };
      const refused = await made.api("POST", "/api/v1/org-changes", { json: { changes: [other] } });
      expect(refused.json()).toMatchObject({
        code: "org-change-invalid",
        faults: [{ path: "/changes/0/applications/0", code: "value-invalid" }],
      });
    });
  });
});
