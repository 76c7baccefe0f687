/** Reconcile against every kind of row it answers for: one that is wrong is found and named, whatever the running server has in memory. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "@daicho/kernel";
import { enrollProofText, packSection, type Title } from "@daicho/protocol";
import { createTestDevice } from "@daicho/testkit";
import { createServer, type Server } from "../../app.ts";
import { loadServerConfig } from "../../config.ts";
import { forEachStore } from "../../testing/stores.ts";
import { unpackDifference } from "./bases.ts";
import { packChange, packSorted } from "./pack.ts";

const policy = `
daicho: policy/v1
id: test
edition: enterprise
version: 1
software:
  - code: "@EDITOR1"
    name: Editor
    detect: app(name = "Editor")
  - code: "@CHAT1"
    name: Chat
    detect: app(name = "Chat")
  - code: "@BASE"
    name: Base
    detect: package(name = "database")
licenses:
  - rule: "@EDITOR1 = @EDITOR"
  - rule: "@CHAT1 = @CHAT"
    metric: user
  - rule: "@BASE = @DB"
    metric: core
`;

const title = (name: string, source = "registry"): Title => ({ name, version: "1", source });
const tables = ["lic_usage", "lic_user_usage", "lic_repository", "lic_licenses", "dev_devices", "inv_states", "inv_heads", "inv_bases", "inv_titles"] as const; // prettier-ignore
/** So many that the devices share a base, of which the third has one less. */
const common = Array.from({ length: 100 }, (_, i) => title(`Tool ${i}`));

