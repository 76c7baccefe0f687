/**
 * Purpose: inventories that come as files from machines with no network (contract.md: `import inventory`). They become states like
 * any other: facts are stored, codes are derived; an inventory older than what is held overwrites nothing.
 */
import { createHash } from "node:crypto";
import {
  machineOf,
  packSection,
  packStateSteps,
  stateDigest,
  validateInventory,
  type Inventory,
  type ProbeHit,
  type TitleText,
} from "@daicho/protocol";
import type { Clock } from "@daicho/kernel";
import type { Database } from "../../db/database.ts";
import type { DeviceDirectory, UsageRepository } from "../../ports.ts";
import { createTurns, eachPolitely, inSteps } from "../../slices.ts";
import { writeDeviceChanges, type DeviceChange } from "../inventory/commit.ts";
import { reshapedFrom } from "../licenses/coverage/index.ts";
import type { AssertedCode, Deriver } from "../inventory/deriver.ts";
import { headStore, lockHeads } from "../inventory/head-store.ts";
import { difference } from "../inventory/pack.ts";
import type { TitleIndex } from "../inventory/title-index.ts";
import type { Titles } from "../inventory/titles.ts";
import { usableSerial } from "./enroll.ts";

export interface ImportResult {
  readonly status: "stored" | "older" | "rejected";
  readonly device?: string;
  readonly faults?: readonly { readonly path: string; readonly message: string }[];
}

export interface InventoryImport {
  /** One result per inventory, in order. All that are valid are stored in one transaction. */
  store(inventories: readonly unknown[]): Promise<readonly ImportResult[]>;
}

export function createInventoryImport(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly titles: Titles;
  readonly index: TitleIndex;
  readonly devices: DeviceDirectory;
  readonly repository: UsageRepository;
  readonly deriver: () => Deriver;
  readonly onChange: () => void;
  /** As in intake.ts. */
  readonly onOutdated?: () => void;
}): InventoryImport {
  const { db, clock, titles } = deps;
  return {
    async store(inventories) {
      // One has up to tens of thousands of titles.
      const checked: ReturnType<typeof validateInventory>[] = [];
      await eachPolitely(inventories, (value) => void checked.push(validateInventory(value)));
      const packed: (Awaited<ReturnType<typeof packInventory>> | undefined)[] = [];
      for (const one of checked) packed.push(one.ok ? await packInventory(one.value) : undefined);
      const texts: TitleText[] = [];
      const bad: boolean[] = [];
      await eachPolitely(packed, (one) => {
        const read = one === undefined ? [] : titles.readTexts([...one.texts.values()]);
        bad.push(read === undefined);
        for (const text of read ?? []) texts.push(text);
      });
      await titles.learn(texts);

      const now = clock.now();
      const { results, titlesChanged, generation } = await db.transaction(async (trx) => {
        const deriver = deps.deriver();
        const results: (Omit<ImportResult, "device"> & { ordinal?: number })[] = [];
        const changes = new Map<number, DeviceChange>();
        const turn = createTurns();
        for (const [i, one] of packed.entries()) {
          const validity = checked[i];
          if (one === undefined || bad[i] === true) {
            const faults =
              validity?.ok === false ? validity.faults : [{ path: "/software", message: "a title contains U+0000" }];
            results.push({ status: "rejected", faults });
            continue;
          }
          await turn();
          const { inventory, state, hits } = one;
          const serial = usableSerial(inventory.device.serial ?? inventory.hardware?.serial);
          const device = await deps.devices.adopt(trx, {
            id: inventory.device.id ?? anonymousId(inventory),
            hostname: inventory.device.hostname,
            ...(serial !== undefined && { serial }),
            origin: "import",
            // A file may speak for any device of the ledger, enrolled or not.
            taken: () => Promise.resolve(false),
          });
          await lockHeads(db, trx, [device]);
          const earlier = changes.get(device);
          const head = earlier?.head ?? (await headStore.heads(trx, [device], false)).get(device);
          const scannedAt = timeOf(inventory.scan?.startedAt) ?? now;
          if (head !== undefined && head.scanned_at > scannedAt) {
            results.push({ status: "older", ordinal: device });
            continue;
          }
          const before = earlier?.states.at(-1)?.state ?? (await headStore.states(trx, [device])).get(device);
          const ids = new Uint32Array(state.titles.length / 8);
          for (let t = 0; t < ids.length; t++) ids[t] = titles.table.find(state.titles, t * 8);
          ids.sort();
          const asserted = assertedCodes(inventory, deriver, ids, hits);
          const hardwareSerial = inventory.hardware?.serial ?? inventory.device.serial;
          changes.set(device, {
            head: {
              device,
              identity: head?.identity ?? "import",
              epoch: head?.epoch ?? 0,
              seq: head?.seq ?? 0,
              digest: Buffer.from(stateDigest(state), "hex"),
              evidence: head?.evidence ?? null,
              dictionary: head?.dictionary ?? inventory.scan?.dictionaryVersion ?? 0,
              made_at: head?.made_at ?? 0,
              received_at: now,
              scanned_at: scannedAt,
              generation: deriver.generation,
            },
            states: [
              ...(earlier?.states ?? []),
              {
                ...difference(before === undefined ? new Uint32Array(0) : before.titles, ids),
                first: before === undefined,
                reshapedFrom: before === undefined ? undefined : reshapedFrom(before.machine, state.machine),
                named: {
                  hostname: inventory.device.hostname,
                  ...(hardwareSerial !== undefined && { serial: hardwareSerial }),
                },
                state: {
                  device,
                  titles: ids,
                  details: state.details,
                  probes: state.probes,
                  machine: state.machine,
                  scan: inventory.scan === undefined ? null : packSection(inventory.scan),
                  asserted: asserted.length === 0 ? null : JSON.stringify(asserted),
                },
              },
            ],
          });
          results.push({ status: "stored", ordinal: device });
        }
        const committed = await writeDeviceChanges(trx, { ...deps, deriver }, [...changes.values()], now, "import");
        const names = await deps.devices.idsOf(trx, [
          ...new Set(results.flatMap((r) => (r.ordinal === undefined ? [] : [r.ordinal]))),
        ]);
        return {
          generation: deriver.generation,
          titlesChanged: committed.titlesChanged,
          results: results.map(({ ordinal, ...rest }): ImportResult => {
            const device = ordinal === undefined ? undefined : names.get(ordinal);
            return { ...rest, ...(device !== undefined && { device }) };
          }),
        };
      });
      if (titlesChanged) deps.index.grown();
      if (generation !== deps.deriver().generation) deps.onOutdated?.();
      deps.onChange();
      return results;
    },
  };
}

