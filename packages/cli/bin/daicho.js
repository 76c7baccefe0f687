#!/usr/bin/env node
// The `daicho` command. Its sources are TypeScript; what runs is what `npm run build` made of them.
import { existsSync } from "node:fs";

if (existsSync(new URL("../dist/main.js", import.meta.url))) {
  const { beFrugal } = await import("../dist/agent/frugal.js");
  beFrugal(process.argv.slice(2));
  const { main } = await import("../dist/main.js");
  await main();
} else {
  process.stderr.write(
    "daicho: packages/cli/dist is missing: it has not been built. Run `npm run build` in the checkout.\n",
  );
  process.exitCode = 1;
}
