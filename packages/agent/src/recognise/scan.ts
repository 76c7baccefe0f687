/**
 * Purpose: one scan of one machine: collectors → titles, hardware, machine probes of the dictionary, soft codes → the inventory.
 * Invariants: a scan does not fail. A collector, the hardware, the walk or a definition that fails is an entry in scan.errors and costs
 * only itself. The same machine gives the same inventory, and it satisfies protocol's schema.
 *
 * What is scanned:
 * - neither `root` nor `registryFiles`: this running machine;
 * - `root`: the disk below it, as if it were `/`; nothing of this machine gets in (unless `live` says that it is this machine);
 * - `registryFiles` alone: an export carried here from a Windows machine. Only it is read: no title, hardware or name of the machine
 *   that happens to run the scan, or two exports would end up as one device. The host name is the export's ComputerName, else the
 *   first file's name;
 * - both: the disk, with the exports in place of its registry.
 */
import { basename, resolve } from "node:path";
import type { Clock } from "@daicho/kernel";
import { compileDictionary, type Probe, type Recognizer } from "@daicho/policy";
import {
  maxCodes,
  type Dictionary,
  type Hardware,
  type Inventory,
  type ProbeHit,
  type ScanError,
} from "@daicho/protocol";
import { runCollector, type CollectContext, type Collector, type Exec } from "../collectors/collector.ts";
import { describeFault, scanError } from "../collectors/findings.ts";
import type { MachineFacts } from "../collectors/hardware/index.ts";
import { registryOf } from "../collectors/registry/index.ts";
import { evaluateRegistryProbes, keysOfProbes, type ProbeAnswers } from "../collectors/registry/probes.ts";
import { politeShare, type FileProbeQuery } from "../walk/index.ts";
import { fitCodes, fitHardware } from "./fit.ts";
import { deviceOf, type MachineIdentity } from "./device.ts";
import { mergeTitles } from "./titles.ts";
import { exportedMachine } from "./windows.ts";

const maxScanErrors = 10_000;

export interface ScanOptions {
  /** The directory to scan as if it were `/`. */
  readonly root?: string;
  /** Exported registry text, in place of the live registry. */
  readonly registryFiles?: readonly string[];
  readonly dictionary?: Dictionary;
  /** Is `root` this running machine? Default: yes where neither root nor exports are given. */
  readonly live?: boolean;
  /** The id given at enrollment. */
  readonly deviceId?: string;
  readonly walk?: WalkOptions;
}

/** Where and how to walk for file conditions. */
export interface WalkOptions {
  /** Directories to walk, inside the root; default `/`. */
  readonly roots?: readonly string[];
  readonly exclude?: readonly string[];
  /** Take no more than a twentieth of one core while searching; default no. */
  readonly polite?: boolean;
  readonly crossFileSystems?: boolean;
  /** Budgets; what they leave out is a scan error. */
  readonly maxEntries?: number;
  readonly maxMilliseconds?: number;
}

export interface ScanResult {
  readonly inventory: Inventory;
  /** The machine probes of the dictionary that hold here. */
  readonly hits: ProbeHit[];
}

/** What a scan is put together from. */
export interface ScanParts {
  readonly collectors: readonly Collector[];
  /** The collectors that an export alone is offered to. */
  readonly exportCollectors: readonly Collector[];
  readonly collectHardware: (context: CollectContext) => Promise<MachineFacts>;
  readonly walkFiles: (query: FileProbeQuery) => Promise<ProbeAnswers>;
  readonly clock: Clock;
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly exec?: Exec;
}

export async function scanWith(parts: ScanParts, options: ScanOptions): Promise<ScanResult> {
  const startedAt = parts.clock.now();
  const errors: ScanError[] = [];
  const recognizer = readDictionary(options.dictionary, errors);
  const probes = recognizer?.probes ?? [];
  const { context, exportOnly } = contextOf(parts, options);
  // The first to open the registry says which keys of an export are kept.
  const tree = await registryOf(context, keysOfProbes(probes));

  const chosen = exportOnly ? parts.exportCollectors : parts.collectors;
  const [collected, machine, answers] = await Promise.all([
    Promise.all(chosen.map((collector) => runCollector(collector, context))),
    exportOnly ? undefined : readMachine(parts, context),
    answerProbes(parts, context, options, probes, exportOnly),
  ]);
  errors.push(...collected.flatMap((result) => result.errors), ...(machine?.errors ?? []), ...answers.errors);
  const titles = mergeTitles(
    collected.map((result) => result.titles),
    errors,
  );
  // An export and the hives of a mounted disk say whose they are; a running machine is asked otherwise.
  const exported =
    tree !== undefined && (!context.live || (options.registryFiles ?? []).length > 0)
      ? exportedMachine(tree, startedAt)
      : undefined;
  const os = machine?.hardware.os ?? exported?.os;
  const hardware: Hardware = { ...machine?.hardware, ...(os === undefined ? {} : { os }) };
  const leftOut = (place: string, reason: string): void =>
    void errors.unshift(scanError("/", "failed", `${place} ${reason}; it was left out`));
  const fitting = fitHardware(hardware, leftOut);
  const identity: MachineIdentity = {
    hostname: machine?.hostname ?? exported?.identity.hostname,
    serial: fitting.serial,
    uuid: fitting.uuid,
    machineId: machine?.machineId ?? exported?.identity.machineId,
  };

  const codes = recognizer?.recognizeInventory({ titles, hits: answers.hits });
  const inventory: Inventory = {
    daicho: "inventory/v1",
    device: deviceOf({ enrolledId: options.deviceId, identity, standIn: standInName(options), titles }),
    ...(Object.keys(fitting).length === 0 ? {} : { hardware: fitting }),
    software: titles,
    ...(codes === undefined ? {} : { codes: fitCodes(codes, maxCodes, leftOut) }),
    scan: {
      startedAt: new Date(startedAt).toISOString(),
      durationMs: Math.max(0, parts.clock.now() - startedAt),
      errors: withoutRepeats(errors).slice(0, maxScanErrors),
      dictionaryVersion: options.dictionary?.version ?? 0,
    },
  };
  return { inventory, hits: answers.hits };
}

