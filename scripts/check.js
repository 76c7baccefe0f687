#!/usr/bin/env node
/**
 * Every gate, one command: format, types, lint, boundaries (with a file per rule that proves the rule fires), docs drift. `npm test` runs this and
 * then every test; CI runs `npm test`. `npm run check -- --fix` formats and regenerates the reference pages.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const fix = process.argv.includes("--fix");
const steps = [
  {
    name: "format",
    command: ["npx", "--no-install", "prettier", fix ? "--write" : "--check", "--log-level", "warn", "."],
  },
  { name: "types", command: ["npx", "--no-install", "tsc", "-b"] },
  { name: "types of tests", command: ["npx", "--no-install", "tsc", "-p", "tsconfig.tests.json"] },
  { name: "lint", command: ["npx", "--no-install", "eslint", "packages", "test", ...(fix ? ["--fix"] : [])] },
  { name: "boundaries", command: ["node", "scripts/boundaries.js"] },
  { name: "docs drift", command: ["node", "scripts/reference.js", ...(fix ? ["--write"] : [])] },
];

let failed = 0;
for (const { name, command } of steps) {
  if (command[0] === "node" && !existsSync(command[1])) continue;
  const started = performance.now();
  const result = spawnSync(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  const ok = result.status === 0;
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (!ok) {
    failed++;
    process.stdout.write(`${result.stdout}${result.stderr}\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