forEachStore((store) => {
  let server: Server;
  let devices: string[];
  const laws = async (): Promise<{ law: string; about: string | number | undefined }[]> =>
    (await server.reconcile()).differences.map((d) => ({ law: d.law, about: d.device ?? d.title ?? d.department }));
  /** Puts every row back as it was before `work`. */
  const undone = async (work: () => Promise<void>): Promise<void> => {
    const { kysely } = server.db;
    const before = new Map(await Promise.all(tables.map(async (t) => [t, await kysely.selectFrom(t).selectAll().execute()] as const))); // prettier-ignore
    await work();
    for (const [table, rows] of before) {
      await kysely.deleteFrom(table).execute();
      if (rows.length > 0) await kysely.insertInto(table).values(rows).execute(); // prettier-ignore
    }
    expect(await laws()).toEqual([]);
  };
  const run = (text: string, ...values: readonly unknown[]): Promise<unknown> => {
    const parts = text.split("?");
    return sql
      .join(
        parts.flatMap((part, i) => (i === 0 ? [sql.raw(part)] : [sql`${values[i - 1]}`, sql.raw(part)])),
        sql.raw(""),
      )
      .execute(server.db.kysely);
  };

  beforeAll(async () => {
    const database = await store.url();
    const flags = { role: "both", name: "acme", listen: "127.0.0.1:0", database, data: "./data" };
    server = await createServer({ config: loadServerConfig({ env: {}, flags }), log: silentLog });
    await server.app.ready();
    await server.policies.publish("enterprise", policy);
    await server.derivation.refresh();
    const admin = (await server.access.createApiToken({ name: "t", role: "admin" })).token;
    const api = async (method: "POST" | "PATCH", url: string, payload: object): Promise<void> => {
      const answer = await server.app.inject({ method, url, headers: { authorization: `Bearer ${admin}` }, payload });
      expect({ url, code: answer.statusCode, body: answer.statusCode < 300 ? "" : answer.body }).toMatchObject({ body: "" }); // prettier-ignore
    };
    for (const code of ["A", "B"]) await api("POST", "/api/v1/departments", { code, name: code });
    for (const id of ["E1", "E2"]) await api("POST", "/api/v1/employees", { id, name: id, department: "A" });
    devices = [];
    for (const n of [1, 2, 3]) {
      const device = createTestDevice(`pc${n}`);
      const enrollment = { token: (await server.access.createEnrollmentToken({})).token, kind: "agent", name: `pc${n}` } as const; // prettier-ignore
      const proof = device.signer.sign(enrollProofText(enrollment)).toString("base64url");
      await server.app.inject({
        method: "POST",
        url: "/ingest/v1/enroll",
        payload: { ...enrollment, publicKey: device.signer.publicKey, evidence: { hostname: `pc${n}` }, proof },
      });
      device.install([
        ...common.slice(0, n === 3 ? -1 : undefined),
        title("Editor"),
        title("Chat"),
        title("database", "dpkg"),
        title(`Own ${n}`),
      ]);
      expect(await server.intake.submit([device.report("full")])).toEqual([{ status: "stored" }]);
      devices.push(device.id);
    }
    await api("PATCH", `/api/v1/devices/${devices[1]}`, { employee: "E1" });
    await api("PATCH", `/api/v1/devices/${devices[2]}`, { employee: "E1" });
    expect(await laws()).toEqual([]);
    const row = await server.db.kysely.selectFrom("inv_states").select(["base", "titles"]).where("device", "=", 3).executeTakeFirstOrThrow(); // prettier-ignore
    expect(row.base).not.toBeNull();
    expect(unpackDifference(row.titles).removed).toHaveLength(1);
  });
  afterAll(() => server.stop());

  const licenses = "licenses-follow-from-facts";
  const digest = "facts-equal-their-digest";
  const interval = "interval-counts-for-its-department";
  describe("reconcile finds", () => {
    const one: readonly [what: string, law: string, about: () => unknown, change: () => Promise<unknown>][] = [
      ["a total that is too high", "stored-equals-recomputed", () => "A", () => run("update lic_usage set used = used + 1 where department = 1")],
      ["a total that is gone", "stored-equals-recomputed", () => "A", () => run("delete from lic_usage where department = 1")],
      ["a count of a person's devices", "user-counts-equal-recomputed", () => "A", () => run("update lic_user_usage set devices = devices + 1")],
      ["licences that an interval has too few of", licenses, () => devices[2], () => run("update lic_repository set licenses = ? where device = 3", Buffer.alloc(0))],
      ["a licence's number of units", licenses, () => devices[2], async () => {
        const { licenses: bytes } = await server.db.kysely.selectFrom("lic_repository").select("licenses").where("device", "=", 3).executeTakeFirstOrThrow();
        bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) + 1;
        await run("update lic_repository set licenses = ? where device = 3", bytes);
      }],
      ["an interval that is gone", licenses, () => devices[2], () => run("delete from lic_repository where device = 3")],
      ["an interval of a device that never reported", licenses, () => "#77", () => run("insert into lic_repository (device, since, employee, department, licenses, cause) select 77, since, null, 0, licenses, cause from lic_repository where device = 1")],
      ["an interval for another department", interval, () => devices[2], () => run("update lic_repository set department = 2 where device = 3")],
      ["an interval for another person", interval, () => devices[2], () => run("update lic_repository set employee = 2 where device = 3")],
      ["titles that were not reported", digest, () => devices[2], () => run("update inv_states set base = null, titles = ? where device = 3", packSorted([1, 2, 3]))],
      ["titles that end early", digest, () => devices[2], () => run("update inv_states set base = null, titles = ? where device = 3", Buffer.of(1, 0x80))],
      ["titles against a base that is not there", digest, () => devices[2], () => run("update inv_states set base = 5 where device = 3")],
      ["a machine that was not reported", digest, () => devices[2], () => run("update inv_states set machine = ? where device = 3", packSection({ hostname: "x", probesVersion: 0 }))],
      ["hits that cannot be read", digest, () => devices[2], () => run("update inv_states set probes = ? where device = 3", Buffer.of(1, 2, 3))],
      ["a code that no import asserted", licenses, () => devices[1], () => run("update inv_states set asserted = ? where device in (1, 2)", JSON.stringify([{ code: "@X", definition: null }, { code: "@EDITOR1", definition: null }])).then(() => run("update lic_repository set licenses = ? where device = 2", Buffer.alloc(0)))],
      ["asserted codes that cannot be read", digest, () => devices[2], () => run("update inv_states set asserted = '[{' where device = 3")],
      ["a state that is gone", licenses, () => devices[2], () => run("delete from inv_states where device = 3")],
      ["a digest that is not the state's", digest, () => devices[2], () => run("update inv_heads set digest = ? where device = 3", Buffer.alloc(32, 7))],
      ["a head that is gone", digest, () => devices[2], () => run("delete from inv_heads where device = 3")],
      ["a base that is not what it was", digest, () => devices[2], () => run("update inv_bases set titles = ?", packSorted([1, 2, 3]))],
      ["a title with another name", "titles-equal-their-hash", () => 5, () => run("update inv_titles set name = 'Other' where id = 5")],
      ["a title with another hash", "titles-equal-their-hash", () => 5, () => run("update inv_titles set hash = ? where id = 5", Buffer.alloc(8, 9))],
      ["a title that recognition needs", licenses, () => devices[0], () => run("update inv_titles set name = 'Other' where name = 'Editor'")],
      ["a licence's metric", "stored-equals-recomputed", () => "A", () => run("update lic_licenses set metric = 'user' where code = '@EDITOR'")],
    ]; // prettier-ignore
    for (const [what, law, about, change] of one)
      it(what, () =>
        undone(async () => {
          await change();
          expect(await laws()).toContainEqual({ law, about: about() });
        }),
      );
  });

  it("a title that the index has for other devices than have it is found, also where they are as many", () =>
    undone(async () => {
      const { kysely } = server.db;
      const { id } = await kysely.selectFrom("inv_titles").select("id").where("name", "=", "Own 1").executeTakeFirstOrThrow(); // prettier-ignore
      const moves = async (to: number, from: number): Promise<void> => {
        const [came, went] = [{ added: [id], removed: [] }, { added: [], removed: [id] }].map(packChange) as [Buffer, Buffer]; // prettier-ignore
        await kysely.insertInto("inv_changes").values([{ device: to, at: 0, change: came }, { device: from, at: 0, change: went }]).execute(); // prettier-ignore
      };
      const found = async () => (await server.reconcile()).differences;
      const differs = { law: "title-index-follows-from-facts", title: id };
      await moves(2, 1);
      expect(await found()).toEqual([{ ...differs, stored: expect.stringMatching(/^1 \([0-9a-f]{8}\)$/) as string, recomputed: expect.stringMatching(/^1 /) as string }]); // prettier-ignore
      await moves(1, 77);
      expect(await found()).toEqual([{ ...differs, stored: 2, recomputed: 1 }]);
      await moves(1, 2);
    }));

  it("a device that is disposed of holds nothing, and one that holds something is found", () =>
    undone(async () => {
      await run("update dev_devices set state = 'disposed' where ordinal = 3");
      expect(await laws()).toContainEqual({ law: licenses, about: devices[2] });
      await run("delete from lic_repository where device = 3");
      expect((await laws()).filter(({ law }) => law === licenses)).toEqual([]);
    }));

  it("of very many intervals without a state, each is found once", () =>
    undone(async () => {
      const interval = await server.db.kysely.selectFrom("lic_repository").selectAll().where("device", "=", 1).executeTakeFirstOrThrow(); // prettier-ignore
      const strays = Array.from({ length: 250 }, (_, i) => 1000 + i);
      for (const some of [strays.slice(0, 125), strays.slice(125)])
        await server.db.kysely
          .insertInto("lic_repository")
          .values(some.map((device) => ({ ...interval, device, employee: null, department: 0 })))
          .execute();
      const found = (await server.reconcile()).differences.filter(({ law }) => law === licenses);
      const told = found.map(({ device, license }) => `${device} ${license}`).sort();
      expect(told).toEqual(
        strays.flatMap((device) => ["@CHAT", "@DB", "@EDITOR"].map((l) => `#${device} ${l}`)).sort(),
      );
    }));

  it("of very many devices, one without an interval is found, and nothing else", () =>
    undone(async () => {
      const { kysely } = server.db;
      const state = await kysely.selectFrom("inv_states").selectAll().where("device", "=", 3).executeTakeFirstOrThrow();
      const head = await kysely.selectFrom("inv_heads").selectAll().where("device", "=", 3).executeTakeFirstOrThrow();
      const interval = await kysely.selectFrom("lic_repository").selectAll().where("device", "=", 3).executeTakeFirstOrThrow(); // prettier-ignore
      for (let device = 1000; device < 1250; device++) {
        await kysely
          .insertInto("inv_states")
          .values({ ...state, device })
          .execute();
        await kysely
          .insertInto("inv_heads")
          .values({ ...head, device })
          .execute();
        if (device !== 1005)
          await kysely
            .insertInto("lic_repository")
            .values({ ...interval, device })
            .execute();
      }
      const found = (await server.reconcile()).differences.filter(({ law }) => law === licenses || law === digest);
      expect(found.map(({ device, license }) => `${device} ${license}`).sort()).toEqual(
        ["@CHAT", "@DB", "@EDITOR"].map((license) => `#1005 ${license}`),
      );
    }));

  it("where something decides about installations, every device is asked by itself, with the same answer", async () => {
    const answer = await server.app.inject({
      method: "PUT",
      url: "/api/v1/classification-rules",
      headers: { authorization: `Bearer ${(await server.access.createApiToken({ name: "u", role: "admin" })).token}` },
      payload: { items: [{ class: "individual", license: "@EDITOR" }] },
    });
    expect(answer.statusCode, answer.body).toBeLessThan(300);
    await server.derivation.refresh();
    expect(await server.db.transaction((trx) => server.derivation.classifies(trx))).toBe(true);
    expect(await laws()).toEqual([]);
    await run("update lic_repository set licenses = ? where device = 3", Buffer.alloc(0));
    expect(await laws()).toContainEqual({ law: licenses, about: devices[2] });
  });
});
