/**
 * Purpose: the chain that the tests of this folder work on: group ← acme ← r1 ← (between) ← r2 ← r3, with devices at every relay.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Inventory, Title } from "@daicho/protocol";
import { createBetween, type Between } from "./between.ts";
import { softwareAt } from "./checks.ts";
import { createFleetDevice, linesOf, type FleetDevice } from "./fleet.ts";
import { createSite, type MadeUpAgent, type Node, type ServerNode, type Site } from "./site.ts";
import { until, untilEqual } from "./until.ts";

export interface Chain {
  readonly site: Site;
  readonly group: ServerNode;
  readonly acme: ServerNode;
  readonly relays: readonly [Node, Node, Node];
  /** Between r1 and r2. */
  readonly between: Between;
  readonly fleet: FleetDevice[];
  addDevice(upstream: string, name: string): Promise<FleetDevice>;
  close(): Promise<void>;
}

export async function createChain(options: {
  readonly policy: string;
  /** `database` settings; absent = SQLite beside the node's other files. */
  readonly databases?: { readonly group: string; readonly acme: string };
}): Promise<Chain> {
  const site = createSite();
  const fleet: FleetDevice[] = [];
  let between: Between | undefined;
  const close = async (): Promise<void> => {
    await Promise.all(fleet.map((device) => device.stop()));
    await between?.close();
    await site.close();
  };
  try {
    const { databases } = options;
    const group = await site.server({
      name: "group",
      role: "group",
      ...(databases && { database: databases.group }),
    });
    await group.api.send("PUT", "/api/v1/policies/enterprise", options.policy, "application/yaml");
    const acme = await site.server({
      name: "acme",
      upstream: group,
      ...(databases && { database: databases.acme }),
    });
    const r1 = await site.relay({ name: "r1", upstream: acme.url, company: acme });
    between = await createBetween(r1.url);
    const r2 = await site.relay({ name: "r2", upstream: between.url, company: acme });
    const r3 = await site.relay({ name: "r3", upstream: r2.url, company: acme });
    const token = await acme.enrollmentToken();
    return {
      site,
      group,
      acme,
      relays: [r1, r2, r3],
      between,
      fleet,
      close,
      async addDevice(upstream, name) {
        const device = await createFleetDevice({ upstream, token, name });
        fleet.push(device);
        return device;
      },
    };
  } catch (error) {
    const logs = site.logs();
    await close();
    throw new Error(`the chain did not come up: ${String(error)}\n${logs}`, { cause: error });
  }
}

export async function untilStored(fleet: readonly FleetDevice[], seconds = 120): Promise<void> {
  await until("every report to be answered", () => fleet.every((device) => device.waiting === 0), { seconds });
}

/** Until the server holds exactly this of the device. */
export async function untilHeld(
  server: ServerNode,
  device: string,
  titles: readonly Title[],
  seconds = 120,
): Promise<void> {
  await untilEqual<readonly string[]>(
    `the inventory of ${device} at ${server.process.name} to be what was sent last`,
    linesOf(titles),
    () => softwareAt(server, device),
    { seconds, everyMs: 200 },
  );
}

/** What the agent's next scan finds. */
export function writeInventory({ name, inventoryFile }: MadeUpAgent, titles: readonly Title[]): void {
  const inventory: Inventory = {
    daicho: "inventory/v1",
    device: { hostname: name },
    hardware: { serial: `SN-${name}` },
    software: [...titles],
    scan: { startedAt: new Date().toISOString(), durationMs: 1, errors: [] },
  };
  writeFileSync(`${inventoryFile}.new`, JSON.stringify(inventory));
  renameSync(`${inventoryFile}.new`, inventoryFile);
}

/** What the agent is to find: what is in its file; of the real one, what it found. */
export function titlesOf(agent: MadeUpAgent | { readonly data: string }): readonly Title[] {
  if (!("inventoryFile" in agent)) return factsOf(agent);
  return (JSON.parse(readFileSync(agent.inventoryFile, "utf8")) as Inventory).software;
}

export function idOf(agent: { readonly data: string }): string | undefined {
  const status = JSON.parse(readFileSync(join(agent.data, "status.json"), "utf8")) as {
    device: string;
    enrolled: boolean;
  };
  return status.enrolled ? status.device : undefined;
}

/** What a resident agent found last, as it keeps it. */
export function factsOf(agent: { readonly data: string }): readonly Title[] {
  const facts = JSON.parse(readFileSync(join(agent.data, "facts.json"), "utf8")) as { inventory: Inventory };
  return facts.inventory.software;
}

/** Asks a device to scan until the server holds what its scan finds. */
export async function untilScanned(
  server: ServerNode,
  device: string,
  titles: () => readonly Title[],
  seconds = 120,
): Promise<void> {
  let askedAt = 0;
  await until(
    `the scan of ${device} at ${server.process.name}`,
    async () => {
      if (String(await softwareAt(server, device).catch(() => undefined)) === String(linesOf(titles()))) return true;
      // Whoever is not connected at that moment does not hear it.
      if (performance.now() - askedAt > 3000) {
        askedAt = performance.now();
        await server.api.send("POST", "/api/v1/nodes/scan-now", { devices: [device] });
      }
      return false;
    },
    { seconds, everyMs: 200 },
  );
}

/** Reports that wait in a relay. */
export async function spoolOf(relay: Node): Promise<number> {
  const text = await (await fetch(`${relay.url}/metrics`)).text();
  return Number(/^daicho_relay_spool_records (\d+)$/m.exec(text)?.[1]);
}
