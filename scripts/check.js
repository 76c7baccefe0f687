#!/usr/bin/env node
/**
 * Every gate, one command: format, types, lint, boundaries (with a file per rule that proves the rule fires), docs drift. `npm test` runs this and
 * then every test; CI runs `npm test`. `npm run check -- --fix` formats and regenerates the reference pages.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";

const fix = process.argv.includes("--fix");
const steps = [
  { name: "types", command: ["npx", "--no-install", "tsc", "-b"] },
  {
    name: "format",
    command: ["npx", "--no-install", "prettier", fix ? "--write" : "--check", "--log-level", "warn", "."],
  },
  { name: "types of tests", command: ["npx", "--no-install", "tsc", "-p", "tsconfig.tests.json"] },
  { name: "lint", command: ["npx", "--no-install", "eslint", "packages", "test", ...(fix ? ["--fix"] : [])] },
  { name: "boundaries", command: ["node", "scripts/boundaries.js"] },
  { name: "docs drift", command: ["node", "scripts/reference.js", ...(fix ? ["--write"] : [])] },
];

/** The build comes first, because others read it. Then: fixes one after the other, checks side by side, as many as there are cores. */
const [build, ...waiting] = steps.filter(({ command }) => command[0] !== "node" || existsSync(command[1]));
let failed = 0;
await run(build);
await Promise.all(
  Array.from({ length: fix ? 1 : availableParallelism() }, async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await run(step);
  }),
);
process.exit(failed === 0 ? 0 : 1);

async function run({ name, command }) {
  const started = performance.now();
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => output.push(part));
  const [status] = await once(child, "close");
  const ok = status === 0;
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (ok) return;
  failed++;
  process.stdout.write(`${Buffer.concat(output).toString("utf8")}\n`);
}
