#!/usr/bin/env node
/**
 * `npm run bench -- [ingest] [baseline] [policy] [agent] [--devices N] [--database sqlite:… | postgres://…]`
 *
 * Measures on this machine, client and server on the same cores, and prints each figure with what it is held against (docs/benchmarks.md). Ratios
 * within one run count; absolute figures depend on the machine. Nothing here asserts.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { baseline } from "./bench/baseline.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    devices: { type: "string", default: "5000" },
    titles: { type: "string", default: "700" },
    database: { type: "string" },
    phases: { type: "string", default: "new,same,changed" },
  },
});
const wanted = positionals.length === 0 ? ["baseline", "ingest", "policy", "agent"] : positionals;
const devices = Number(values.devices);
const titles = Number(values.titles);
const daicho = join(here, "../packages/cli/bin/daicho.js");

console.log(
  `# ${cpus().length} cores (${cpus()[0]?.model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${new Date().toISOString()}`,
);
const plain = wanted.includes("baseline") ? baseline({ devices: Math.min(devices, 1000), titles }) : undefined;
if (plain !== undefined)
  console.log(
    `baseline  a row per device and title, SQLite: new ${plain.newPerSecond.toFixed(0)}/s, ${plain.bytesPerDevice} bytes a device`,
  );
if (wanted.includes("ingest")) await ingest();
if (wanted.includes("policy")) run("packages/policy/bench/policy.js");
if (wanted.includes("agent")) run("packages/agent/bench/agent.js");

async function ingest() {
  const dir = mkdtempSync(join(tmpdir(), "daicho-bench-"));
  const database = values.database ?? `sqlite:${join(dir, "daicho.db")}`;
  const config = join(dir, "server.yaml");
  const port = 20_000 + (process.pid % 20_000);
  writeFileSync(
    config,
    `role: both\nname: bench\nlisten: 127.0.0.1:${port}\ndatabase: ${database}\ndata: ${join(dir, "data")}\n`,
  );
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(process.execPath, [daicho, "server", "--config", config], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DAICHO_LOG_LEVEL: "error" },
  });
  try {
    for (let i = 0; i < 300; i++) {
      if (
        await fetch(`${url}/readyz`).then(
          (r) => r.ok,
          () => false,
        )
      )
        break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const token = daichoText("admin", "token", "--config", config);
    const env = { DAICHO_SERVER: url, DAICHO_TOKEN: token };
    const { readFileSync } = await import("node:fs");
    await fetch(`${url}/api/v1/policies/enterprise`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/yaml" },
      body: readFileSync(join(here, "../examples/enterprise.policy.yaml")),
    });
    const enrollment = daichoText("enrollment", "create", env);
    const before = sizeOf(dir);
    const result = JSON.parse(
      daichoText(
        "simulate",
        "--upstream",
        url,
        "--enrollment-token",
        enrollment,
        "--devices",
        String(devices),
        "--titles",
        String(titles),
        "--phases",
        values.phases,
        "--json",
        env,
      ),
    );
    for (const phase of result.phases) {
      const rate = phase.perSecond ?? phase["per second"];
      const ratio =
        plain !== undefined && phase.phase === "new"
          ? `, ${(rate / plain.newPerSecond).toFixed(1)} x the baseline`
          : "";
      console.log(
        `ingest    ${phase.phase.padEnd(8)} ${Math.round(rate)}/s stored ${phase.stored} errors ${phase.errors} p50 ${phase.p50} p95 ${phase.p95} p99 ${phase.p99} ms${ratio}`,
      );
    }
    const started = performance.now();
    const reconcile = spawnSync(process.execPath, [daicho, "report", "reconcile"], { env: { ...process.env, ...env } });
    console.log(`reconcile ${((performance.now() - started) / 1000).toFixed(1)} s, exit ${reconcile.status}`);
    server.kill("SIGTERM");
    await new Promise((resolve) => server.on("exit", resolve));
    if (database.startsWith("sqlite:"))
      console.log(`store     ${Math.round((sizeOf(dir) - before) / devices)} bytes a device, everything included`);
  } finally {
    server.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  }
}

function daichoText(...args) {
  const extra = typeof args.at(-1) === "object" ? args.pop() : {};
  const result = spawnSync(process.execPath, [daicho, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...extra },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) throw new Error(`daicho ${args[0]}: ${result.stderr}`);
  return result.stdout.trim();
}

function sizeOf(dir) {
  return readdirSync(dir)
    .filter((name) => name.includes(".db"))
    .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

function run(script) {
  const file = join(here, "..", script);
  if (existsSync(file)) spawnSync(process.execPath, [file], { stdio: "inherit" });
}
