// Runs inside Windows' (or Wine's) node.exe: what the live registry answers, written as JSON to the file named by the first argument.
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { ask } from "./ask.mjs";

const [out] = process.argv.slice(2);
const started = performance.now();
const answer = await ask({
  root: "/",
  live: true,
  platform: process.platform,
  env: process.env,
  clock: { now: () => 0 },
});
writeFileSync(
  out,
  JSON.stringify({ ...answer, platform: process.platform, ms: Math.round(performance.now() - started) }),
);
