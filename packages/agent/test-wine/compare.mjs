// Compares what the live adapter answered (under Wine) with what the offline adapter answers from the same registry's text.
import console from "node:console";
import { readFileSync } from "node:fs";
import process from "node:process";
import { ask } from "./ask.mjs";

const [liveFile, ...registryFiles] = process.argv.slice(2);
const live = JSON.parse(readFileSync(liveFile, "utf8"));
const text = await ask({ root: "/", live: true, platform: "linux", registryFiles, env: {}, clock: { now: () => 0 } });

const titleLine = (t) =>
  JSON.stringify([t.name, t.version, t.publisher, t.source, t.arch, t.identifier, t.installedAt, t.size, t.path]);
// Live and exported registries spell SOFTWARE and the user's hive differently.
const hitLine = (h) => JSON.stringify([h.probe, h.found.value, h.found.data]);
const lines = (answer) => new Set([...answer.titles.map(titleLine), ...answer.hits.map(hitLine)]);
const [left, right] = [lines(live), lines(text)];
const differences = [
  ...[...left].filter((l) => !right.has(l)).map((l) => `only live:     ${l}`),
  ...[...right].filter((l) => !left.has(l)).map((l) => `only in text:  ${l}`),
  ...live.errors.map((e) => `live error:    ${JSON.stringify(e)}`),
  ...text.errors.map((e) => `error in text: ${JSON.stringify(e)}`),
];
for (const difference of differences) console.log(difference);
console.log(
  `${live.platform}: live ${live.titles.length} titles and ${live.hits.length} hits in ${live.ms} ms, ` +
    `in the text ${text.titles.length} and ${text.hits.length}; ${differences.length} differences`,
);
process.exitCode = live.titles.length > 0 && live.hits.length === 5 && differences.length === 0 ? 0 : 1;
