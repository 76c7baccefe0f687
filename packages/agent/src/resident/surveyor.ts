/**
 * Purpose: keeps the facts about this machine current: by a whole scan, or - for a new dictionary - by just those machine probes
 * that were never asked.
 * Failure: a scan that did not finish changes nothing.
 */
import type { Clock } from "@daicho/kernel";
import type { Facts, FactsFile } from "../report/facts.ts";
import type { DictionaryHolder } from "./dictionary.ts";
import type { ScanPort, ScanRequest, ScanWalk } from "./scan-port.ts";

export interface Surveyor {
  readonly facts: Facts | undefined;
  scan(signal?: AbortSignal): Promise<Facts>;
  /** After a new dictionary. */
  scanNew(signal?: AbortSignal): Promise<Facts>;
  /** The facts belong under this root from now on: what another root's dictionary asked is forgotten. */
  settleUnder(root: string): Promise<void>;
}

/** Scan errors kept with the facts. */
const maxErrors = 1_000;

export async function openSurveyor(options: {
  readonly file: FactsFile;
  readonly scan: ScanPort;
  readonly walk: ScanWalk;
  readonly deviceId: () => string;
  readonly dictionary: () => DictionaryHolder;
  readonly root: () => string | undefined;
  readonly clock: Clock;
}): Promise<Surveyor> {
  let facts = await options.file.load();

  const request = (kind: "scan" | "probes"): ScanRequest => {
    const { file } = options.dictionary();
    return {
      kind,
      deviceId: options.deviceId(),
      walk: options.walk,
      ...(file !== undefined && { dictionaryFile: file }),
    };
  };

  async function keep(next: Facts): Promise<Facts> {
    await options.file.save(next);
    return (facts = next);
  }

  async function scan(signal?: AbortSignal): Promise<Facts> {
    const answer = await options.scan(request("scan"), signal);
    if (answer.inventory === undefined) throw new RangeError("a scan without an inventory");
    // Codes are derived from the rest wherever they are needed.
    const { codes: _codes, ...inventory } = answer.inventory;
    const root = options.root();
    return keep({
      inventory,
      hits: answer.hits,
      probes: answer.probes,
      probesVersion: answer.dictionary,
      ...(root !== undefined && { root }),
      scannedAt: new Date(options.clock.now()).toISOString(),
    });
  }

  return {
    get facts() {
      return facts;
    },
    scan,
    async scanNew(signal) {
      if (facts === undefined) return scan(signal);
      const before = facts;
      const answer = await options.scan({ ...request("probes"), known: before.probes }, signal);
      const asked = new Set(answer.probes);
      const { scan: info } = before.inventory;
      const errors = [...answer.errors, ...(info?.errors ?? [])].slice(0, maxErrors);
      return keep({
        ...before,
        inventory: { ...before.inventory, ...(info !== undefined && { scan: { ...info, errors } }) },
        hits: [...before.hits.filter((hit) => asked.has(hit.probe)), ...answer.hits],
        probes: answer.probes,
        probesVersion: answer.dictionary,
      });
    },
    async settleUnder(root) {
      if (facts === undefined || facts.root === root) return;
      const stranger = facts.root !== undefined;
      await keep({ ...facts, root, ...(stranger && { hits: [], probes: [], probesVersion: 0 }) });
    },
  };
}
