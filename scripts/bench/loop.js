/**
 * For how long a server's event loop is held (aim: never more than 50 ms): a real server with devices, and everything a day can bring, one after the
 * other. `--profile DIR` also names the code (and makes everything slower); `--history N`: closed intervals of a year behind the devices, for questions
 * about the past; `--keep DIR`: the store as it is before the questions (SQLite), kept for another run, which begins with them where it is there already.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { packLicenses } from "../../packages/server/dist/modules/licenses/repository/pack.js";
import { createHeld } from "./held.js";
import { daichoRun, daichoText, simulateArgs, startServer } from "./server.js";
import { openStore } from "./store.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const policy = readFileSync(join(root, "examples/enterprise.policy.yaml"), "utf8");
const sample = JSON.parse(readFileSync(join(root, "examples/inventories/mac.json"), "utf8"));
const departments = 500;
const day = 86_400_000;

export async function loop({ devices, titles, history, profile, database, keep }) {
  const held = createHeld({ profile });
  const { during, nodeArgs } = held;
  const dir = mkdtempSync(join(tmpdir(), "daicho-bench-"));
  const start = () => startServer({ nodeArgs, dir, database });
  let server;
  try {
    if (keep !== undefined && existsSync(join(keep, "daicho.db"))) cpSync(keep, dir, { recursive: true });
    else {
      server = await start();
      server = await fill(during, server, { devices, titles, restart: start });
      await server.stop();
      await pastOf(server.url, history);
      if (keep !== undefined) cpSync(dir, keep, { recursive: true });
    }
    server = await start();
    await during("started, everything there", () => settled(server));
    await questions(during, server);
    await changes(during, server);
    await during("stop", () => server.stop());
    held.explain();
  } finally {
    server?.remove();
    held.remove();
  }
}

async function fill(during, started, { devices, titles, restart }) {
  let server = started;
  const enrollment = daichoText(["enrollment", "create"], server.env);
  const simulate = (phases) => daichoRun(simulateArgs(server, enrollment, { devices, titles, phases }), server.env);
  await during(`${devices} devices enrol and report for the first time`, () => simulate("new"));
  await server.stop();
  // Until it answers nobody waits for it: measured is what it does from then on.
  server = await restart();
  await during("started, devices without a policy", () => settled(server));
  await during("the first publish, until all are derived", () => publishes(server, policy));
  await during("nothing changed at any device", () => simulate("same"));
  await during("5 titles changed at every device", () => simulate("changed"));

  await importsAll(during, server, devices);
  await during("a policy changed, until all are derived", () => publishes(server, changedPolicy()));
  await during("a policy of 3,000 definitions", () => publishes(server, largePolicy()));
  await during("what-if of a policy", () => send(server, "POST", "/api/v1/policies/enterprise/what-if", policy, yaml)); // prettier-ignore
  await during("a policy as before, until all are derived", () => publishes(server, versioned(policy)));
  return server;
}

const yaml = "application/yaml";

async function publishes(server, text) {
  await send(server, "PUT", "/api/v1/policies/enterprise", text, yaml);
  // Devices are derived in slices behind the answer; until that is done reconcile waits for it.
  await setTimeout(500);
  await settled(server);
}

/** Until the server has stopped working by itself. */
async function settled(server) {
  for (let before = -1, now = server.cpu(); now - before > 0.05; before = now, now = server.cpu())
    await setTimeout(500);
}

let version = 1;
const versioned = (text) => text.replace(/^version: .*/m, `version: ${++version}`);
const changedPolicy = () => versioned(policy).replace(/Google Chrome/g, "Chrome of Google");

function largePolicy() {
  const numbers = Array.from({ length: 2500 }, (_, i) => i);
  const software = numbers.map((i) => `  - { code: "@BENCH${i}", name: "Application ${i}", detect: 'app(name ~ "Application ${i}*")' }\n`); // prettier-ignore
  const rules = numbers.slice(0, 700).map((i) => `  - { rule: "@BENCH${i} OR @BENCH${i + 700} = @BOTH${i}" }\n`);
  return versioned(policy).replace(/^licenses:.*\n/m, (line) => `${software.join("")}${line}${rules.join("")}`);
}

