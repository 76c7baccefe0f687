/** The client commands against a real server on a socket: what the contract says of import, report, admin and enrollment. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "@daicho/kernel";
import { createServer, loadServerConfig, type Server } from "@daicho/server";
import { batchesOf, batchLimits, filesOf } from "./import/inventories.ts";
import { daicho, type Ran } from "./testing/run.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-cli-server-"));
const configFile = join(dir, "server.yaml");
let server: Server;
let client: readonly string[];

const file = (name: string, text: string): string => {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const call = (...args: readonly string[]): Promise<Ran> => daicho([...args, ...client]);
const itemsOf = (ran: Ran): readonly Record<string, unknown>[] =>
  (JSON.parse(ran.out) as { items: readonly Record<string, unknown>[] }).items;
const inventory = (id: string, names: readonly string[], startedAt = "2026-05-01T00:00:00Z"): string =>
  JSON.stringify(
    {
      daicho: "inventory/v1",
      device: { id, hostname: id },
      software: names.map((name) => ({ name, version: "1.0", source: "msi" })),
      scan: { startedAt, durationMs: 1, errors: [] },
    },
    undefined,
    2,
  );

beforeAll(async () => {
  const lines = [
    "role: both",
    "name: acme",
    "listen: 127.0.0.1:0",
    `database: sqlite:${join(dir, "d.db")}`,
    `data: ${dir}`,
  ];
  writeFileSync(configFile, lines.join("\n"));
  server = await createServer({ config: loadServerConfig({ file: configFile, env: {} }), log: silentLog });
  const { url } = await server.start();
  const token = await daicho(["admin", "token", "--config", configFile]);
  client = ["--server", url, "--token", token.out.trim()];
  await server.policies.publish(
    "enterprise",
    `daicho: policy/v1
id: p
edition: enterprise
version: 1
software:
  - { code: "@WRITER", name: Writer, detect: 'app(name = "Writer")' }
  - { code: "@ZOOM", name: Zoom, detect: 'app(name = "Zoom")' }
licenses:
  - { rule: "@WRITER = @OFFICE", name: 事務, metric: device }
`,
  );
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("tokens", () => {
  it("admin token prints the token and nothing else, ready for $(…)", async () => {
    const { status, out, err } = await daicho(["admin", "token", "--config", configFile, "--role", "auditor"]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/^dat1\.\S+\n$/);
    expect((await server.access.authenticate(out.trim()))?.role).toBe("auditor");
  });

  it("admin token says where it had to make the database: the server's own may be another", async () => {
    const elsewhere = join(dir, "elsewhere.db");
    const args = ["admin", "token", "--config", configFile];
    const first = await daicho(args, { DAICHO_DATABASE: `sqlite:${elsewhere}` });
    expect(first.status).toBe(0);
    expect(first.out).toMatch(/^dat1\.\S+\n$/);
    expect(first.err).toContain(`${elsewhere} was not there and was made.`);
    expect((await daicho(args, { DAICHO_DATABASE: `sqlite:${elsewhere}` })).err).toBe("");
  });

  it("enrollment create prints the token and nothing else; as JSON with its id", async () => {
    const { status, out, err } = await call("enrollment", "create", "--uses", "2", "--expires", "1h");
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/^dct1\.[\w-]+\.[0-9a-f]{32}\n$/);
    expect(JSON.parse((await call("enrollment", "create", "--json")).out)).toMatchObject({
      id: expect.any(String) as unknown,
      token: expect.stringMatching(/^dct1\./) as unknown,
    });
  });

  it("a token that may not do it is refused with the server's own words, in one line", async () => {
    const auditor = (await daicho(["admin", "token", "--config", configFile, "--role", "auditor"])).out.trim();
    const args = ["enrollment", "create", "--server", client[1] ?? "", "--token", auditor];
    const { status, out, err } = await daicho(args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(/^daicho: .*\[not-allowed\].*\n$/);
    expect(err).not.toContain(auditor);
  });
});

describe("import", () => {
  it("takes in CSV files, all or nothing, and names line and column of a bad row", async () => {
    const good = file("departments.csv", "code,name,parent,costCentre,manager\nA,本社,,,\nB,営業,A,,\n");
    expect(await call("import", "departments", good)).toMatchObject({ status: 0, err: "" });
    const bad = file("bad.csv", "code,name,parent,costCentre,manager\nC,第三,A,,\nD,第四,NOWHERE,,\n");
    const { status, out, err } = await call("import", "departments", bad);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err.split("\n")[0]).toMatch(new RegExp(`^${bad}:3: parent: .* \\[\\S+\\]$`));
    expect((await server.db.kysely.selectFrom("org_departments").selectAll().execute()).length).toBe(2);
  });

  it("changes nothing on a dry run, and reads Shift_JIS", async () => {
    // 経理 in Shift_JIS.
    const bytes = Buffer.concat([Buffer.from("code,name\nC,"), Buffer.from([0x8c, 0x6f, 0x97, 0x9d, 0x0a])]);
    const path = join(dir, "sjis.csv");
    writeFileSync(path, bytes);
    const dry = await call("import", "departments", path, "--encoding", "shift_jis", "--dry-run");
    expect(dry).toMatchObject({ status: 0, out: expect.stringContaining("dry run") as unknown });
    expect((await server.db.kysely.selectFrom("org_departments").selectAll().execute()).length).toBe(2);
    const real = await call("import", "departments", path, "--encoding", "shift_jis", "--json");
    expect(JSON.parse(real.out)).toMatchObject({ created: 1, dryRun: false });
  });

  it("takes in inventories file by file: stored, older, rejected, each under its name", async () => {
    const folder = join(dir, "scans");
    const first = file("scans/one.json", `\ufeff${inventory("pc-1", ["Writer", "Zoom"])}`);
    const second = file("scans/deep/two.json", inventory("pc-2", ["Writer"]));
    file("scans/not-one.txt", "no inventory");
    const older = file("older.json", inventory("pc-1", [], "2025-01-01T00:00:00Z"));
    const broken = file("broken.json", "{");
    const wrong = file("wrong.json", JSON.stringify({ daicho: "inventory/v1", software: [] }));
    const good = await call("import", "inventory", folder);
    expect(good.status).toBe(0);
    expect(good.out).toContain(`stored    ${second}  pc-2`);
    expect(good.out).toContain(`stored    ${first}  pc-1`);
    const mixed = await call("import", "inventory", older, broken, wrong, second, "--json");
    expect(mixed.status).toBe(1);
    expect(itemsOf(mixed).map(({ file, status }) => [file, status])).toEqual([
      [older, "older"],
      [broken, "rejected"],
      [wrong, "rejected"],
      [second, "stored"],
    ]);
    expect(mixed.err).toContain("1 stored, 1 older than what is held, 2 rejected");
  });

  it("sends any number of files in batches bounded by count", async () => {
    for (let i = 0; i < batchLimits.inventories + 5; i++) file(`many/${i}.json`, inventory(`m-${i}`, []));
    const sizes = [];
    for await (const batch of batchesOf(filesOf([join(dir, "many")]))) sizes.push(batch.lines.length);
    expect(sizes).toEqual([batchLimits.inventories, 5]);
  });
});

describe("report", () => {
  it("explains a licence, named once: in the path", async () => {
    const { status, out, err } = await call("report", "explain", "--license", "@OFFICE");
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("@OFFICE (事務)");
  });

  it("has a header row as CSV even where there is nothing to report", async () => {
    expect((await call("report", "chargeback", "--format", "csv")).out).toMatch(/^period,license,department,/);
    expect((await call("report", "reconcile", "--format", "csv")).out).toMatch(/^law,department,license,/);
  });

  it("prints the API's items as JSON, with the departments in report departments", async () => {
    const position = itemsOf(await call("report", "position", "--json"));
    const office = position.find(({ license }) => license === "@OFFICE");
    expect(office).toMatchObject({ name: "事務", used: 2, overUnder: -2 });
    const departments = itemsOf(await call("report", "departments", "--format", "json"));
    const own = departments.filter(({ license }) => license === "@OFFICE");
    expect(own).toContainEqual(expect.objectContaining({ department: "unassigned", used: 2 }));
  });

  it("prints the same numbers as a table and as CSV", async () => {
    const table = (await call("report", "position")).out;
    expect(table).toMatch(/^license +name +metric +used +held +over\/under/);
    expect(table).toMatch(/@OFFICE +事務 +device +2 +0 +-2/);
    const csv = (await call("report", "position", "--format", "csv")).out;
    const [head = "", ...rows] = csv.trimEnd().split("\r\n");
    const cells = rows.map((row) => row.split(",")).find(([license]) => license === "@OFFICE") ?? [];
    expect(cells[head.split(",").indexOf("used")]).toBe("2");
    expect(cells[head.split(",").indexOf("overUnder")]).toBe("-2");
  });

  it("tells positions of the past, and what changed since, by cause and event by event", async () => {
    const before = itemsOf(await call("report", "position", "--as-of", "2020-01-01", "--json"));
    expect(before).toEqual([]);
    const wrong = await call("report", "position", "--as-of", "2999-01-01");
    expect(wrong).toMatchObject({ status: 1, out: "" });
    expect(wrong.err).toMatch(/asOf: lies in the future.*\[input-invalid\]/);
    const [item] = itemsOf(await call("report", "changes", "--from", "2020-01-01", "--license", "@OFFICE", "--json"));
    expect(item).toMatchObject({ from: { used: 0 }, to: { used: 2 }, unexplained: { used: 0 } });
    const table = (await call("report", "changes", "--from", "2020-01-01", "--license", "@OFFICE")).out;
    expect(table).toMatch(/^license +department +cause +changes +used/);
    expect(table).toMatch(/@OFFICE +\(difference\) +2 /);
    expect(table).toMatch(/@OFFICE +imported +2 +2 /);
    const events = (await call("report", "changes", "--from", "2020-01-01", "--detail", "--format", "csv")).out;
    expect(events.split("\r\n")[0]).toBe("at,cause,measure,by,license,department,device");
  });

  it("follows the pages of a list to its end", async () => {
    await call("import", "inventory", join(dir, "many"));
    const items = itemsOf(await call("report", "devices", "--json", "--where", "limit=20"));
    expect(items.length).toBeGreaterThanOrEqual(batchLimits.inventories + 5);
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length);
    expect(itemsOf(await call("report", "devices", "--json", "--where", "hostname=pc-1"))).toHaveLength(1);
  });

  it("reconcile ends with status 0 where every total is right, and with 1 on any difference", async () => {
    expect(await call("report", "reconcile")).toMatchObject({ status: 0, err: "" });
    await server.db.kysely
      .updateTable("lic_usage" as never)
      .set({ used: 7 } as never)
      .execute();
    const { status, out } = await call("report", "reconcile", "--json");
    expect(status).toBe(1);
    expect((JSON.parse(out) as { differences: unknown[] }).differences.length).toBeGreaterThan(0);
  });
});

describe("doctor", () => {
  it("names what is wrong and ends with status 1, here the totals of the test before", async () => {
    const { status, out } = await call("doctor", "--config", configFile);
    expect(status).toBe(1);
    expect(out).toMatch(/^ok +store +sqlite: sound/m);
    expect(out).toMatch(/^ok +signatures/m);
    expect(out).toMatch(/^WRONG +totals/m);
  });

  it("says of a missing database that it cannot be read", async () => {
    const config = file("gone.yaml", `role: corporate\nname: x\ndatabase: sqlite:${join(dir, "gone.db")}\n`);
    const { status, out } = await daicho(["doctor", "--config", config]);
    expect(status).toBe(1);
    expect(out).toMatch(/^WRONG +store/m);
  });
});
