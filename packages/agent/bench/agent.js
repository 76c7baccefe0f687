/**
 * Purpose: measures what the agent costs the machine it runs on: a scan as a process held against starting Node at all, the file walk
 * held against `find`, the polite walk's share of a core. One line per figure; ratios within this run count.
 * Run after a build: `node packages/agent/bench/agent.js [--root DIR] [--rounds N]`. Linux only (peaks are read from /proc).
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compileDictionary } from "@daicho/policy";
import { evaluateFileProbes, politeShare } from "../dist/walk/index.js";

const { values } = parseArgs({
  options: { root: { type: "string", default: "/" }, rounds: { type: "string", default: "5" } },
});
const rounds = Number(values.rounds);
const daicho = fileURLToPath(new URL("../../cli/bin/daicho.js", import.meta.url));
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/** One process: wall seconds and peak of resident memory. A loop of its own asks for the peak, so the child is not changed by it. */
async function processOf(args) {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  let peak = 0;
  const look = setInterval(() => {
    try {
      const text = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? 0));
    } catch {}
  }, 2);
  const status = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(look);
  if (status !== 0) throw new Error(`${args.join(" ")}: status ${status}`);
  return { seconds: (performance.now() - started) / 1000, megabytes: peak / 1024 };
}

async function medianOf(args) {
  const runs = [];
  for (let i = 0; i < rounds; i++) runs.push(await processOf(args));
  return { seconds: median(runs.map((run) => run.seconds)), megabytes: median(runs.map((run) => run.megabytes)) };
}

const say = (name, text) => console.log(`agent     ${name.padEnd(12)} ${text}`);

const bare = await medianOf(["-e", "setTimeout(() => undefined, 20)"]);
const scan = await medianOf([daicho, "agent", "scan"]);
const titles = JSON.parse(execFileSync(process.execPath, [daicho, "agent", "scan"], { maxBuffer: 256 * 1024 * 1024 }))
  .software.length;
say(
  "scan",
  `${titles} titles and hardware in ${scan.seconds.toFixed(2)} s, ${scan.megabytes.toFixed(0)} MiB (aim 0.4 s, 65 MB); ` +
    `${(scan.seconds / bare.seconds).toFixed(1)} x an empty Node (${bare.seconds.toFixed(2)} s, ${bare.megabytes.toFixed(0)} MiB)`,
);

const definitions = Array.from({ length: 2000 }, (_, i) => ({
  code: `@P${i}`,
  name: "p",
  detect: `file(name = "product-${i}.exe", size > 100)`,
}));
const { probes } = compileDictionary([...definitions, { code: "@L", name: "l", detect: 'file(name ~ "libssl*.so*")' }]);
const query = { probes, root: values.root, live: values.root === "/" };

const ratios = [];
let last;
for (let i = 0; i < rounds; i++) {
  let since = performance.now();
  try {
    execFileSync("find", [values.root, "-xdev", "-name", "no-file-of-this-name"], { stdio: "ignore" });
  } catch {
    // places it may not read, or that went away meanwhile
  }
  const find = performance.now() - since;
  since = performance.now();
  last = await evaluateFileProbes(query);
  const walk = performance.now() - since;
  ratios.push({ find, walk, ratio: walk / find });
}
const typical = ratios.toSorted((a, b) => a.ratio - b.ratio)[rounds >> 1];
say(
  "files",
  `${last.files} files for ${probes.length} conditions in ${(typical.walk / 1000).toFixed(2)} s, find ${(typical.find / 1000).toFixed(2)} s: ` +
    `${typical.ratio.toFixed(2)} x find (aim 1.2)`,
);

const before = process.cpuUsage();
const since = performance.now();
await evaluateFileProbes({ ...query, share: politeShare });
const wall = performance.now() - since;
const used = process.cpuUsage(before);
say(
  "polite",
  `the same search takes ${(wall / 1000).toFixed(1)} s and ${((100 * (used.user + used.system)) / 1000 / wall).toFixed(1)} % of one core (aim 5 %)`,
);
