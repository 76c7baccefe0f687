/**
 * Purpose: several resident agents in one process, real in all but the scan: it finds what is in a file. Spool, reports, sending,
 * channel and dictionary are the product's own.
 *
 *     node made-up-agents.js agents.json      [{ upstream, enrollmentTokenFile, data, heartbeat, inventoryFile, clockAheadMs }]
 */
import { readFile } from "node:fs/promises";
import { createAgent, loadAgentConfig } from "@daicho/agent";
import { createLog, systemClock } from "@daicho/kernel";

const agents = JSON.parse(await readFile(process.argv[2] ?? "", "utf8"));

for (const { inventoryFile, clockAheadMs, ...settings } of agents) {
  const config = loadAgentConfig({ env: {}, flags: settings });
  const agent = createAgent({
    config,
    clock: { ...systemClock, now: () => systemClock.now() + clockAheadMs },
    log: createLog({ role: "agent", data: config.data }),
    scan: async ({ kind, dictionaryFile }) => {
      const dictionary = dictionaryFile === undefined ? 0 : await versionOf(dictionaryFile);
      const rest = { hits: [], probes: [], dictionary, errors: [] };
      return kind === "scan" ? { inventory: JSON.parse(await readFile(inventoryFile, "utf8")), ...rest } : rest;
    },
  });
  await agent.start();
}

/** @param {string} file */
async function versionOf(file) {
  return JSON.parse(JSON.parse(await readFile(file, "utf8")).document.payload).version;
}
