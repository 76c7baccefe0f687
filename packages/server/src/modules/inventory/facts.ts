/**
 * Purpose: one device as it is known: titles as found with their facts, hardware, codes with evidence, licences - put together from what is
 * stored, for showing and for export as an inventory (contract.md "Inventory").
 */
import {
  unpackDetails,
  unpackMachine,
  unpackProbes,
  unpackSection,
  type Hardware,
  type ScanError,
  type Title,
  type TitleDetail,
} from "@daicho/protocol";
import type { Database } from "../../db/database.ts";
import type { DeviceFacts, DeviceReport } from "../devices/index.ts";
import type { Repository } from "../licenses/repository/index.ts";
import { readAsserted } from "./derive.ts";
import { explainCodes, type Deriver } from "./deriver.ts";
import { headStore } from "./head-store.ts";
import type { SoftwareView } from "./software.ts";
import { sortedByHash } from "./title-table.ts";
import type { KnownTitle, Titles } from "./titles.ts";

export function createDeviceFacts(deps: {
  readonly db: Database;
  readonly titles: Titles;
  readonly deriver: () => Deriver;
  readonly repository: Pick<Repository, "licensesOf" | "devicesWith">;
  readonly software: Pick<SoftwareView, "devicesWith">;
}): DeviceFacts {
  const { db, titles, repository, software } = deps;
  return {
    licensesOf: (devices) => repository.licensesOf(devices),
    async hardwareOf(devices) {
      const found = new Map<number, Hardware>();
      for (const { device, machine } of await headStore.machinesOf(db.kysely, devices)) {
        const { hardware } = unpackMachine(machine);
        if (hardware !== undefined) found.set(device, hardware);
      }
      return found;
    },
    withLicense: (license, after, limit) => repository.devicesWith(license, after, limit),
    withTitle: async (name, after, limit) => software.devicesWith({ name }, { after, limit }),
    lastSeenOf: (devices) => headStore.lastSeen(db.kysely, devices),
    async factsOf(device) {
      const head = (await headStore.heads(db.kysely, [device], false)).get(device);
      const state = (await headStore.states(db.kysely, [device])).get(device);
      if (head === undefined || state === undefined) return undefined;
      const ids = state.titles;
      await db.latest((from) => titles.know(from, [ids]));
      const known = await titles.byIds([...ids]);
      const machine = unpackMachine(state.machine);
      const hits = unpackProbes(state.probes);
      const found = withDetails(sortedByHash(ids, titles.table), known, state.details);
      return {
        ...(machine.hardware !== undefined && { hardware: machine.hardware }),
        software: found,
        codes: explainCodes(deps.deriver(), found, hits, readAsserted(state.asserted)),
        lastSeenAt: new Date(head.received_at).toISOString(),
        scannedAt: new Date(head.scanned_at).toISOString(),
        ...(state.scan !== null && { scan: readScan(state.scan, machine.probesVersion) }),
      };
    },
  };
}

function withDetails(ids: readonly number[], known: ReadonlyMap<number, KnownTitle>, section: Buffer): Title[] {
  let details: readonly (readonly TitleDetail[])[] = [];
  try {
    details = unpackDetails(section, ids.length);
  } catch {
    // A device that signs nonsense about its copies still has its titles.
  }
  const software: Title[] = [];
  ids.forEach((id, i) => {
    const title = known.get(id);
    if (title === undefined) return;
    for (const copy of details[i] ?? [{}]) software.push({ ...titleOf(title), ...copy });
  });
  return software.sort(
    (a, b) => compare(a.name, b.name) || compare(a.version, b.version) || compare(a.source, b.source),
  );
}

function titleOf({ source, name, version, publisher, arch, identifier }: KnownTitle): Title {
  return {
    name,
    version,
    source,
    ...(publisher !== undefined && { publisher }),
    ...(arch !== undefined && { arch }),
    ...(identifier !== undefined && { identifier }),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function readScan(section: Buffer, dictionaryVersion: number): NonNullable<DeviceReport["scan"]> {
  try {
    const scan = unpackSection(section) as { startedAt?: unknown; durationMs?: unknown; errors?: unknown };
    return {
      ...(typeof scan.startedAt === "string" && { startedAt: scan.startedAt }),
      ...(typeof scan.durationMs === "number" && { durationMs: scan.durationMs }),
      dictionaryVersion,
      errors: Array.isArray(scan.errors) ? (scan.errors as ScanError[]) : [],
    };
  } catch {
    return { dictionaryVersion, errors: [] };
  }
}
