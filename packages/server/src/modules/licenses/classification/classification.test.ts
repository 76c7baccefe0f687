import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { unmanagedClasses, type ClassificationRule } from "@daicho/licensing";
import { startServer, until, type TestServer } from "../../../testing/server.ts";
import { forEachStore } from "../../../testing/stores.ts";

const policy = `
daicho: policy/v1
id: test
edition: enterprise
version: 1
software:
  - { code: "@A", name: A, detect: 'app(name = "A")' }
  - { code: "@B", name: B, detect: 'app(name = "B") OR app(name = "B tools")' }
  - { code: "@U", name: U, detect: 'app(name = "U")' }
licenses:
  - { rule: "@U = @USERS", metric: user }
`;

interface Copy {
  readonly name: string;
  readonly source?: string;
  readonly publisher?: string;
  readonly installedAt?: string;
}
const inventory = (id: string, copies: readonly Copy[], os: object = {}) => ({
  daicho: "inventory/v1",
  device: { id, hostname: id },
  hardware: { os },
  software: copies.map((copy) => ({ version: "1", source: "msi", ...copy })),
});

forEachStore((store) => {
  let s: TestServer;
  const open = async (): Promise<void> => {
    s = await startServer(store, { role: "both" });
    const answer = await s.api("PUT", "/api/v1/policies/enterprise", { body: policy, type: "application/yaml" });
    expect(answer.status, answer.text).toBe(200);
    await settled();
    for (const department of ["D1", "D2"])
      await s.api("PUT", `/api/v1/departments/${department}`, { json: { name: department } });
  };
  afterEach(() => s.stop());

  const settled = () => s.server.derivation.refresh();
  const put = async (path: string, json: unknown, status = 200): Promise<Record<string, unknown>> => {
    const answer = await s.api("PUT", `/api/v1/${path}`, { json });
    expect(answer.status, answer.text).toBe(status);
    return answer.json();
  };
  const rules = async (...items: readonly ClassificationRule[]): Promise<void> => {
    await put("classification-rules", { items });
    await settled();
  };
  /** `license`: used, then what is beside it. */
  const counts = async (): Promise<Record<string, readonly number[]>> =>
    Object.fromEntries(
      (await s.server.positions.company()).items.map(({ license, used, unmanaged: u }) => [
        license,
        [used, u.preinstalled, u.individual, u.other],
      ]),
    );
  const clean = async (): Promise<void> => expect((await s.server.reconcile()).differences).toEqual([]);
  const classOf = async (device: string, license: string) =>
    (await s.api("GET", `/api/v1/devices/${device}/licenses/${license}/classification`)).json();

  it("rules on source, date, publisher, licence and department decide in order; the first that holds (§3)", async () => {
    await open();
    await s.server.inventories.store([
      inventory("store", [{ name: "A", source: "msix" }]),
      inventory("mixed", [{ name: "B", source: "msix" }, { name: "B tools" }]),
      inventory("old", [{ name: "A", installedAt: "2026-01-02" }], { installedAt: "2026-01-01T08:00:00Z" }),
      inventory("later", [{ name: "A", installedAt: "2026-02-02" }], { installedAt: "2026-01-01T08:00:00Z" }),
      inventory("lab", [{ name: "B", publisher: "Lab" }]),
    ]);
    await s.api("PATCH", "/api/v1/devices/lab", { json: { department: "D2" } });
    expect(await counts()).toEqual({ "@A": [3, 0, 0, 0], "@B": [2, 0, 0, 0] });
    await rules(
      { class: "preinstalled", sources: ["msix"] },
      { class: "preinstalled", license: "@A", installedWithinDays: 3 },
      { class: "individual", departments: ["D2"], publisher: "lab*" },
    );
    // One copy of B on `mixed` was not installed from the store: it counts.
    expect(await counts()).toEqual({ "@A": [1, 2, 0, 0], "@B": [1, 0, 1, 0] });
    await clean();
    expect(await classOf("old", "@A")).toMatchObject({ class: "preinstalled", by: "rule", rule: 1, count: 1 });
    expect(await classOf("mixed", "@B")).toMatchObject({ class: "managed", by: "default" });
    expect(await classOf("old", "@A")).toMatchObject({ because: "rule 2 holds: license @A, installedWithinDays 3" });
    // "Why is this 2?" of what is not managed, too: the installations, and what decided about each.
    const why = (await s.api("GET", "/api/v1/positions/@A/explain?limit=2")).json<{
      totals: object;
      items: object[];
      nextCursor: string;
    }>();
    expect(why.totals).toMatchObject({ used: 1, unmanaged: { preinstalled: 2, individual: 0, other: 0 }, items: 3 });
    const rest = await s.api("GET", `/api/v1/positions/@A/explain?limit=2&cursor=${why.nextCursor}`);
    expect([...why.items, ...rest.json<{ items: object[] }>().items]).toMatchObject([
      { device: "later", class: "managed", used: 1, unmanaged: 0, reason: "no-entitlement" },
      { device: "store", license: "@A", class: "preinstalled", used: 0, unmanaged: 1, reason: "unmanaged" },
      { device: "old", class: "preinstalled", unmanaged: 1 },
    ]);
    expect((await s.api("GET", "/api/v1/devices/old/licenses/@A/explain")).json()).toMatchObject({
      classification: { class: "preinstalled", because: "rule 2 holds: license @A, installedWithinDays 3" },
    });
    expect((await s.api("GET", "/api/v1/devices/store")).json()).toMatchObject({
      licenses: [{ license: "@A", class: "preinstalled" }],
    });
    const list = (await s.api("GET", "/api/v1/devices?license=@A")).json<{ items: unknown[] }>().items;
    expect(list).toHaveLength(3);
    const inD2 = (await s.api("GET", "/api/v1/departments/D2/positions")).json<{ items: unknown[] }>().items;
    expect(inD2).toMatchObject([{ license: "@B", used: 0, unmanaged: { individual: 1 } }]);

    // Who has it can decide: the device goes to another department.
    await s.api("PATCH", "/api/v1/devices/lab", { json: { department: "D1" } });
    await settled();
    await until("counted again", async () => (await counts())["@B"]?.[0] === 2);
    await rules();
    expect(await counts()).toEqual({ "@A": [3, 0, 0, 0], "@B": [2, 0, 0, 0] });
    await clean();
  });

  it("a category is the default, an allocation goes before it, a correction before everything", async () => {
    await open();
    await s.server.inventories.store(["x", "y", "z"].map((id) => inventory(id, [{ name: "A" }])));
    expect(await put("licenses/@A", { category: "other" })).toEqual({ code: "@A", category: "other" });
    await settled();
    expect(await counts()).toEqual({ "@A": [0, 0, 0, 3] });
    expect((await s.api("GET", "/api/v1/licenses/@A")).json()).toMatchObject({ category: "other" });

    const allocation = await s.api("POST", "/api/v1/allocations", { json: { license: "@A", device: "x" } });
    expect(allocation.status, allocation.text).toBe(201);
    await settled();
    expect(await classOf("x", "@A")).toMatchObject({ class: "managed", by: "allocation" });
    expect(await counts()).toEqual({ "@A": [1, 0, 0, 2] });

    const place = "devices/x/licenses/@A/classification";
    const corrected = await put(place, { class: "preinstalled", reason: "came with the machine" });
    expect(corrected).toMatchObject({ class: "preinstalled", by: "correction", reason: "came with the machine" });
    // At once, in the same transaction.
    expect(await counts()).toEqual({ "@A": [0, 1, 0, 2] });
    await put("devices/y/licenses/@A/classification", { class: "managed", reason: "bought last year" });
    expect(await counts()).toEqual({ "@A": [1, 1, 0, 1] });
    await settled();
    await clean();
    const listed = (await s.api("GET", "/api/v1/classification-corrections")).json<{ items: unknown[] }>().items;
    expect(listed).toMatchObject([
      { device: "x", license: "@A", class: "preinstalled", reason: "came with the machine" },
      { device: "y", class: "managed" },
    ]);
    // What is reported later is corrected too.
    await s.server.inventories.store([inventory("x", [{ name: "A" }, { name: "B" }])]);
    expect(await counts()).toEqual({ "@A": [1, 1, 0, 1], "@B": [1, 0, 0, 0] });

    expect((await s.api("DELETE", `/api/v1/${place}`)).status).toBe(204);
    expect((await s.api("DELETE", `/api/v1/${place}`)).status).toBe(404);
    expect(await counts()).toMatchObject({ "@A": [2, 0, 0, 1] });
    const id = allocation.json()["id"] as string;
    expect((await s.api("DELETE", `/api/v1/allocations/${id}`)).status).toBeLessThan(300);
    await settled();
    expect(await counts()).toMatchObject({ "@A": [1, 0, 0, 2] });
    await put("licenses/@A", { category: "managed" });
    await settled();
    expect(await counts()).toMatchObject({ "@A": [3, 0, 0, 0] });
    await clean();
  });

  it("a purchase run buys nothing for what is not managed, and the past keeps what was so then", async () => {
    await open();
    await s.server.inventories.store(["x", "y"].map((id) => inventory(id, [{ name: "A" }])));
    const before = await s.server.positions.company();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await rules({ class: "other", license: "@A" });
    const after = await s.server.positions.company();
    const [was, is] = [before, after].map(({ items }) => items.find((i) => i.license === "@A"));
    expect([was?.used, is?.used, is?.unmanaged.other]).toEqual([2, 0, 2]);
    const past = await s.server.positions.company({ asOf: Date.parse(before.at) });
    expect(past.items.find((i) => i.license === "@A")).toEqual(was);
    const plan = await s.api("POST", "/api/v1/purchase-runs", { json: { dryRun: true } });
    expect(plan.status, plan.text).toBeLessThan(300);
    expect(plan.json<{ orders: unknown[] }>().orders).toEqual([]);
    expect((await s.api("GET", "/api/v1/licenses")).text).not.toContain("\\u001f");
  });

  it("one clear error for each bad input, and nothing is written", async () => {
    await open();
    await s.server.inventories.store([inventory("x", [{ name: "A" }])]);
    for (const [path, json, status, code] of [
      ["classification-rules", { items: [{ class: "other" }] }, 400, "input-invalid"],
      ["classification-rules", { items: [{ class: "none", license: "@A" }] }, 400, "input-invalid"],
      ["classification-rules", { items: [{ class: "other", sources: ["tape"] }] }, 400, "input-invalid"],
      ["classification-rules", { items: [{ class: "other", colour: "red" }] }, 400, "input-invalid"],
      ["licenses/@NONE", { category: "other" }, 404, "not-found"],
      ["licenses/@A", { category: "best" }, 400, "input-invalid"],
      ["devices/x/licenses/@B/classification", { class: "other", reason: "r" }, 404, "not-found"],
      ["devices/none/licenses/@A/classification", { class: "other", reason: "r" }, 404, "not-found"],
      ["devices/x/licenses/@A/classification", { class: "other" }, 400, "input-invalid"],
    ] as const) {
      const answer = await s.api("PUT", `/api/v1/${path}`, { json });
      expect([answer.status, answer.json()["code"]], path).toEqual([status, code]);
    }
    const none = await s.api("GET", "/api/v1/classification-corrections");
    expect(none.json()).toEqual({ items: [] });
    expect((await s.api("PUT", "/api/v1/classification-rules", { json: { items: [] }, as: "auditor" })).status).toBe(
      403,
    );
    expect(await counts()).toEqual({ "@A": [1, 0, 0, 0] });
  });

  it("random histories: used and unmanaged together are what is installed, and reconcile is clean", async () => {
    await open();
    for (const id of ["e1", "e2"])
      await s.api("PUT", `/api/v1/employees/${id}`, { json: { name: id, department: "D1" } });
    const devices = ["d1", "d2", "d3", "d4"] as const;
    const device = fc.constantFrom(...devices);
    const license = fc.constantFrom("@A", "@B", "@USERS");
    const rule: fc.Arbitrary<ClassificationRule> = fc
      .record({
        class: fc.constantFrom("managed" as const, ...unmanagedClasses),
        license: fc.constantFrom("@A", "@*", "@USERS"),
        sources: fc.option(fc.constantFrom(["msi"], ["msix"])),
        departments: fc.option(fc.constantFrom(["D1"], ["D2"], ["unassigned"])),
      })
      .map(({ sources, departments, ...rest }) => ({
        ...rest,
        ...(sources !== null && { sources }),
        ...(departments !== null && { departments }),
      }));
    const copies = fc.uniqueArray(
      fc.record({ name: fc.constantFrom("A", "B", "B tools", "U"), source: fc.constantFrom("msi", "msix") }),
      { selector: (c) => c.name, maxLength: 4 },
    );
    const step = fc.oneof(
      fc.record({ do: fc.constant("report" as const), device, copies }),
      fc.record({ do: fc.constant("rules" as const), rules: fc.array(rule, { minLength: 1, maxLength: 3 }) }),
      fc.record({ do: fc.constant("category" as const), license, class: fc.constantFrom("managed", "other") }),
      fc.record({
        do: fc.constant("correct" as const),
        device,
        license,
        class: fc.constantFrom("managed", "individual"),
      }),
      fc.record({ do: fc.constant("uncorrect" as const), device, license }),
      fc.record({ do: fc.constant("move" as const), device, department: fc.constantFrom("D1", "D2", null) }),
      fc.record({ do: fc.constant("give" as const), device, employee: fc.constantFrom("e1", "e2", null) }),
      fc.record({ do: fc.constant("state" as const), device, state: fc.constantFrom("in-use", "disposed") }),
    );
    /** What is on each device by its last report. */
    const there = new Map<string, readonly string[]>();
    const codesOf = (names: readonly string[]): string[] => [
      ...(names.includes("A") ? ["@A"] : []),
      ...(names.some((n) => n.startsWith("B")) ? ["@B"] : []),
      ...(names.includes("U") ? ["@USERS"] : []),
    ];
    await s.server.inventories.store(
      devices.map((id) => inventory(id, [{ name: "A" }, { name: "U", source: "msix" }])),
    );
    for (const id of devices) there.set(id, ["@A", "@USERS"]);
    await rules({ class: "individual", departments: ["D2"] }, { class: "other", departments: ["unassigned"] });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        for (const one of steps) {
          const place =
            "license" in one && "device" in one
              ? `/api/v1/devices/${one.device}/licenses/${one.license}/classification`
              : "";
          const patch = (json: object) =>
            s.api("PATCH", `/api/v1/devices/${"device" in one ? one.device : ""}`, { json });
          if (one.do === "report") {
            await s.server.inventories.store([inventory(one.device, one.copies)]);
            there.set(one.device, codesOf(one.copies.map((c) => c.name)));
          } else if (one.do === "rules") await put("classification-rules", { items: one.rules });
          else if (one.do === "category") await put(`licenses/${one.license}`, { category: one.class });
          else if (one.do === "correct") {
            const has = there.get(one.device)?.includes(one.license) === true;
            const answer = await s.api("PUT", place, { json: { class: one.class, reason: "r" } });
            expect(answer.status, answer.text).toBe(has ? 200 : 404);
          } else if (one.do === "uncorrect") await s.api("DELETE", place);
          else if (one.do === "move") expect((await patch({ department: one.department })).status).toBe(200);
          else if (one.do === "give") expect((await patch({ employee: one.employee })).status).toBe(200);
          else expect((await patch({ state: one.state })).status).toBe(200);
        }
        await clean();
        const open = new Map<string, number>();
        const listed = (await s.api("GET", "/api/v1/devices?fields=id,state,licenses")).json<{
          items: { id: string; state: string; licenses: { license: string; class?: string }[] }[];
        }>().items;
        for (const { id, state, licenses } of listed) {
          const codes = licenses.map((l) => l.license).sort();
          expect(codes, id).toEqual(state === "disposed" ? [] : (there.get(id) ?? []).toSorted());
          for (const { license, class: of } of licenses)
            open.set(`${license} ${of ?? "used"}`, (open.get(`${license} ${of ?? "used"}`) ?? 0) + 1);
        }
        for (const { license, metric, used, unmanaged } of (await s.server.positions.company()).items) {
          if (metric !== "device") continue;
          const shown = { used, ...unmanaged };
          for (const of of ["used", ...unmanagedClasses] as const)
            expect(shown[of], `${license} ${of}`).toBe(open.get(`${license} ${of}`) ?? 0);
        }
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });
});
