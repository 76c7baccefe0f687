#!/usr/bin/env node
/**
 * The import rules of .dependency-cruiser.cjs over the packages, and over one deliberately violating file per kind of rule
 * (scripts/violations): a rule that does not fire there is broken.
 */
import { spawnSync } from "node:child_process";

const cruise = (...args) =>
  spawnSync("npx", ["--no-install", "depcruise", "--config", ".dependency-cruiser.cjs", ...args], { encoding: "utf8" });

const clean = cruise("packages");
if (clean.status !== 0) {
  process.stdout.write(clean.stdout + clean.stderr);
  process.exit(1);
}

const expected = [
  "policy-imports-only-protocol",
  "packages-only-through-their-index",
  "pure-packages-do-no-io",
  "kysely-in-stores-only",
  "no-cycles",
  "no-test-code-in-products",
];
const dirty = cruise("--output-type", "json", "scripts/violations");
let fired;
try {
  fired = new Set(JSON.parse(dirty.stdout).summary.violations.map((violation) => violation.rule.name));
} catch {
  process.stdout.write(dirty.stdout + dirty.stderr);
  process.exit(1);
}
const silent = expected.filter((name) => !fired.has(name));
if (silent.length > 0) {
  console.error(`these rules did not fire on their violating file: ${silent.join(", ")}`);
  process.exit(1);
}
