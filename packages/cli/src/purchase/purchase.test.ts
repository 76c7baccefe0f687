/** `daicho purchase …` and `daicho report chargeback` against a real server on a socket (contract.md "Command line"). */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "@daicho/kernel";
import { createServer, loadServerConfig, type Server } from "@daicho/server";
import { moneyText } from "../output/money.ts";
import { daicho, type Ran } from "../testing/run.ts";

const dir = mkdtempSync(join(tmpdir(), "daicho-cli-purchase-"));
let server: Server;
let client: readonly string[];
const call = (...args: readonly string[]): Promise<Ran> => daicho([...args, ...client]);

beforeAll(async () => {
  const configFile = join(dir, "server.yaml");
  const database = `sqlite:${join(dir, "d.db")}`;
  const purchase = { pooledLicenses: ["@Z"] };
  writeFileSync(
    configFile,
    JSON.stringify({ role: "both", name: "acme", listen: "127.0.0.1:0", database, data: dir, purchase }),
  );
  server = await createServer({ config: loadServerConfig({ file: configFile, env: {} }), log: silentLog });
  const { url } = await server.start();
  const token = await daicho(["admin", "token", "--config", configFile]);
  client = ["--server", url, "--token", token.out.trim()];
  for (const [kind, text] of [
    ["departments", "code,name,parent,costCentre\nHQ,HQ,,100\nD1,One,HQ,\nD2,Two,HQ,200\n"],
    ["entitlements", "license,quantity,unitPrice,currency,metric\n@A,0,1250,EUR,device\n@Y,1,500,JPY,device\n"],
    ["rights", "department,license,rights\nD1,@Y,1\n"],
  ] as const) {
    const file = join(dir, `${kind}.csv`);
    writeFileSync(file, text);
    expect(await call("import", kind, file)).toMatchObject({ status: 0 });
  }
  const devices = [
    ["d1", "D1", "@A"],
    ["d2", "D2", "@A"],
    ["d3", "D2", "@A"],
    ["d4", "D2", "@Y"],
    ["d5", "D2", "@Z"],
  ] as const;
  const policy = ["daicho: policy/v1", "id: p", "edition: enterprise", "version: 1", "software:"];
  for (const code of ["@A", "@Y", "@Z"])
    policy.push(`  - { code: "${code}", name: ${code.slice(1)}, detect: 'app(name = "${code}")' }`);
  await server.policies.publish("enterprise", policy.join("\n"));
  for (const [id, department, name] of devices) {
    const inventory = {
      daicho: "inventory/v1",
      device: { id, hostname: id },
      software: [{ name, version: "1", source: "msi" }],
      scan: { startedAt: "2026-05-01T00:00:00Z", durationMs: 1, errors: [] },
    };
    const file = join(dir, `${id}.json`);
    writeFileSync(file, JSON.stringify(inventory));
    expect(await call("import", "inventory", file)).toMatchObject({ status: 0 });
    writeFileSync(join(dir, "device.csv"), `id,department\n${id},${department}\n`);
    expect(await call("import", "devices", join(dir, "device.csv"))).toMatchObject({ status: 0 });
  }
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("daicho purchase", () => {
  it("plans, runs once per period, lists, charges, places - and the counts stay true", async () => {
    const plan = await call("purchase", "plan", "--period", "2026-11");
    expect(plan).toMatchObject({ status: 0, err: "" });
    expect(plan.out.split("\n")).toEqual([
      "Plan for 2026-11; nothing was written.",
      "",
      "Bought: 1",
      "order  license  quantity  unit price     amount",
      "       @A              3   12.50 EUR  37.50 EUR",
      "",
      "Charged: 2",
      "license  department  cost centre  rights     amount",
      "@A       D1          100               1  12.50 EUR",
      "@A       D2          200               2  25.00 EUR",
      "",
      "Saved by idle rights: 1",
      "license  quantity",
      "@Y              1",
      "",
      "Lacking, but not bought: 1",
      "license  quantity  reason",
      "@Z              1  bought-by-group",
      "",
      "Rights would change in 4 places; in total 37.50 EUR",
      "",
    ]);
    const ran = await call("purchase", "run", "--period", "2026-11", "--json");
    const run = JSON.parse(ran.out) as { id: string; orders: object[] };
    expect(run.orders).toMatchObject([{ license: "@A", quantity: 3, amount: 3750, currency: "EUR" }]);
    const again = await call("purchase", "run", "--period", "2026-11", "--json");
    expect([again.out, again.err]).toEqual([ran.out, "2026-11 was run already; this is its run\n"]);
    expect((await call("purchase", "list")).out).toMatch(/2026-11 +done +\S+ +1 +37\.50 EUR/);
    const charged = await call("report", "chargeback", "--period", "2026-11");
    expect(charged.out.split("\n")).toEqual([
      "period   license  department  cost centre  rights     amount",
      "2026-11  @A       D1          100               1  12.50 EUR",
      "2026-11  @A       D2          200               2  25.00 EUR",
      "",
    ]);
    expect((await call("report", "chargeback", "--period", "2026-10", "--json")).out).toContain('"items": [');
    expect((await call("report", "chargeback", "--format", "csv")).out.split("\r\n")[1]).toContain(
      ",D1,100,@A,1,1250,EUR",
    );
    expect((await call("purchase", "place", run.id, "--order", "S-1")).out).toContain("2026-11: placed");
    const refused = await call("purchase", "reverse", run.id);
    expect(refused).toMatchObject({ status: 1, out: "", err: expect.stringContaining("[conflict]") });
    expect((await call("purchase", "show", run.id)).status).toBe(0);
    expect((await call("report", "reconcile")).status).toBe(0);
  });
});

describe("daicho purchase group", () => {
  it("prices, plans, orders, takes back, orders again and places - and a licence code of the shell stays what it is", async () => {
    const wrong = await call("purchase", "group", "price", "@Z", "--currency", "JPY", "1=1000", "ten=9");
    expect(wrong).toMatchObject({ status: 2, out: "", err: expect.stringContaining("100=750") });
    const falling = await call("purchase", "group", "price", "@Z", "--currency", "JPY", "1=1000", "10=1001");
    expect(falling).toMatchObject({ status: 1, err: expect.stringContaining("/tiers/1") });
    expect((await call("purchase", "group", "price", "@Z", "--currency", "JPY", "1=1000", "10=900")).out).toBe(
      "license  from  unit price\n@Z          1    1000 JPY\n@Z         10     900 JPY\n",
    );
    expect((await call("purchase", "group", "prices", "--json")).out).toContain('"unitPrice": 900');
    const plan = await call("purchase", "group", "plan", "--period", "2026-11");
    expect(plan.out.split("\n")).toEqual([
      "Plan for 2026-11; nothing was written.",
      "",
      "Ordered: 1",
      "order  license  state    quantity  unit price    amount  saving  supplier's order",
      "       @Z       planned         1    1000 JPY  1000 JPY   0 JPY",
      "",
      "Each company's part: 1",
      "license  company  quantity    amount     alone  saving  booked",
      "@Z       acme            1  1000 JPY  1000 JPY   0 JPY  no",
      "",
      "Lacking, but not ordered: nothing",
      "",
    ]);
    expect((await call("purchase", "group", "run", "--period", "2026-11", "--license", "@Z")).out).toMatch(
      /2026-11\/@Z +@Z +done[^]*acme .*yes/,
    );
    expect((await call("purchase", "group", "reverse", "2026-11/@Z")).out).toMatch(/@Z +reversed[^]*acme .*no/);
    expect((await call("purchase", "group", "run", "--period", "2026-11")).out).toContain("2026-11/2.@Z");
    expect((await call("purchase", "group", "place", "2026-11/2.@Z", "--order", "S-2")).out).toMatch(/placed .*S-2/);
    expect(await call("purchase", "group", "reverse", "2026-11/2.@Z")).toMatchObject({
      status: 1,
      out: "",
      err: expect.stringContaining("[conflict]"),
    });
    expect((await call("purchase", "group", "list")).out.split("\n").map((line) => line.split(/ +/)[0])).toEqual([
      ...["order", "2026-11/@Z", "2026-11/2.@Z", ""],
    ]);
    expect((await call("purchase", "group", "show", "2026-11/2.@Z", "--json")).out).toContain('"booked": true');
    expect((await call("report", "reconcile")).status).toBe(0);
  });
});

describe("money", () => {
  it("is shown in the currency's own digits, never rounded", () => {
    expect(moneyText(1250, "EUR")).toBe("12.50 EUR");
    expect(moneyText(5, "USD")).toBe("0.05 USD");
    expect(moneyText(1250, "JPY")).toBe("1250 JPY");
    expect(moneyText(1250, "KWD")).toBe("1.250 KWD");
    expect(moneyText(Number.MAX_SAFE_INTEGER, "EUR")).toBe("90071992547409.91 EUR");
    expect(moneyText(125_000, "HUF")).toBe("1250.00 HUF");
    expect(moneyText(1250, "IQD")).toBe("1.250 IQD");
    expect(moneyText(12_345, "CLF")).toBe("1.2345 CLF");
    expect(moneyText(-5, "EUR")).toBe("-0.05 EUR");
  });
});
