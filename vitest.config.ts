import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Workspace packages resolve to their sources, so a test never runs against a stale build.
const alias = Object.fromEntries(
  readdirSync(new URL("./packages", import.meta.url)).map((name) => [
    `@daicho/${name}`,
    fileURLToPath(new URL(`./packages/${name}/src/index.ts`, import.meta.url)),
  ]),
);

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["packages/*/src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts"],
    globalSetup: "packages/server/src/testing/setup.ts",
    // Against what hangs, not against a slow machine.
    testTimeout: 180_000,
    hookTimeout: 600_000,
    pool: "forks",
    // Three even where there are two cores: much of a test is waiting for processes and for the database.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    reporters: ["default", "./scripts/vitest-summary.js"],
  },
});
