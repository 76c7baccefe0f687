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
/** A rate of the load is told after so many. */
const stepDevices = 100_000;
/** Requests before those that are measured: what they run has then been compiled. */
const warmUp = 200;

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
  let madeMs = 0;
  /** What making reports and rows of the ledger takes is the client's. */
  const making = (work) => {
    const began = performance.now();
    try {
      return work();
    } finally {
      madeMs += performance.now() - began;
    }
  };
  const send = async (list) => {
    const results = await server.intake.submit(list.map((report) => report.envelope));
    const again = [];
    for (const [i, { status, code }] of results.entries()) {
      if (status === "stored") {
        stored++;
        reports.settled(list[i]);
      } else if (status === "need-full") again.push(making(() => reports.full(list[i].device, "all")));
      else throw new Error(`${status} ${code}`);
    }
    if (again.length > 0) await send(again);
  };

  const since = { at: performance.now(), cpu: cpuMs(), made: 0, stored: 0 };
  const told = (name, from) => {
    const n = stored - from.stored;
    const rate = Math.round((n / (performance.now() - from.at)) * 1000);
    const each = (ms) => (ms / n).toFixed(3);
    console.log(
      `${name.padEnd(9)} ${stored} devices: ${rate}/s over ${n}; processor ms each ${each(cpuMs() - from.cpu)}, of that ${each(madeMs - from.made)} to make them; ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB client and server together`,
    );
  };
  const step = { ...since };
  const waiting = [];
  for (let from = 0; from < devices; from += 100) {
    if (from % 5000 === 0) await enroll(from, Math.min(from + 5000, devices));
    const list = [];
    making(() => {
      for (let n = from; n < Math.min(from + 100, devices); n++) list.push(reports.full(n, "unknown"));
    });
    waiting.push(send(list));
    if (waiting.length >= 3) await waiting.shift();
    if (stored - step.stored < stepDevices) continue;
    told("loading", step);
    Object.assign(step, { at: performance.now(), cpu: cpuMs(), made: madeMs, stored });
  }
  await Promise.all(waiting);
  told("loaded", since);
  await server.stop();
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function measure(file, devices) {
  const server = await startServer({ database: `sqlite:${file}` });
  /** For how long the server's event loop was held since this was asked last, ms. */
  const held = async () => {
    const text = await (await fetch(`${server.address}/metrics`)).text();
    const of = (name) => Number(new RegExp(`^daicho_event_loop_held_seconds{of="${name}"} (.*)$`, "m").exec(text)?.[1]);
    return `event loop held ${(of("max") * 1000).toFixed(0)} ms at most, ${(of("p99") * 1000).toFixed(1)} p99`;
  };
  const asking = async (name, times, path) => {
    for (let i = 0; i < warmUp; i++) await server.get(path(i));
    await held();
    const cpu = server.cpu();
    const took = [];
    for (let i = 0; i < times; i++) {
      const started = performance.now();
      await server.get(path(i));
      took.push(performance.now() - started);
    }
    took.sort((a, b) => a - b);
    const at = (p) => (took[Math.min(took.length - 1, Math.floor(took.length * p))] ?? 0).toFixed(1);
    const each = (((server.cpu() - cpu) * 1000) / times).toFixed(1);
    console.log(
      `${name.padEnd(38)} p50 ${at(0.5)} p95 ${at(0.95)} worst ${at(1)} ms; processor ms each ${each}; ${await held()}`,
    );
  };
  const once = async (name, work) => {
    await held();
    const started = performance.now();
    const cpu = server.cpu();
    const said = await work();
    const seconds = (performance.now() - started) / 1000;
    console.log(
      `${name.padEnd(9)} ${seconds.toFixed(1)} s, processor ${(server.cpu() - cpu).toFixed(1)} s: ${said}; ${await held()}; ${memory()}`,
    );
  };
  const memory = () => `memory until then ${Math.round(server.peak() / 2 ** 20)} MiB at most`;
  try {
    console.log(
      `started   in ${server.startSeconds.toFixed(1)} s, processor ${server.cpu().toFixed(1)} s; ${memory()}`,
    );
    const name = encodeURIComponent(rootName);
    await asking("a department's position", 500, (i) => `/api/v1/departments/D${(i * 7) % departments}/positions`);
    await asking("the same with everything below", 300, (i) => `/api/v1/departments/D${i % 30}/positions?rollup=true`);
    await asking(
      `who has "${rootName}", first page`,
      300,
      () => `/api/v1/devices?software=${name}&limit=100&fields=id`,
    );
    await asking("the same, how many of each version", 300, () => `/api/v1/software?name=${name}`);
    await once("what-if", async () => {
      const answer = await fetch(`${server.address}/api/v1/policies/enterprise/what-if`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": "application/yaml" },
        body: policy.replace(/name = "Google Chrome"/g, 'name = "Google Chromium"'),
      });
      const { devices: asked, changed, title } = await answer.json();
      if (!answer.ok) throw new Error(`what-if: ${answer.status} ${title}`);
      return `${asked} devices, ${changed} change`;
    });
    await once("reconcile", async () => {
      await daichoRun(["report", "reconcile"], server.env);
      return "clean";
    });
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
