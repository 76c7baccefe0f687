import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import {
  enrollProofText,
  generateKeyPair,
  packBatch,
  packSection,
  packState,
  reportsContentType,
  sealEnvelope,
  stateDigest,
  type Title,
} from "@daicho/protocol";
import { silentLog } from "@daicho/kernel";
import { createServer, type Server } from "../../app.ts";
import { loadServerConfig } from "../../config.ts";
import { createTestDevice, type TestDevice } from "@daicho/testkit";
import { forEachStore } from "../../testing/stores.ts";

const policy = (version: number, officeMetric = "device", extra = ""): string => `
daicho: policy/v1
id: test
edition: enterprise
version: ${version}
software:
  - code: "@WORD"
    name: Word
    detect: app(name = "Word")
  - code: "@SHEET"
    name: Sheet
    detect: app(name = "Sheet")
  - code: "@OFFICE1"
    name: Office
    detect: file(name = "office.exe")
  - code: "@CORES"
    name: Cores
    detect: package(name = "database")
licenses:
  - rule: "@WORD AND @SHEET = @SUITE"
    name: Suite
    metric: ${officeMetric}
  - rule: "@OFFICE1 = @OFFICE"
  - rule: "@CORES = @DB"
    metric: core
${extra}
`;

const title = (name: string, version = "1", source = "registry"): Title => ({ name, version, source });

