/**
 * Resident agents, all in one process: the product's own from the channel to the spool on disk. What makes them light: their scans are done here instead
 * of in processes of their own, the titles are made up, and the search for files is made once for all, as if their disks were the same.
 *
 *     node residents.js '{"agents": 1000, "dir": …, "upstream": …, "token": …, "title": "…"}'      answers what it is asked over IPC
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAgent, loadAgentConfig, scanHere } from "../../packages/agent/dist/index.js";
import { createFleet } from "../../packages/cli/dist/simulate/fleet.js";
import { silentLog, systemClock } from "../../packages/kernel/dist/index.js";
import { titleFromText } from "../../packages/protocol/dist/index.js";

const { agents: count, dir, upstream, token, title, file } = JSON.parse(process.argv[2]);
const fleet = createFleet({ seed: "residents", titles: 100 });
const root = join(dir, "root");
mkdirSync(root, { recursive: true });
writeFileSync(join(root, file), "");
const searches = new Map();

/** One search of the disk for each dictionary, whoever asks first. */
function search(request) {
  const key = request.dictionaryFile === undefined ? "" : request.dictionaryVersion;
  if (!searches.has(key)) searches.set(key, scanHere({ ...request, kind: "probes", known: [] }));
  return searches.get(key);
}

const agents = Array.from({ length: count }, (_, device) => {
  const config = loadAgentConfig({
    env: {},
    flags: {
      upstream: [upstream],
      enrollmentToken: token,
      data: join(dir, `agent-${device}`),
      heartbeat: "1h",
      scan: { roots: [root], every: "6h", splay: "0s" },
    },
  });
  const { hostname, ...evidence } = fleet.evidence(device);
  const software = [...fleet.titlesOf(device, 0)].map((rank) => titleFromText(fleet.textOf(rank)));
  software.push({ name: title, version: "1.0", source: "dpkg" });
  const agent = createAgent({
    config,
    clock: systemClock,
    log: silentLog,
    async scan(request) {
      const dictionaryVersion = agent.status()?.dictionary ?? 0;
      const found = await search({ ...request, dictionaryVersion });
      if (request.kind === "probes") {
        const known = new Set(request.known);
        return { ...found, hits: found.hits.filter(({ probe }) => !known.has(probe)) };
      }
      const scan = { startedAt: new Date().toISOString(), durationMs: 1, errors: [] };
      const hardware = { serial: evidence.serial, uuid: evidence.uuid };
      return { ...found, inventory: { daicho: "inventory/v1", device: { hostname }, hardware, software, scan } };
    },
  });
  return agent;
});

const commands = {
  async start() {
    for (let at = 0; at < count; at += 50) await Promise.all(agents.slice(at, at + 50).map((agent) => agent.start()));
  },
  status(version) {
    const all = agents.map((agent) => agent.status());
    return {
      connected: all.filter((status) => status?.connected).length,
      settled: all.filter((status) => status?.lastStoredAt !== undefined && status.spool.records === 0).length,
      holding: all.filter((status) => (status?.dictionary ?? 0) >= version).length,
      troubles: all.filter((status) => status?.lastError !== undefined).map((status) => status.lastError.code),
    };
  },
};
process.on("message", ({ name, args }) => {
  Promise.resolve(commands[name](args)).then((value) => process.send({ value: value ?? null }));
});
process.on("disconnect", () => process.exit());
