/**
 * Purpose: what the agent knows about its machine: the facts of the last scan, kept beside the spool so that a full report
 * needs no new scan and a new dictionary only the probes that are new.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  machineOf,
  validateInventory,
  validator,
  ProbeHits,
  type Inventory,
  type Machine,
  type ProbeHit,
} from "@daicho/protocol";
import { writeFileAtomic } from "@daicho/uplink";

export interface Facts {
  readonly inventory: Inventory;
  readonly hits: readonly ProbeHit[];
  /** Canonical texts of the machine probes that were asked. */
  readonly probes: readonly string[];
  /** Dictionary version whose machine probes `hits` answers; 0 = none. */
  readonly probesVersion: number;
  /** Id of the root that dictionary is signed under. */
  readonly root?: string;
  /** When the scan ended, RFC 3339. */
  readonly scannedAt: string;
}

export interface FactsFile {
  /** undefined where there are none, or none that can be read: then only a scan helps. */
  load(): Promise<Facts | undefined>;
  save(facts: Facts): Promise<void>;
}

const checkHits = validator(ProbeHits);

export function factsFile(dir: string): FactsFile {
  const file = join(dir, "facts.json");
  return {
    async load() {
      try {
        const value = JSON.parse(await readFile(file, "utf8")) as Partial<Record<keyof Facts, unknown>>;
        const inventory = validateInventory(value.inventory);
        const hits = checkHits(value.hits);
        const { probes, probesVersion, root, scannedAt } = value;
        if (!inventory.ok || !hits.ok || !isTexts(probes)) return undefined;
        if (!Number.isSafeInteger(probesVersion) || typeof scannedAt !== "string") return undefined;
        return {
          inventory: inventory.value,
          hits: hits.value,
          probes,
          probesVersion: probesVersion as number,
          ...(typeof root === "string" && { root }),
          scannedAt,
        };
      } catch {
        return undefined;
      }
    },
    async save(facts) {
      await writeFileAtomic(file, JSON.stringify(facts));
    },
  };
}

export function machineSection(facts: Facts): Machine {
  return machineOf(facts.inventory, facts.probesVersion);
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}
