/**
 * Purpose: the titles of Windows' Uninstall keys: the live registry's, those of exported `.reg` files in its place, or those of a mounted disk's hives.
 * Invariants: one scan reads its exports once, however many readers there are (titles, packages, probes): the tree belongs to the
 * scan's context. No registry (no Windows, no exports, no hives) is nothing at all; native-reg missing on Windows is an error.
 */
import { createFindings, scanError } from "../findings.ts";
import type { CollectContext, Collector } from "../collector.ts";
import { rootedFiles } from "../rooted-files.ts";
import { openDiskRegistry } from "./disk.ts";
import { openLiveRegistry } from "./live.ts";
import { readRegistryFiles, type WantsKey } from "./offline.ts";
import type { RegistryTree } from "./tree.ts";
import { collectUninstall } from "./uninstall.ts";

export const registry: Collector = {
  name: "registry",
  async collect(context) {
    const findings = createFindings();
    const tree = await registryOf(context);
    if (tree === undefined) return findings.result();
    collectUninstall(tree, findings);
    const { titles, errors } = findings.result();
    return { titles, errors: [...tree.takeFaults(), ...errors] };
  },
};

type Wanted = Pick<CollectContext, "registryFiles" | "live" | "platform" | "root">;
const trees = new WeakMap<Wanted, Promise<RegistryTree | undefined>>();

/** The registry of this scan, opened at the first call; `wants` of that call says which keys of exports are kept besides the usual. */
export function registryOf(context: Wanted, wants: WantsKey = () => false): Promise<RegistryTree | undefined> {
  let tree = trees.get(context);
  if (tree === undefined) {
    tree = open(context, wants);
    trees.set(context, tree);
  }
  return tree;
}

async function open(context: Wanted, wants: WantsKey): Promise<RegistryTree | undefined> {
  const files = context.registryFiles ?? [];
  if (files.length > 0) return readRegistryFiles(files, (path) => usual.test(path) || wants(path));
  if (!context.live) return openDiskRegistry(rootedFiles(context.root, false));
  if (context.platform !== "win32") return undefined;
  try {
    return await openLiveRegistry();
  } catch {
    return emptyTree("the live registry cannot be read: the native-reg package is missing or does not load");
  }
}

/** What the readers of titles and of the machine's identity look at. */
const usual =
  /(?:^|\\)(?:microsoft\\windows\\currentversion\\uninstall|microsoft\\windows nt\\currentversion\\$|microsoft\\cryptography\\$|currentversion\\appmodel\\repository\\packages\\|control\\computername\\|^hkey_local_machine\\system\\setup\\(?:source os[^\\]*\\)?$)/;

function emptyTree(message: string): RegistryTree {
  let faults = [scanError("HKEY_LOCAL_MACHINE", "unreadable", message)];
  return {
    subkeys: () => [],
    values: () => [],
    below: () => [],
    takeFaults() {
      const taken = faults;
      faults = [];
      return taken;
    },
  };
}

export { evaluateRegistryProbes, type ProbeAnswers, type RegistryProbeQuery } from "./probes.ts";
export { readRegistryFiles } from "./offline.ts";
export { valueText, type RegistryTree, type RegistryValue } from "./tree.ts";
export { classifyEntry } from "./uninstall.ts";