async function packInventory(inventory: Inventory) {
  const hits = hitsOf(inventory);
  const machine = machineOf(inventory, inventory.scan?.dictionaryVersion ?? 0);
  return { inventory, hits, ...(await inSteps(packStateSteps(inventory.software, hits, machine))) };
}

/** Hits of machine probes that the inventory's codes name as their evidence. */
function hitsOf(inventory: Inventory): ProbeHit[] {
  const hits = new Map<string, ProbeHit>();
  for (const { evidence } of inventory.codes ?? [])
    for (const { probe, found } of evidence)
      if (/^(file|registry)\(/.test(probe)) hits.set(JSON.stringify([probe, found]), { probe, found });
  return [...hits.values()];
}

/** Codes the inventory states that its own facts do not yield under the present dictionary. */
function assertedCodes(
  inventory: Inventory,
  deriver: Deriver,
  ids: Uint32Array,
  hits: readonly ProbeHit[],
): AssertedCode[] {
  if (inventory.codes === undefined) return [];
  const derived = new Set(deriver.codes({ titles: ids, hits, asserted: [] }));
  return [...new Set(inventory.codes.map((c) => c.code))]
    .filter((code) => !derived.has(code))
    .map((code) => ({ code, definition: deriver.recognizer.definitionDigest(code) ?? null }));
}

/** A machine without an id is known again by its host name and hardware. */
function anonymousId(inventory: Inventory): string {
  const hardware = inventory.hardware;
  const text = JSON.stringify([
    inventory.device.hostname,
    inventory.device.serial ?? hardware?.serial ?? null,
    hardware?.uuid ?? null,
  ]);
  return `i-${createHash("sha256").update(text).digest("hex").slice(0, 30)}`;
}

function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? NaN : Date.parse(text);
  return Number.isFinite(time) ? time : undefined;
}