forEachStore((store) => {
  let server: Server;
  let token: string;
  const open = async (url?: string, more: object = {}): Promise<string> => {
    const database = url ?? (await store.url());
    server = await createServer({
      config: loadServerConfig({
        env: {},
        flags: { role: "both", name: "acme", listen: "127.0.0.1:0", database, data: "./data", ...more },
      }),
      log: silentLog,
    });
    await server.app.ready();
    token = (await server.access.createApiToken({ name: "t", role: "admin" })).token;
    return database;
  };
  afterEach(() => server.stop());

  const enroll = async (device: TestDevice, hostname: string, serial?: string): Promise<number> => {
    const enrollment = await server.access.createEnrollmentToken({});
    const request = { token: enrollment.token, kind: "agent" as const, name: hostname };
    const answer = await server.app.inject({
      method: "POST",
      url: "/ingest/v1/enroll",
      payload: {
        ...request,
        publicKey: device.signer.publicKey,
        evidence: { hostname, ...(serial !== undefined && { serial }) },
        proof: device.signer.sign(enrollProofText(request)).toString("base64url"),
      },
    });
    return answer.statusCode;
  };
  const made = async (hostname: string, serial?: string): Promise<TestDevice> => {
    const device = createTestDevice(hostname);
    expect(await enroll(device, hostname, serial)).toBeLessThan(300);
    return device;
  };
  const send = (...reports: readonly Buffer[]) => server.intake.submit(reports);
  const publish = async (text: string): Promise<void> => {
    await server.policies.publish("enterprise", text);
    await server.derivation.refresh();
  };
  const used = async (): Promise<Record<string, number>> => {
    const rows = await server.db.kysely
      .selectFrom("lic_usage as u")
      .innerJoin("lic_licenses as l", "l.ordinal", "u.license")
      .select(["l.code", (eb) => eb.fn.sum<number>("u.used").as("used")])
      .groupBy("l.code")
      .execute();
    return Object.fromEntries(rows.filter((r) => Number(r.used) !== 0).map((r) => [r.code, Number(r.used)]));
  };

  it("a device is, after every report, exactly what it reported", async () => {
    await open();
    const device = await made("pc01");
    device.install([
      title("A"),
      { ...title("B"), path: "/x", size: 7, installedAt: "2026-01-02" },
      { ...title("B"), path: "/y" },
      title("C"),
    ]);
    expect(await send(device.report("full"))).toEqual([{ status: "stored" }]);
    device.install([title("A"), title("C", "2"), title("日本語ソフト")]);
    expect(await send(device.report("delta"), device.report("heartbeat"))).toEqual([
      { status: "stored" },
      { status: "stored" },
    ]);
    const shown = await server.facts.factsOf(1);
    expect(shown?.software).toEqual([title("A"), title("C", "2"), title("日本語ソフト")]);
    expect(shown?.hardware?.cpu?.cores).toBe(4);
  });

  it("reports that were acknowledged below and never came are named by the way they were to come; what was refused here, or came late, is not", async () => {
    await open();
    const through = (node: string, ...reports: readonly Buffer[]) => server.intake.submit(reports, node);
    const missing = async () =>
      Object.fromEntries([...(await server.nodes.missing())].map(([node, m]) => [node, [m.reports, m.devices]]));
    const device = await made("pc01");
    device.install([title("A")]);
    await through("r1", device.report("full"));
    const dropped: Buffer[] = [];
    for (const name of ["B", "C"]) {
      device.install([title(name)]);
      dropped.push(device.report("delta"));
    }
    const [beat, again] = [device.report("heartbeat"), device.report("heartbeat")];
    expect(await through("r1", beat, again)).toMatchObject([{ status: "need-full" }, { status: "need-full" }]);
    expect(await missing()).toEqual({ r1: [2, 1] });
    await through("r1", device.report("full"), device.report("heartbeat"));
    expect(await through("r2", dropped[0] as Buffer, dropped[0] as Buffer, beat)).toMatchObject([
      { status: "duplicate" },
      { status: "duplicate" },
      { status: "duplicate" },
    ]);
    expect(await missing()).toEqual({ r1: [1, 1] });
    expect((await server.facts.factsOf(1))?.software).toEqual([title("C")]);

    // Refused for a title nobody told the text of: what builds on it does not fit either, but it came.
    device.install([title("D")]);
    await through("r2", device.report("full", { texts: false }), device.report("heartbeat"));
    expect(await missing()).toEqual({ r1: [1, 1] });

    // A device that makes up gaps fills no table.
    const evil = await made("evil");
    evil.install([title("A")]);
    await through("r3", evil.report("full"));
    evil.install([title("B")]);
    for (let i = 0; i < 10; i++) {
      evil.seq += 1000;
      await through("r3", evil.report("heartbeat"));
    }
    expect((await missing())["r3"]?.[0]).toBeLessThanOrEqual(40);
  });

  it("a report that is not what its device signed is named by the node that brought it, once, until it comes as it was", async () => {
    await open();
    const missing = async () => [...(await server.nodes.missing())].map(([node, m]) => [node, m.reports, m.devices]);
    const device = await made("pc01");
    device.install([title("A")]);
    const sound = device.report("full");
    const altered = Buffer.from(sound);
    const at = altered.indexOf('"dictionary":') + '"dictionary":'.length;
    altered.write("9", at, "latin1");
    for (let i = 0; i < 2; i++)
      expect(await server.intake.submit([altered, Buffer.from(altered)], "r1")).toMatchObject([
        { code: "signature-invalid" },
        { code: "signature-invalid" },
      ]);
    expect(await missing()).toEqual([["r1", 1, 1]]);
    // What a device sends for itself was altered by nobody between.
    await server.intake.submit([altered], device.id);
    expect(await missing()).toEqual([["r1", 1, 1]]);
    await server.intake.submit([sound, sound], "r2");
    expect(await missing()).toEqual([]);
  });

  it("what a hostile device says of its copies - a quadrillion of them, or one long text forty thousand times - is not spread out", async () => {
    await open();
    const evil = await made("evil");
    const bombs = [
      { copies: [2 ** 50] },
      { copies: [40_000], path: { values: ["x".repeat(4096)], at: new Array<number>(40_000).fill(0) } },
    ];
    for (const bomb of bombs) {
      const packed = packState([title("A")], [], { hostname: "evil", probesVersion: 0 });
      const state = { ...packed.state, details: packSection(bomb) };
      const seq = ++evil.seq;
      const report = sealEnvelope(
        {
          device: evil.id,
          epoch: 1,
          seq,
          kind: "full",
          state: stateDigest(state),
          dictionary: 0,
          at: new Date(seq * 1000).toISOString(),
        },
        { ...state, texts: packSection([...packed.texts.values()]) },
        evil.signer,
      );
      expect(await send(report)).toEqual([{ status: "stored" }]);
      expect((await server.facts.factsOf(1))?.software).toEqual([title("A")]);
    }
  });

  it("what a device may add to the company's titles in a day is bounded; what is known it may have, and nobody else is hurt", async () => {
    await open(undefined, { reports: { newTitles: 30 } });
    const [evil, honest] = [await made("evil"), await made("honest")];
    const titles = (from: number, to: number): Title[] =>
      Array.from({ length: to - from }, (_, i) => title(`T${from + i}`));
    const report = (device: TestDevice, installed: readonly Title[]): Buffer => {
      device.install(installed);
      return device.report("full");
    };
    const learnt = async (): Promise<number> => {
      const { n } = await server.db.kysely
        .selectFrom("inv_titles")
        .select((eb) => eb.fn.countAll<number>().as("n"))
        .executeTakeFirstOrThrow();
      return Number(n);
    };
    // In one commit, too.
    const answers = await send(...[0, 20, 40].map((from) => report(evil, titles(from, from + 20))));
    expect(answers.map(({ status, code }) => code ?? status)).toEqual(["stored", "titles-too-many", "titles-too-many"]);
    expect(await learnt()).toBe(20);
    // One report always fits, however much it brings.
    expect(await send(report(honest, titles(20, 60)))).toEqual([{ status: "stored" }]);
    expect(await learnt()).toBe(60);
    expect(await send(report(evil, titles(0, 60)))).toEqual([{ status: "stored" }]);
  });

  it("reports repeated, delayed and reordered change nothing (domain §5.1)", async () => {
    await open();
    const device = await made("pc01");
    const reports: Buffer[] = [];
    for (let i = 0; i < 6; i++) {
      device.install([title("A", String(i)), title("B")]);
      reports.push(device.report(i === 0 ? "full" : "delta"));
    }
    await send(...reports);
    const before = await server.facts.factsOf(1);
    for (const order of [
      [0, 3, 1],
      [5, 4],
      [2, 2, 2],
    ]) {
      const results = await send(...order.map((i) => reports[i] as Buffer));
      expect(results.map((r) => r.status)).toEqual(order.map(() => "duplicate"));
    }
    expect((await server.facts.factsOf(1))?.software).toEqual(before?.software);
  });

  it("what was lost on the way is noticed by the next delta or heartbeat and repaired by a full report", async () => {
    await open();
    const device = await made("pc01");
    device.install([title("A")]);
    await send(device.report("full"));
    device.install([title("A"), title("B")]);
    device.report("delta"); // burnt with its relay
    expect(await send(device.report("heartbeat"))).toEqual([{ status: "need-full", code: "digest-differs" }]);
    device.install([title("A"), title("C")]);
    expect((await send(device.report("delta")))[0]?.status).toBe("need-full");
    expect((await send(device.report("full")))[0]?.status).toBe("stored");
    expect((await server.facts.factsOf(1))?.software.map((t) => t.name)).toEqual(["A", "C"]);
  });

  it("a hash without its text is asked for, never guessed", async () => {
    await open();
    const device = await made("pc01");
    device.install([title("never seen")]);
    expect(await send(device.report("full", { texts: false }))).toEqual([
      { status: "need-full", code: "titles-unknown" },
    ]);
    expect((await send(device.report("full")))[0]?.status).toBe("stored");
  });

  it("an altered report is refused and named; the others of its batch are stored", async () => {
    await open();
    const device = await made("pc01");
    const other = await made("pc02");
    device.install([title("A")]);
    other.install([title("B")]);
    const altered = Buffer.from(device.report("full"));
    altered.writeUInt8(altered.readUInt8(40) ^ 1, 40);
    const stranger = createTestDevice("stranger");
    const results = await send(altered, other.report("full"), stranger.report("heartbeat"));
    expect(results[0]).toMatchObject({ status: "rejected" });
    expect(results[1]).toEqual({ status: "stored" });
    expect(results[2]).toMatchObject({ status: "rejected", code: "device-unknown" });
    // Re-signed by another key, the report is still not the device's own.
    const forger = createTestDevice("pc01", generateKeyPair());
    forger.install([title("X")]);
    const forged = forger.report("full");
    expect((await send(forged))[0]).toMatchObject({ status: "rejected", code: "device-unknown" });
  });

  it("a device set back to an old backup is told so and goes on in a new epoch", async () => {
    await open();
    const device = await made("pc01");
    device.install([title("A")]);
    await send(device.report("full"), device.report("heartbeat"), device.report("heartbeat"));
    device.seq = 0;
    expect((await send(device.report("heartbeat", { at: Date.parse("2026-06-01T00:00:00Z") })))[0]).toMatchObject({
      status: "rejected",
      code: "sequence-regress",
    });
    device.epoch = 2;
    device.seq = 0;
    expect((await send(device.report("full")))[0]?.status).toBe("stored");
  });

  it("two machines with one key: the first hardware keeps the identity, the other is told to enrol anew (design: clones)", async () => {
    await open();
    const pair = generateKeyPair();
    const original = createTestDevice("pc01", pair);
    await enroll(original, "pc01");
    const clone = createTestDevice("pc01-clone", pair);
    clone.evidence = "e2";
    original.install([title("A")]);
    clone.install([title("B")]);
    await send(original.report("full"), original.report("heartbeat"));
    const later = { at: Date.parse("2026-03-01T00:00:00Z") };
    expect((await send(clone.report("full", later)))[0]).toMatchObject({ status: "rejected", code: "identity-cloned" });
    clone.seq = 100;
    expect((await send(clone.report("full", later)))[0]).toMatchObject({ status: "rejected", code: "identity-cloned" });
    expect((await send(original.report("heartbeat", { at: Date.parse("2026-03-02T00:00:00Z") })))[0]?.status).toBe(
      "stored",
    );
    expect((await server.facts.factsOf(1))?.software.map((t) => t.name)).toEqual(["A"]);
  });

  const machine = (name: string, evidence: string, pair = generateKeyPair()): TestDevice => {
    const device = createTestDevice(name, pair);
    device.evidence = evidence;
    device.install([title(name)]);
    return device;
  };
  /** What the machine does that is told so: a key of its own, and the same hardware. */
  const anew = async ({ evidence = "" }: TestDevice): Promise<TestDevice> => {
    const device = machine("anew", evidence);
    await enroll(device, "anew");
    return device;
  };
  const api = async (method: "GET" | "POST" | "DELETE", path: string, payload?: object, accept = "application/json") =>
    server.app.inject({
      method,
      url: `/api/v1/${path}`,
      headers: { authorization: `Bearer ${token}`, accept },
      ...(payload && { payload }),
    });
  const splitFrom = async ({ id }: TestDevice) =>
    (await api("GET", `devices/${id}`)).json<{ splitFrom?: string }>().splitFrom;
  const remembered = async () => (await server.db.kysely.selectFrom("inv_clones").selectAll().execute()).length;

  it("a machine that enrols anew because its key was a copy is linked to the original by its first report, and no other machine is (design: clones)", async () => {
    await open();
    const answer = async (report: Buffer, from: string) => {
      const [result] = await server.intake.submit([report], from);
      return result?.code ?? result?.status;
    };
    const pair = generateKeyPair();
    const original = machine("pc01", "e1", pair);
    const [second, third] = [machine("pc02", "e2", pair), machine("pc03", "e3", pair)];
    await enroll(original, "pc01");
    // They take turns, each by its own way; that they are two shows when the original has lost count.
    const at = Array.from({ length: 9 }, (_, day) => ({ at: Date.UTC(2026, 2, day + 1) }));
    second.seq = 10;
    expect(await answer(original.report("full", at[0]), "r1")).toBe("stored");
    expect(await answer(second.report("full", at[1]), "r2")).toBe("stored");
    expect(await answer(original.report("heartbeat", at[2]), "r1")).toBe("sequence-regress");
    expect(await answer(second.report("heartbeat", at[3]), "r2")).toBe("identity-cloned");
    original.epoch = 2;
    expect(await answer(original.report("full", at[4]), "r1")).toBe("stored");
    expect(await answer(second.report("full", at[5]), "r2")).toBe("identity-cloned");
    expect(await answer(original.report("heartbeat", at[6]), "r1")).toBe("stored");
    expect(await answer(third.report("full", at[7]), "r3")).toBe("identity-cloned");
    expect(await remembered()).toBe(2);

    const stranger = machine("pc09", "e9");
    await enroll(stranger, "pc09");
    const [ofSecond, ofThird] = [await anew(second), await anew(third)];
    expect(await splitFrom(ofSecond)).toBeUndefined();
    expect(await send(stranger.report("full"), ofSecond.report("full"))).toEqual([
      { status: "stored" },
      { status: "stored" },
    ]);
    expect(await answer(ofThird.report("full"), "r3")).toBe("stored");
    expect(await answer(original.report("full", at[8]), "r1")).toBe("stored");
    const links = await Promise.all([ofSecond, ofThird, original, stranger].map(splitFrom));
    expect(links).toEqual([original.id, original.id, undefined, undefined]);
    expect(await remembered()).toBe(0);
    const list = await api("GET", "devices?fields=splitFrom&sort=-hostname");
    expect(list.json<{ items: object[] }>().items).toContainEqual({ id: ofSecond.id, splitFrom: original.id });
    const [names, row] = (await api("GET", `devices?id=${ofThird.id}`, undefined, "text/csv")).body.split("\n");
    expect(row?.split(",")[names?.split(",").indexOf("splitFrom") ?? -1]).toBe(original.id);

    // Once: who comes with this hardware later is not told apart by it.
    const later = await anew(second);
    await send(later.report("full"));
    expect(await splitFrom(later)).toBeUndefined();

    // While people say that the two are one machine, it has split off from nobody.
    const merge = await api("POST", "device-merges", { keep: ofSecond.id, from: original.id });
    expect(await splitFrom(ofSecond)).toBeUndefined();
    await api("DELETE", `device-merges/${merge.json<{ id: string }>().id}`);
    expect(await splitFrom(ofSecond)).toBe(original.id);
  });

  it("a device is never split off from itself, nor does hardware that a copied key makes up fill the store or keep a true clone out", async () => {
    await open();
    const pair = generateKeyPair();
    const original = machine("pc01", "e1", pair);
    await enroll(original, "pc01");
    await send(original.report("full"));
    const at = { at: Date.UTC(2026, 2, 1) };
    const refused = async (...evidence: string[]) => {
      const reports = evidence.map((one) => machine("evil", one, pair).report("full", at));
      for (const result of await send(...reports)) expect(result.code).toBe("identity-cloned");
    };
    const invented = (count: number) => Array.from({ length: count }, (_, i) => `made up ${count} ${i}`);
    await refused(...invented(300));
    await refused("e2", "e3", "e2");
    await refused(...invented(100), "e2");
    expect(await remembered()).toBe(256);
    const clone = await anew(machine("pc02", "e2"));
    await send(clone.report("full"));
    expect(await splitFrom(clone)).toBe(original.id);

    const same = await anew(machine("pc03", "e3"));
    const { kysely } = server.db;
    const device = kysely.selectFrom("dev_devices").select("ordinal").where("id", "=", original.id);
    const enrolled = kysely.selectFrom("dev_devices").select("ordinal").where("id", "=", same.id);
    await kysely.updateTable("inv_identities").set({ device }).where("device", "=", enrolled).execute();
    expect(await send(same.report("full"))).toEqual([{ status: "stored" }]);
    expect(await splitFrom(original)).toBeUndefined();
  });

  it("a new policy version counts every stored device anew, by titles and by machine probes already reported", async () => {
    await open();
    const device = await made("pc01");
    const second = await made("pc02");
    device.install(
      [title("Word"), title("Sheet"), title("database", "1", "dpkg")],
      [{ probe: 'file(name = "office.exe")', found: { path: "/o" } }],
    );
    second.install([title("Word")]);
    await send(device.report("full"), second.report("full"));
    expect(await used()).toEqual({});
    await publish(policy(1));
    expect(await used()).toEqual({ "@SUITE": 1, "@OFFICE": 1, "@DB": 4 });
    await publish(policy(2, "device", '  - rule: "@WORD = @WORDONLY"\n'));
    expect(await used()).toEqual({ "@SUITE": 1, "@OFFICE": 1, "@DB": 4, "@WORDONLY": 1 });
    second.install([]);
    await send(second.report("delta"));
    expect(await used()).toEqual({ "@SUITE": 1, "@OFFICE": 1, "@DB": 4 });
  });

  it("a what-if says what publishing then does, writes nothing, and names the faults of a bad draft", async () => {
    await open();
    await publish(policy(1));
    const common = Array.from({ length: 90 }, (_, i) => title(`Common ${i}`));
    const devices = await Promise.all(Array.from({ length: 12 }, (_, i) => made(`pc${i}`)));
    devices.forEach((device, i) =>
      device.install(
        [
          ...common,
          title(`Own ${i}`),
          ...(i % 2 === 0 ? [title("Word")] : []),
          ...(i % 3 === 0 ? [title("Sheet")] : []),
        ],
        i % 4 === 0 ? [{ probe: 'file(name = "office.exe")', found: { path: `/o${i}` } }] : [],
      ),
    );
    await send(...devices.map((device) => device.report("full")));
    devices[0]?.install([...common.slice(1), title("Word")]);
    await send(...devices.slice(0, 1).map((device) => device.report("delta")));
    await server.devices.save(
      { id: (await server.devices.list({ limit: 1 })).rows[0]?.id ?? "", state: "disposed" },
      "change",
    );

    const draft = policy(2, "device", '  - rule: "@WORD = @WORDONLY"\n').replace('@OFFICE1 = @OFFICE"', '@OFFICE1 AND @SHEET = @OFFICE"'); // prettier-ignore
    const ask = (text: string) =>
      server.app.inject({
        method: "POST",
        url: "/api/v1/policies/enterprise/what-if",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/yaml" },
        payload: text,
      });
    const usage = async (): Promise<Map<string, Set<number>>> => {
      const by = new Map<string, Set<number>>();
      for (let device = 1; device <= devices.length; device++)
        for (const { license } of (await server.facts.licensesOf([device])).get(device) ?? [])
          by.set(license, (by.get(license) ?? new Set()).add(device));
      return by;
    };
    const before = await usage();
    const answer = (await ask(draft)).json<Record<string, unknown>>();
    expect(await usage()).toEqual(before);
    expect((await ask(policy(1))).json()).toMatchObject({ version: 1, changed: 0, licenses: [] });
    const bad = await ask(draft.replace("@WORD AND @SHEET", "@WORD AND"));
    expect(bad.statusCode).toBe(400);
    expect(bad.json()).toMatchObject({ code: "policy-invalid" });
    expect((await ask(" ")).statusCode).toBe(400);

    await publish(draft);
    const after = await usage();
    const all = [...new Set([...before.keys(), ...after.keys()])].sort();
    const lines = all.map((license) => {
      const held = before.get(license) ?? new Set<number>();
      const next = after.get(license) ?? new Set<number>();
      const gained = [...next].filter((d) => !held.has(d)).length;
      const lost = [...held].filter((d) => !next.has(d)).length;
      return { license, before: held.size, after: next.size, gained, lost };
    });
    const changed = lines.filter((line) => line.gained + line.lost > 0);
    expect(changed.map((line) => line.license)).toEqual(["@OFFICE", "@WORDONLY"]);
    expect(answer).toMatchObject({ version: 2, devices: devices.length - 1, licenses: changed });
    expect(await server.db.kysely.selectFrom("inv_bases").select("id").execute()).toHaveLength(1);
  });

  it("stored counters equal a recount, whatever was reported in whatever order (domain §3)", async () => {
    await open();
    await publish(policy(1));
    const devices = [await made("a"), await made("b"), await made("c")];
    const names = ["Word", "Sheet", "Other", "database"];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.subarray(names), fc.constantFrom("full", "delta")), {
          minLength: 1,
          maxLength: 6,
        }),
        async (steps) => {
          const reports = steps.map(([i, installed, kind]) => {
            const device = devices[i] as TestDevice;
            device.install(installed.map((name) => title(name, "1", name === "database" ? "dpkg" : "registry")));
            return device.report(device.seq === 0 ? "full" : kind);
          });
          await send(...reports);
          const recount = await server.repository.recount();
          const stored = await server.db.kysely.selectFrom("lic_usage").selectAll().where("used", "<>", 0).execute();
          const key = (r: { department: number; license: number; used: number }): string =>
            `${r.department}:${r.license}:${r.used}`;
          expect(stored.map(key).sort()).toEqual([...recount.usage].map(key).sort());
          const suites = devices.filter(
            (d) => d.titles.some((t) => t.name === "Word") && d.titles.some((t) => t.name === "Sheet"),
          );
          expect((await used())["@SUITE"] ?? 0).toBe(suites.length);
        },
      ),
      { numRuns: 12 },
    );
  });

  it("an inventory from a file belongs to the device with its id or serial; an older one overwrites nothing", async () => {
    await open();
    await publish(policy(1));
    const device = await made("pc01", "SER-4711");
    device.install([title("Word")]);
    await send(device.report("full", { at: Date.parse("2026-02-01T00:00:00Z") }));
    const file = (startedAt: string, names: string[], device: object = { hostname: "pc01", serial: "SER-4711" }) => ({
      daicho: "inventory/v1",
      device,
      software: names.map((n) => title(n)),
      scan: { startedAt, durationMs: 1, errors: [] },
    });
    const post = async (payload: unknown) =>
      (
        await server.app.inject({
          method: "POST",
          url: "/api/v1/imports/inventories",
          headers: { authorization: `Bearer ${token}` },
          payload: payload as object,
        })
      ).json<{ items: { status: string; device?: string; faults?: unknown }[] }>().items;
    expect((await post(file("2026-01-01T00:00:00Z", ["Sheet"])))[0]).toMatchObject({
      status: "older",
      device: device.id,
    });
    expect(
      await post([
        file("2026-03-01T00:00:00Z", ["Word", "Sheet"]),
        { daicho: "inventory/v1" },
        file("2026-03-01T00:00:00Z", ["Word", "Sheet"], { hostname: "alone" }),
      ]),
    ).toMatchObject([
      { status: "stored", device: device.id },
      { status: "rejected", faults: [{}] },
      { status: "stored" },
    ]);
    expect(await used()).toEqual({ "@SUITE": 2 });
    // The agent reports again: it notices that something else is held and repairs.
    expect((await send(device.report("heartbeat")))[0]?.status).toBe("need-full");
  });

  it("codes asserted by an imported inventory count until their definition changes", async () => {
    await open();
    await publish(policy(1));
    const results = await server.inventories.store([
      {
        daicho: "inventory/v1",
        device: { id: "M1", hostname: "m1" },
        software: [],
        codes: [{ code: "@WORD", evidence: "seen" }, { code: "@SHEET" }],
      },
    ]);
    expect(results[0]).toMatchObject({ status: "stored", device: "M1" });
    expect(await used()).toEqual({ "@SUITE": 1 });
    await publish(policy(2).replace('app(name = "Word")', 'app(name = "Word Processor")'));
    expect(await used()).toEqual({});
  });

  it("takes only reports, from nodes only, and answers what it understands", async () => {
    await open();
    const answer = await server.app.inject({
      method: "POST",
      url: "/ingest/v1/reports",
      headers: { "content-type": reportsContentType },
      payload: packBatch([]),
    });
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toMatchObject({ code: "credential-missing" });
  });

  it("a disposed device uses nothing; taken into use again it counts what it has, without a new report", async () => {
    await open();
    await publish(policy(1));
    const device = await made("pc01");
    device.install([title("Word"), title("Sheet")]);
    await send(device.report("full"));
    const state = (value: string) =>
      server.app.inject({
        method: "PATCH",
        url: `/api/v1/devices/${device.id}`,
        headers: { authorization: `Bearer ${token}` },
        payload: { state: value },
      });
    expect((await state("disposed")).statusCode).toBe(200);
    expect(await used()).toEqual({});
    expect((await server.reconcile()).differences).toEqual([]);
    expect((await state("in-use")).statusCode).toBe(200);
    await server.derivation.refresh();
    expect(await used()).toEqual({ "@SUITE": 1 });
  });

  it("reconcile names the device whose licences do not follow from its facts, and the totals that are off (domain §3)", async () => {
    await open();
    await publish(policy(1));
    const device = await made("pc01");
    device.install([title("Word"), title("Sheet")]);
    await send(device.report("full"));
    expect((await server.reconcile()).differences).toEqual([]);
    await server.db.kysely.updateTable("lic_usage").set({ used: 5 }).execute();
    const total = (await server.reconcile()).differences;
    expect(total.some((d) => d.law === "stored-equals-recomputed" && d.stored === 5 && d.recomputed === 1)).toBe(true);
    await server.db.kysely
      .updateTable("lic_repository")
      .set({ licenses: Buffer.alloc(0) })
      .execute();
    expect((await server.reconcile()).differences).toContainEqual({
      law: "licenses-follow-from-facts",
      device: device.id,
      license: "@SUITE",
      stored: 0,
      recomputed: 1,
    });
  });

  it("goes on where it was after a restart", async () => {
    const url = await open();
    await publish(policy(1));
    const device = await made("pc01");
    device.install([title("Word"), title("Sheet")]);
    await send(device.report("full"));
    await server.stop();
    await open(url);
    expect(await used()).toEqual({ "@SUITE": 1 });
    expect((await send(device.report("heartbeat")))[0]?.status).toBe("stored");
    expect(await server.software.devicesWith({ name: "Word" }, { after: 0, limit: 10 })).toEqual([1]);
  });
});
