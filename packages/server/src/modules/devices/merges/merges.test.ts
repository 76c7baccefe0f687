import { afterEach, beforeEach, expect, it } from "vitest";
import { createTestDevice, type TestDevice } from "@daicho/testkit";
import { enrollProofText, type Title } from "@daicho/protocol";
import { forEachStore } from "../../../testing/stores.ts";
import { startServer, type TestServer } from "../../../testing/server.ts";

const policy = `
daicho: policy/v1
id: test
edition: enterprise
version: 1
software:
  - { code: "@WORD", name: Word, detect: app(name = "Word") }
  - { code: "@CAD", name: Cad, detect: app(name = "Cad") }
`;
const title = (name: string): Title => ({ name, version: "1", source: "registry" });

forEachStore((store) => {
  let site: TestServer;
  beforeEach(async () => {
    site = await startServer(store, { role: "both" });
    await site.server.policies.publish("enterprise", policy);
    await site.server.derivation.refresh();
  });
  afterEach(() => site.stop());

  const enrolled = async (hostname: string, serial: string): Promise<TestDevice> => {
    const device = createTestDevice(hostname);
    const request = { token: await site.enrollmentToken(), kind: "agent" as const, name: hostname };
    const answer = await site.api("POST", "/ingest/v1/enroll", {
      as: "nobody",
      json: {
        ...request,
        publicKey: device.signer.publicKey,
        evidence: { hostname, serial },
        proof: device.signer.sign(enrollProofText(request)).toString("base64url"),
      },
    });
    expect(answer.status).toBeLessThan(300);
    return device;
  };
  const send = async (report: Buffer) => (await site.server.intake.submit([report]))[0];
  const used = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await site.server.positions.company()).items.filter((i) => i.used > 0).map((i) => [i.license, i.used])); // prettier-ignore
  const device = async (id: string) => (await site.api("GET", `/api/v1/devices/${id}`)).json<{ hostname: string; software?: Title[]; licenses?: { license: string }[] }>(); // prettier-ignore
  const software = async (id: string) => ((await device(id)).software ?? []).map((t) => t.name).sort();
  const clean = async () => expect((await site.server.reconcile()).differences).toEqual([]);
  const withTitle = async (name: string) =>
    (await site.api("GET", `/api/v1/devices?software=${name}&fields=id`)).json<{ items: { id: string }[] }>().items.map((d) => d.id); // prettier-ignore

  it("a re-imaged machine is offered for merging, counts once when merged, and every report finds its way - until it is undone (design.md Clones)", async () => {
    const before = await enrolled("pc", "SN-4711");
    before.install([title("Word"), title("Old")]);
    expect(await send(before.report("full"))).toEqual({ status: "stored" });
    const after = await enrolled("pc-new", "SN-4711");
    after.install([title("Word"), title("Cad")]);
    expect(await send(after.report("full"))).toEqual({ status: "stored" });
    expect(await used()).toEqual({ "@CAD": 1, "@WORD": 2 });

    const offers = (await site.api("GET", "/api/v1/device-merges/offers")).json<{ items: object[] }>().items;
    expect(offers).toMatchObject([{ keep: before.id, from: after.id, serial: "SN-4711" }]);
    const merged = await site.api("POST", "/api/v1/device-merges", { json: { keep: before.id, from: after.id } });
    expect(merged.status).toBe(201);
    expect((await site.api("GET", "/api/v1/device-merges/offers")).json<{ items: object[] }>().items).toEqual([]);
    expect(await used()).toEqual({ "@CAD": 1, "@WORD": 1 });
    expect(await device(before.id)).toMatchObject({ hostname: "pc-new" });
    expect(await software(before.id)).toEqual(["Cad", "Word"]);
    expect(await withTitle("Cad")).toEqual([before.id]);
    expect(await withTitle("Old")).toEqual([]);
    await clean();

    // The machine goes on reporting with its new key: a delta, as if nothing had happened.
    after.install([title("Cad"), title("Paint")]);
    expect(await send(after.report("delta"))).toEqual({ status: "stored" });
    expect(await software(before.id)).toEqual(["Cad", "Paint"]);
    expect(await used()).toEqual({ "@CAD": 1 });
    await clean();

    // The other key reports after all: they are two machines. Nothing of it counts until the merge is undone.
    expect(await send(before.report("heartbeat"))).toEqual({ status: "stored" });
    const [merge] = (await site.api("GET", "/api/v1/device-merges")).json<{ items: { id: string; stillReports?: boolean }[] }>().items; // prettier-ignore
    expect(merge?.stillReports).toBe(true);
    expect(await used()).toEqual({ "@CAD": 1 });
    expect((await site.api("DELETE", `/api/v1/device-merges/${merge?.id ?? ""}`)).status).toBe(200);
    expect(await software(before.id)).toEqual(["Old", "Word"]);
    expect(await software(after.id)).toEqual(["Cad", "Paint"]);
    expect(await used()).toEqual({ "@CAD": 1, "@WORD": 1 });
    before.install([title("Word")]);
    expect(await send(before.report("delta"))).toEqual({ status: "stored" });
    expect(await software(before.id)).toEqual(["Word"]);
    await clean();
    expect((await site.api("DELETE", `/api/v1/device-merges/${merge?.id ?? ""}`)).status).toBe(409);
  });

  it("a device that only stands in the ledger takes over what reports, with its user and department", async () => {
    await site.api("PUT", "/api/v1/departments/D1", { json: { name: "One" } });
    await site.api("PUT", "/api/v1/devices/L1", { json: { department: "D1" } });
    const machine = await enrolled("pc", "SN-1");
    machine.install([title("Word")]);
    await send(machine.report("full"));
    expect((await site.api("POST", "/api/v1/device-merges", { json: { keep: "L1", from: machine.id } })).status).toBe(201); // prettier-ignore
    expect((await site.server.positions.department("D1")).items).toMatchObject([{ license: "@WORD", used: 1 }]);
    expect(await used()).toEqual({ "@WORD": 1 });
    expect((await site.api("GET", "/api/v1/devices?fields=id")).json<{ items: object[] }>().items).toEqual([{ id: "L1" }]); // prettier-ignore
    await clean();
  });

  it("allocations follow to the device that stays, once each, and come back when the merge is undone", async () => {
    for (const id of ["A", "B"]) await site.api("PUT", `/api/v1/devices/${id}`, { json: {} });
    const allocate = async (license: string, device: string, quantity = 1) =>
      (await site.api("POST", "/api/v1/allocations", { json: { license, device, quantity } })).json<{ id: string }>().id; // prettier-ignore
    const kept = await allocate("@WORD", "A");
    const doubled = await allocate("@WORD", "B", 2);
    const moved = await allocate("@CAD", "B", 3);
    const current = async () =>
      (await site.api("GET", "/api/v1/allocations")).json<{ items: { id: string; device: string; quantity: number }[] }>()
        .items.map((a) => `${{ [kept]: "kept", [doubled]: "doubled", [moved]: "moved" }[a.id] ?? a.id} ${a.device} ${a.quantity}`).sort(); // prettier-ignore
    const before = await current();
    expect(before).toEqual(["doubled B 2", "kept A 1", "moved B 3"]);
    const merge = (await site.api("POST", "/api/v1/device-merges", { json: { keep: "A", from: "B" } })).json<{ id: string }>().id; // prettier-ignore
    expect(await current()).toEqual(["kept A 1", "moved A 3"]);
    // The device is no longer one that anything can be set aside for.
    expect((await site.api("POST", "/api/v1/allocations", { json: { license: "@WORD", device: "B" } })).status).toBe(400); // prettier-ignore
    const item = async (license: string) =>
      (await site.server.positions.company()).items.find((i) => i.license === license);
    expect([(await item("@CAD"))?.allocatedNotInUse, (await item("@WORD"))?.allocatedNotInUse]).toEqual([3, 1]);
    expect((await site.api("DELETE", `/api/v1/device-merges/${merge}`)).status).toBe(200);
    expect(await current()).toEqual(before);
    expect([(await item("@CAD"))?.allocatedNotInUse, (await item("@WORD"))?.allocatedNotInUse]).toEqual([3, 3]);
    const history = (await site.api("GET", "/api/v1/allocations?ended=true")).json<{ items: { device: string; until?: string }[] }>().items; // prettier-ignore
    expect(history.filter((a) => a.until !== undefined).map((a) => a.device).sort()).toEqual(["A", "B", "B"]); // prettier-ignore

    // Merged again: what is ended meanwhile stays ended.
    const again = (await site.api("POST", "/api/v1/device-merges", { json: { keep: "A", from: "B" } })).json<{ id: string }>().id; // prettier-ignore
    expect((await site.api("DELETE", `/api/v1/allocations/${moved}`)).status).toBe(204);
    expect((await site.api("DELETE", `/api/v1/device-merges/${again}`)).status).toBe(200);
    expect(await current()).toEqual(["doubled B 2", "kept A 1"]);
    await clean();
  });

  it("nonsense is refused: a device with itself, one that is not there, one that went away already", async () => {
    for (const id of ["A", "B", "C"]) await site.api("PUT", `/api/v1/devices/${id}`, { json: {} });
    const merge = async (keep: string, from: string) =>
      (await site.api("POST", "/api/v1/device-merges", { json: { keep, from } })).status;
    expect(await merge("A", "A")).toBe(409);
    expect(await merge("A", "Z")).toBe(404);
    expect(await merge("A", "B")).toBe(201);
    expect(await merge("C", "B")).toBe(409);
    expect(await merge("B", "C")).toBe(409);
    expect((await site.api("POST", "/api/v1/device-merges", { json: { keep: "A", from: "C" }, as: "auditor" })).status).toBe(403); // prettier-ignore
  });
});
