#!/usr/bin/env node
/**
 * `npm run bench -- [ingest] [baseline] [policy] [agent] [org] [money] [--devices N] [--database sqlite:… | postgres://…] [--profile DIR]`
 *
 * Measures on this machine, client and server on the same cores, and prints each figure with what it is held against (docs/benchmarks.md). Ratios
 * within one run count; absolute figures depend on the machine. Nothing here asserts.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { baseline } from "./bench/baseline.js";
import { ingest } from "./bench/ingest.js";
import { million } from "./bench/million.js";
import { money } from "./bench/money.js";
import { org } from "./bench/org.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    devices: { type: "string" },
    titles: { type: "string", default: "700" },
    database: { type: "string" },
    phases: { type: "string", default: "new,same,changed" },
    /** Processor profiles of server and client are written here. */
    profile: { type: "string" },
    /** The store of `million`, kept for another run. */
    keep: { type: "string" },
  },
});
const wanted = positionals.length === 0 ? ["baseline", "ingest", "policy", "agent"] : positionals;
const { database, phases, profile, keep } = values;
const devices = Number(values.devices ?? (wanted.includes("million") ? 1_000_000 : 5000));
const titles = Number(values.titles);

console.log(
  `# ${cpus().length} cores (${cpus()[0]?.model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${new Date().toISOString()}`,
);
const plain = wanted.includes("baseline") ? baseline({ devices: Math.min(devices, 1000), titles }) : undefined;
if (plain !== undefined)
  console.log(
    `baseline  a row per device and title, SQLite: new ${plain.newPerSecond.toFixed(0)}/s, ${plain.bytesPerDevice} bytes a device`,
  );
if (wanted.includes("ingest")) await ingest({ devices, titles, phases, database, plain, profile });
if (wanted.includes("million")) await million({ devices, titles, keep });
if (wanted.includes("policy")) run("packages/policy/bench/policy.js");
if (wanted.includes("org")) await org({ database });
if (wanted.includes("money")) await money({ database });
if (wanted.includes("agent")) run("packages/agent/bench/agent.js");

function run(script) {
  const file = join(here, "..", script);
  if (existsSync(file)) spawnSync(process.execPath, [file], { stdio: "inherit" });
}
