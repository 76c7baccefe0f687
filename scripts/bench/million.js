/**
 * A million devices on one machine (`--devices N` for fewer): loads them, then asks a server that runs by itself. Loading goes through the server's own
 * intake with really signed reports; only ledger rows and keys are written directly, because enrolment is measured by `ingest`.
 * `--keep FILE` keeps the store, and uses it where it is there already.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { daichoRun, startServer } from "./server.js";
import { storeBytes } from "./store.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const load = (path) => import(pathToFileURL(join(root, "packages", path)).href);
const policy = readFileSync(join(root, "examples/enterprise.policy.yaml"), "utf8");
const departments = 500;
const rootName = "Google Chrome";

export async function million({ devices, titles, keep }) {
  const dir = mkdtempSync(join(tmpdir(), "daicho-million-"));
  const file = keep ?? join(dir, "daicho.db");
  try {
    if (!existsSync(file)) await fill(file, devices, titles);
    await measure(file, devices);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function fill(file, devices, titles) {
  const { createServer, loadServerConfig } = await load("server/dist/index.js");
  const { createFleet } = await load("cli/dist/simulate/fleet.js");
  const { createIdentities } = await load("cli/dist/simulate/identities.js");
  const { createReports } = await load("cli/dist/simulate/reports.js");
  const { createKnownTitles } = await load("cli/dist/simulate/titles.js");
  const { packEvidence, packText } = await load("server/dist/modules/inventory/compact.js");
  const config = loadServerConfig({
    env: {},
    flags: { role: "both", name: "bench", listen: "127.0.0.1:0", database: `sqlite:${file}`, data: `${file}.data` },
  });
  const error = (event, details) => console.error(event, details);
  const server = await createServer({ config, log: { debug() {}, info() {}, warn() {}, error } });
  await server.app.ready();
  await server.policies.publish("enterprise", policy);
  await server.derivation.refresh();
  const { token } = await server.access.createApiToken({ name: "bench", role: "admin" });
  for (let i = 0; i < departments; i++) {
    const made = await server.app.inject({
      method: "POST",
      url: "/api/v1/departments",
      headers: { authorization: `Bearer ${token}` },
      payload: { code: `D${i}`, name: `D${i}`, ...(i > 0 && { parent: `D${Math.floor((i - 1) / 5)}` }) },
    });
    if (made.statusCode >= 300) throw new Error(`department: ${made.body}`);
  }
  const { db } = server;
  const rows = await db.kysely.selectFrom("org_departments").select("ordinal").execute();
  const fleet = createFleet({ seed: "million", titles });
  const identities = createIdentities("million");
  const known = createKnownTitles(fleet, 15_000);
  const reports = createReports({ fleet, identities, known, devices, epoch: Date.now(), now: Date.now });

  const insert = (trx, table, types, list) =>
    db.bulk.insert(trx, { table, columns: Object.entries(types).map(([name, type]) => ({ name, type })) }, list);
  const enroll = (from, to) =>
    db.transaction(async (trx) => {
      const now = Date.now();
      const keys = Array.from({ length: to - from }, (_, i) => identities.signer(from + i));
      await insert(
        trx,
        "dev_devices",
        { id: "text", hostname: "text", serial: "text", department: "integer", state: "text", origin: "text", created_at: "integer" }, // prettier-ignore
        keys.map(({ keyId }, i) => {
          const { hostname, serial } = fleet.evidence(from + i);
          return [keyId, hostname, serial, rows[(from + i) % rows.length].ordinal, "in-use", "enrollment", now];
        }),
      );
      await insert(
        trx,
        "inv_identities",
        { id: "blob", public_key: "blob", device: "integer", evidence: "blob", enrolled_at: "integer", token: "text" },
        keys.map(({ keyId, publicKey }, i) => {
          const evidence = packEvidence(JSON.stringify(fleet.evidence(from + i)));
          return [packText(keyId), Buffer.from(publicKey, "base64url"), from + i + 1, evidence, now, "01bench00000000000000bench"]; // prettier-ignore
        }),
      );
    });
  let stored = 0;
  const send = async (list) => {
    const results = await server.intake.submit(list.map((report) => report.envelope));
    const again = [];
    for (const [i, { status, code }] of results.entries()) {
      if (status === "stored") {
        stored++;
        reports.settled(list[i]);
      } else if (status === "need-full") again.push(reports.full(list[i].device, "all"));
      else throw new Error(`${status} ${code}`);
    }
    if (again.length > 0) await send(again);
  };

  const started = performance.now();
  const cpu = process.cpuUsage();
  const waiting = [];
  for (let from = 0; from < devices; from += 100) {
    if (from % 5000 === 0) await enroll(from, Math.min(from + 5000, devices));
    const list = [];
    for (let n = from; n < Math.min(from + 100, devices); n++) list.push(reports.full(n, "unknown"));
    waiting.push(send(list));
    if (waiting.length >= 3) await waiting.shift();
    if (from % 50_000 === 49_900)
      console.log(
        `loading   ${stored} devices, ${Math.round((stored / (performance.now() - started)) * 1000)}/s, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB client and server together`,
      );
  }
  await Promise.all(waiting);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `loaded    ${stored} devices in ${seconds.toFixed(1)} s, ${Math.round(stored / seconds)}/s; processor ms each, client and server: ${((user + system) / 1000 / stored).toFixed(3)}`,
  );
  await server.stop();
}

async function measure(file, devices) {
  const server = await startServer({ database: `sqlite:${file}` });
  const took = (name, times) => {
    const sorted = [...times].sort((a, b) => a - b);
    const at = (p) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0).toFixed(1);
    console.log(`${name.padEnd(38)} p50 ${at(0.5)} p95 ${at(0.95)} worst ${at(1)} ms`);
  };
  const timed = async (n, path) => {
    const times = [];
    for (let i = 0; i < n; i++) {
      const started = performance.now();
      await server.get(path(i));
      times.push(performance.now() - started);
    }
    return times;
  };
  try {
    console.log(`started   in ${server.startSeconds.toFixed(1)} s`);
    const name = encodeURIComponent(rootName);
    await server.get("/api/v1/positions");
    took("a department's position", await timed(300, (i) => `/api/v1/departments/D${(i * 7) % departments}/positions`));
    took("the same with everything below", await timed(100, (i) => `/api/v1/departments/D${i % 30}/positions?rollup=true`)); // prettier-ignore
    took(`who has "${rootName}", first page`, await timed(100, () => `/api/v1/devices?software=${name}&limit=100&fields=id`)); // prettier-ignore
    took("the same, how many of each version", await timed(100, () => `/api/v1/software?name=${name}`));
    const started = performance.now();
    const answer = await fetch(`${server.address}/api/v1/policies/enterprise/what-if`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/yaml" },
      body: policy.replace(/name = "Google Chrome"/g, 'name = "Google Chromium"'),
    });
    const { devices: asked, changed, title } = await answer.json();
    if (!answer.ok) throw new Error(`what-if: ${answer.status} ${title}`);
    console.log(
      `what-if   ${((performance.now() - started) / 1000).toFixed(1)} s: ${asked} devices, ${changed} change`,
    );
    const again = performance.now();
    await daichoRun(["report", "reconcile"], server.env);
    console.log(`reconcile ${((performance.now() - again) / 1000).toFixed(1)} s, clean`);
    console.log(`memory    ${Math.round(server.peak() / 2 ** 20)} MiB at most`);
    await server.stop();
    const bytes = await storeBytes(server.url);
    const all = bytes.reduce((sum, [, n]) => sum + n, 0);
    console.log(`store     ${Math.round(all / devices)} bytes a device`);
    for (const [table, n] of bytes)
      if (n / devices >= 5) console.log(`          ${String(Math.round(n / devices)).padStart(6)} ${table}`);
  } finally {
    server.remove();
  }
}