/** Just the machine probes, for a dictionary that asks what the last scan did not answer. */
export async function rescanProbesWith(
  parts: ScanParts,
  options: ScanOptions,
  probes: readonly Probe[],
): Promise<ProbeAnswers> {
  const { context, exportOnly } = contextOf(parts, options);
  await registryOf(context, keysOfProbes(probes));
  return answerProbes(parts, context, options, probes, exportOnly);
}

function contextOf(parts: ScanParts, options: ScanOptions): { context: CollectContext; exportOnly: boolean } {
  const { root, registryFiles = [] } = options;
  const live = options.live ?? (root === undefined && registryFiles.length === 0);
  const exportOnly = root === undefined && registryFiles.length > 0 && !live;
  const context: CollectContext = {
    root: root === undefined ? "/" : resolve(root),
    live,
    platform: parts.platform,
    registryFiles,
    env: parts.env,
    clock: parts.clock,
    ...(live && parts.exec !== undefined ? { exec: parts.exec } : {}),
  };
  return { context, exportOnly };
}

function readDictionary(dictionary: Dictionary | undefined, errors: ScanError[]): Recognizer | undefined {
  if (dictionary === undefined) return undefined;
  const recognizer = compileDictionary(dictionary.software);
  for (const { file, line, column, code, message } of recognizer.faults.slice(0, 100)) {
    errors.push({ path: `dictionary:${file}:${line}:${column}`.slice(0, 4096), code, message: message.slice(0, 1024) });
  }
  return recognizer;
}

async function readMachine(parts: ScanParts, context: CollectContext): Promise<MachineFacts> {
  try {
    return await parts.collectHardware(context);
  } catch (error) {
    return { hardware: {}, errors: [failure("the hardware", error)] };
  }
}

async function answerProbes(
  parts: ScanParts,
  context: CollectContext,
  options: ScanOptions,
  probes: readonly Probe[],
  exportOnly: boolean,
): Promise<ProbeAnswers> {
  const tree = await registryOf(context);
  const ofFiles = probes.filter((probe) => probe.kind === "file");
  const parted: ProbeAnswers[] = [];
  try {
    if (ofFiles.length > 0 && !exportOnly) {
      parted.push(await parts.walkFiles(walkQuery(context, options.walk ?? {}, ofFiles)));
    }
  } catch (error) {
    parted.push({ hits: [], errors: [failure("the file walk", error)] });
  }
  try {
    parted.push(evaluateRegistryProbes({ probes, tree }));
  } catch (error) {
    parted.push({ hits: [], errors: [failure("the registry probes", error)] });
  }
  const hits = parted.flatMap((part) => part.hits).sort((a, b) => (a.probe < b.probe ? -1 : a.probe > b.probe ? 1 : 0));
  return { hits, errors: parted.flatMap((part) => part.errors) };
}

function walkQuery({ root, live }: CollectContext, walk: WalkOptions, probes: readonly Probe[]): FileProbeQuery {
  const { roots, exclude, polite, crossFileSystems, maxEntries, maxMilliseconds } = walk;
  return {
    root,
    live,
    probes,
    ...(roots === undefined ? {} : { starts: roots }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(polite === true ? { share: politeShare } : {}),
    ...(crossFileSystems === undefined ? {} : { crossFileSystems }),
    ...(maxEntries === undefined ? {} : { maxFiles: maxEntries }),
    ...(maxMilliseconds === undefined ? {} : { maxSeconds: maxMilliseconds / 1000 }),
  };
}

function failure(what: string, error: unknown): ScanError {
  return scanError("/", "failed", `${what} could not be read: ${describeFault(error).message}`);
}

/** Several readers may come to one place that cannot be read; it is one place all the same. */
function withoutRepeats(errors: readonly ScanError[]): ScanError[] {
  const seen = new Set<string>();
  return errors.filter(({ path, code, message }) => {
    const place = JSON.stringify([path, message]);
    return code !== "unreadable" || (!seen.has(place) && seen.add(place));
  });
}

/** What to call a machine that does not say its name: after the file or folder somebody named for it. */
function standInName(options: ScanOptions): string {
  const [file] = options.registryFiles ?? [];
  const place = options.root ?? file;
  const name = place === undefined ? "" : basename(resolve(place)).replace(/\.reg$/i, "");
  return name === "" ? "unknown" : name;
}
