// Runs inside Windows' (or Wine's) node.exe: the titles of the live registry, written as JSON to the file named by the first argument.
import { writeFileSync } from "node:fs";
import { registry } from "../dist/collectors/registry/index.js";

const [out] = process.argv.slice(2);
const context = { root: "/", live: true, platform: process.platform, env: process.env, clock: { now: () => 0 } };
const started = performance.now();
const { titles, errors } = await registry.collect(context);
writeFileSync(out, JSON.stringify({ platform: process.platform, ms: Math.round(performance.now() - started), titles, errors }));
