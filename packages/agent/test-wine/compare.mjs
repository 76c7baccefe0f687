// Compares what the live adapter found (under Wine) with what the offline adapter finds in the same registry's text.
import { readFileSync } from "node:fs";
import { registry } from "../dist/collectors/registry/index.js";

const [liveFile, ...exports] = process.argv.slice(2);
const live = JSON.parse(readFileSync(liveFile, "utf8"));
const context = { root: "/", live: true, platform: process.platform, registryFiles: exports, env: {}, clock: { now: () => 0 } };
const offline = await registry.collect(context);
const line = (t) => JSON.stringify([t.name, t.version, t.publisher, t.source, t.arch, t.identifier, t.installedAt, t.size, t.path]);
const left = new Set(live.titles.map(line));
const right = new Set(offline.titles.map(line));
const differences = [
  ...[...left].filter((l) => !right.has(l)).map((l) => `only live:    ${l}`),
  ...[...right].filter((l) => !left.has(l)).map((l) => `only offline: ${l}`),
  ...live.errors.map((e) => `live error:   ${JSON.stringify(e)}`),
  ...offline.errors.map((e) => `offline error: ${JSON.stringify(e)}`),
];
for (const difference of differences) console.log(difference);
console.log(`${live.platform}: ${left.size} titles live in ${live.ms} ms, ${right.size} in the text, ${differences.length} differences`);
process.exitCode = left.size > 0 && differences.length === 0 ? 0 : 1;