async function send(server, method, path, body, type = "application/json", accept = "application/json") {
  const answer = await fetch(`${server.address}${path}`, {
    method,
    headers: { authorization: `Bearer ${server.token}`, accept, ...(body !== undefined && { "content-type": type }) },
    ...(body !== undefined && { body }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
  return text;
}

const employee = (i) => `E${i}`;
const department = (i) => `D${i}`;

async function importsAll(during, server, devices) {
  const people = Array.from({ length: 20_000 }, (_, i) => i);
  const places = Array.from({ length: departments }, (_, i) => i);
  const import_ = async (kind, header, rows) => {
    const csv = [header, ...rows, ""].join("\n");
    for (const how of kind === "entitlements" ? [""] : ["", ", the same again"])
      await during(`import ${kind}, ${rows.length} rows${how}`, () =>
        send(server, "POST", `/api/v1/imports/${kind}`, csv, "text/csv"),
      );
  };
  await import_("departments", "code,name,parent,costCentre", places.map((i) => `${department(i)},Department ${i},${i === 0 ? "" : department(Math.floor((i - 1) / 5))},C${i % 50}`)); // prettier-ignore
  await import_("employees", "id,name,mail,department,title", people.map((i) => `${employee(i)},Employee ${i},e${i}@example.com,${department(i % departments)},Staff`)); // prettier-ignore
  const enrolled = [];
  for (let cursor = ""; enrolled.length < devices;) {
    const page = await server.get(`/api/v1/devices?limit=5000&fields=id${cursor}`);
    enrolled.push(...page.items.map(({ id }) => id));
    if (page.nextCursor === undefined) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  await import_("devices", "id,employee,department", enrolled.map((id, i) => `${id},${employee(i % people.length)},${department(i % departments)}`)); // prettier-ignore
  await import_(
    "devices",
    "id,hostname,serial,employee",
    people.map((i) => `PC${i},pc${i},SN${i},${employee(i)}`),
  );
  const codes = (await server.get("/api/v1/licenses?limit=1000")).items.map(({ code }) => code);
  const license = (i) => codes[i % codes.length];
  await import_("entitlements", "license,metric,quantity,unitPrice,currency,purchasedAt,department", people.map((i) => `${license(i)},${["device", "user"][(i % codes.length) % 2]},${1 + (i % 9)},${100 + i},JPY,2026-01-05,${department(i % departments)}`)); // prettier-ignore
  await import_("rights", "department,license,rights,required", people.map((i) => `${department(i % departments)},${license(Math.floor(i / departments))},${i % 7},${i % 5}`)); // prettier-ignore
  await import_(
    "allocations",
    "license,device",
    people.map((i) => `${license(i % 20)},PC${i}`),
  );

  const software = (n) => Array.from({ length: 5000 }, (_, i) => ({ name: `Tool ${i * 7 + n}`, version: `${i % 9}.${n}`, publisher: `Maker ${i % 90}`, source: "registry" })); // prettier-ignore
  const scan = { startedAt: new Date().toISOString(), durationMs: 1, errors: [] };
  const inventories = Array.from({ length: 20 }, (_, n) => ({
    daicho: "inventory/v1",
    device: { id: `file-${n}`, hostname: `file-${n}` },
    scan,
    hardware: sample.hardware,
    software: software(n),
  }));
  await during("import of 20 inventories of 5,000 titles", () =>
    send(server, "POST", "/api/v1/imports/inventories", JSON.stringify(inventories)),
  );
}

/** A year behind the devices, written straight into the store: what each had, for whom, from when to when. */
async function pastOf(url, intervals) {
  const store = await openStore(url);
  const open = await store.rows("select device, since from lic_repository");
  const ordinals = async (table) => (await store.rows(`select ordinal from ${table}`)).map((row) => row.ordinal);
  const people = await ordinals("org_employees");
  const places = await ordinals("org_departments");
  const licenses = await ordinals("lic_licenses");
  const each = Math.ceil(intervals / open.length);
  const step = Math.floor((330 * day) / each);
  let seed = 7;
  const below = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const rows = open.flatMap(({ device, since }) =>
    Array.from({ length: each }, (_, n) => each - n).map((i) => {
      const from = below(licenses.length);
      const some = Array.from({ length: 20 }, (_, n) => [licenses[(from + n * 3) % licenses.length], 1]);
      const [began, ended] = [Number(since) - i * step - below(step), Number(since) - (i - 1) * step - (i > 1 ? step / 2 : 0)]; // prettier-ignore
      return [device, began, Math.floor(ended), people[below(people.length)], places[below(places.length)], packLicenses([...new Map(some)]), 1, 1]; // prettier-ignore
    }),
  );
  await store.insert("lic_history", ["device", "since", "until", "employee", "department", "licenses", "cause", "closed"], rows); // prettier-ignore
  await store.rows(`update org_departments set created_at = created_at - ${400 * day} returning ordinal`);
  await store.close();
}

async function questions(during, server) {
  const ask = (name, path, accept) => during(name, () => send(server, "GET", path, undefined, undefined, accept));
  const past = (days) => new Date(Date.now() - days * day).toISOString();
  const [code] = (await server.get("/api/v1/positions")).items.sort((a, b) => b.used - a.used).map((i) => i.license);
  await ask("the company's position", "/api/v1/positions");
  await ask("every department's position", "/api/v1/positions/departments");
  await ask("the company's position half a year ago", `/api/v1/positions?asOf=${past(180)}`);
  await ask("every department's position a month ago", `/api/v1/positions/departments?asOf=${past(30)}`);
  const between = `/api/v1/positions/changes?from=${past(320)}&to=${past(10)}`;
  await ask("differences over ten months", between);
  await ask("the same, department by department", `${between}&by=department`);
  await ask("the same, of a subtree", `${between}&department=D1&rollup=true`);
  await ask("the same, a page of the single events", `${between}&detail=true&limit=1000`);
  await ask("differences of two days in a row", `/api/v1/positions/changes?from=${past(101)}&to=${past(100)}`);
  await ask("why a number is so", `/api/v1/positions/${encodeURIComponent(code)}/explain?limit=1000`);
  await ask("reconcile", "/api/v1/reconcile");
  await ask("a page of 10,000 devices", "/api/v1/devices?limit=10000");
  await ask("a page of 10,000 devices as CSV", "/api/v1/devices?limit=10000", "text/csv");
  await ask("who has a title", "/api/v1/devices?software=Google%20Chrome&limit=10000&fields=id");
  await ask("software", "/api/v1/software?limit=10000");
  await ask("titles that no definition recognises", "/api/v1/software/unrecognized?limit=10000");
  await ask("employees", "/api/v1/employees?limit=10000");
  await ask("entitlements", "/api/v1/entitlements?limit=10000");
  await ask("allocations", "/api/v1/allocations?limit=10000");
  await ask("SCIM: users", "/scim/v2/Users?count=1000");
  await ask("SCIM: groups with their members", "/scim/v2/Groups?count=1000");
  await ask("distribution of the policy", "/api/v1/policies/distribution?limit=10000");
  await ask("licences that can be selected", "/api/v1/policies/selection");
  await ask("OpenAPI", "/api/openapi.json");
  await ask("the documentation's page", "/api/docs/");
  await ask("the page", "/");
}

async function changes(during, server) {
  const post = (name, path, body) => during(name, () => send(server, "POST", path, JSON.stringify(body)));
  await post("purchase plan", "/api/v1/purchase-runs", { dryRun: true });
  await post("purchase run", "/api/v1/purchase-runs", { period: "bench" });
  const employees = Array.from({ length: 10_000 }, (_, i) => employee(i));
  await post("10,000 people move", "/api/v1/org-changes", {
    changes: [{ type: "move", employees, to: department(7) }],
  });
  await post("50 departments become one", "/api/v1/org-changes", {
    changes: [{ type: "merge", departments: Array.from({ length: 50 }, (_, i) => department(400 + i)), to: department(8) }],
  }); // prettier-ignore
}
