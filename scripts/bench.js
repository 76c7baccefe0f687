#!/usr/bin/env node
/**
 * `npm run bench -- [ingest] [baseline] [policy] [agent] [org] [money] [loop] [--devices N] [--database sqlite:… | postgres://…] [--profile DIR]`
 * `npm run bench -- ocs [--url http://127.0.0.1/ocsinventory] [--devices 2000] [--ocs-devices 100] [--senders 1,8]`: OCS Inventory beside it; says what to install
 * `npm run bench -- [rush --devices 20000] [publish --devices 1000] [relay --devices 10000]`: nodes in a chain and as many agents
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
import { loop } from "./bench/loop.js";
import { million } from "./bench/million.js";
import { money } from "./bench/money.js";
import { ocs } from "./bench/ocs.js";
import { org } from "./bench/org.js";
import { servers } from "./bench/servers.js";
import { publish } from "./bench/publish.js";
import { relay } from "./bench/relay.js";
import { rush } from "./bench/rush.js";

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
    /** How many servers `servers` measures, one after the other. */
    servers: { type: "string", default: "1,2,3" },
    /** The store of `million`, or of `loop` before its questions, kept for another run. */
    keep: { type: "string" },
    /** Closed intervals of the past that `loop` puts behind the devices; 20 each unless told otherwise. */
    history: { type: "string" },
    /** Where OCS Inventory's server is, and how many send to it at once: once for each. */
    url: { type: "string", default: "http://127.0.0.1/ocsinventory" },
    "ocs-devices": { type: "string", default: "100" },
    senders: { type: "string", default: "1,8" },
  },
});
const wanted = positionals.length === 0 ? ["baseline", "ingest", "policy", "agent"] : positionals;
const { database, phases, profile, keep } = values;
const devices = Number(
  values.devices ?? (wanted.includes("million") ? 1_000_000 : wanted.includes("ocs") ? 2000 : 5000),
);
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
if (wanted.includes("servers"))
  await servers({ devices, titles, phases, database, counts: values.servers.split(",").map(Number) });
if (wanted.includes("million")) await million({ devices, titles, keep });
if (wanted.includes("policy")) run("packages/policy/bench/policy.js");
if (wanted.includes("org")) await org({ database });
if (wanted.includes("money")) await money({ database });
if (wanted.includes("ocs"))
  await ocs({
    url: values.url,
    devices,
    ocsDevices: Number(values["ocs-devices"]),
    titles,
    senders: values.senders.split(",").map(Number),
  });
if (wanted.includes("rush")) await rush({ devices: Number(values.devices ?? 20_000), titles });
if (wanted.includes("publish")) await publish({ devices: Number(values.devices ?? 1000) });
if (wanted.includes("relay")) await relay({ devices: Number(values.devices ?? 10_000) });
if (wanted.includes("loop"))
  await loop({ devices, titles, history: Number(values.history ?? devices * 20), profile, database, keep });
if (wanted.includes("agent")) run("packages/agent/bench/agent.js");

function run(script) {
  const file = join(here, "..", script);
  if (existsSync(file)) spawnSync(process.execPath, [file], { stdio: "inherit" });
}
