/**
 * Purpose: what machine this is: hardware, system, host name, machine id and user. Linux is read from its files; Windows and macOS are
 * asked through systeminformation, in a thread, and where it fails through Node itself; of an offline root only what its files say: system, host name, machine id.
 * Invariants: junk identities never come out of here (junk.ts). Nothing of the scanning machine gets into an offline root's answer.
 * On failure: never rejects; what could not be read is in `errors`.
 */
import { networkInterfaces } from "node:os";
import type { Hardware, ScanError } from "@daicho/protocol";
import type { CollectContext } from "../collector.ts";
import { createFindings, type FaultCode, type Findings } from "../findings.ts";
import { registryOf } from "../registry/index.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { readBasics } from "./basics.ts";
import { installDateOfFiles, installDateOfRegistry } from "./install-date.ts";
import { readIsolated, type IsolatedAnswer } from "./isolated.ts";
import { readLinuxHardware, type Addresses } from "./linux.ts";
import { readOs } from "./os-release.ts";

export interface MachineFacts {
  readonly hardware: Hardware;
  readonly hostname?: string;
  /** /etc/machine-id, Windows' MachineGuid, macOS' hardware UUID. */
  readonly machineId?: string;
  readonly errors: readonly ScanError[];
}

export interface HardwareParts {
  readonly addresses?: () => Addresses;
  /** Default: systeminformation in a thread of its own. */
  readonly readPortable?: () => Promise<IsolatedAnswer>;
}

export async function collectHardware(context: CollectContext, parts: HardwareParts = {}): Promise<MachineFacts> {
  const { live, platform } = context;
  const files = rootedFiles(context.root, live);
  const findings = createFindings();
  const found =
    live && platform !== "linux"
      ? await collectPortable(platform, findings, parts)
      : collectFiles(live, files, findings, parts);
  return withInstallDate(found, await installDateOf(context, files));
}

/** Windows keeps it in its registry, other systems in traces on the disk. */
async function installDateOf(context: CollectContext, files: RootedFiles): Promise<string | undefined> {
  const { live, platform, clock } = context;
  const isOther = live && platform !== "win32";
  const tree = isOther ? undefined : await registryOf(context).catch(() => undefined);
  if (tree !== undefined) return installDateOfRegistry(tree, clock.now());
  return live && !isOther ? undefined : installDateOfFiles(files, clock.now());
}

/** Said of a system that is known; a date alone says nothing. */
function withInstallDate({ hardware, ...more }: MachineFacts, installedAt: string | undefined): MachineFacts {
  const { os } = hardware;
  return {
    ...more,
    hardware: os === undefined || installedAt === undefined ? hardware : { ...hardware, os: { ...os, installedAt } },
  };
}

function collectFiles(live: boolean, files: RootedFiles, findings: Findings, parts: HardwareParts): MachineFacts {
  const addresses = parts.addresses ?? liveAddresses;
  const hardware = live ? readLinuxHardware(files, addresses(), findings) : ofOffline(files, findings);
  const hostname = live ? line("/proc/sys/kernel/hostname", files, findings) : undefined;
  return facts(hardware, hostname ?? line("/etc/hostname", files, findings), readMachineId(files, findings), findings);
}

/** Whatever becomes of the library, the machine has a name, processors and memory. */
async function collectPortable(
  platform: NodeJS.Platform,
  findings: Findings,
  parts: HardwareParts,
): Promise<MachineFacts> {
  const basics = readBasics(platform);
  try {
    const { facts: told, errors } = await (parts.readPortable ?? readIsolated)();
    for (const { path, code, message } of errors) findings.error(path, code as FaultCode, message);
    const { hardware, hostname, machineId } = told;
    return facts({ ...basics.hardware, ...hardware }, hostname ?? basics.hostname, machineId, findings);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    findings.error("hardware:", "command-failed", `cannot be asked for (${reason}); only the basics are known`);
    const network = basics.network.length === 0 ? {} : { network: basics.network };
    return facts({ ...basics.hardware, ...network }, basics.hostname, undefined, findings);
  }
}

function facts(
  hardware: Hardware,
  hostname: string | undefined,
  machineId: string | undefined,
  findings: Findings,
): MachineFacts {
  return {
    hardware,
    ...(hostname !== undefined && { hostname }),
    ...(machineId !== undefined && { machineId }),
    errors: findings.result().errors,
  };
}

function ofOffline(files: RootedFiles, findings: Findings): Hardware {
  const os = readOs(files, findings);
  return os === undefined ? {} : { os };
}

/** The first line that is no comment. */
function line(path: string, files: RootedFiles, findings: Findings): string | undefined {
  const text = findings.attempt(path, () => files.readText(path, 64 * 1024));
  const found = text
    ?.split("\n")
    .map((each) => each.trim())
    .find((each) => each !== "" && !each.startsWith("#"));
  return found === undefined || found.length > 255 || found.includes("\0") ? undefined : found;
}

/** Images that are to be copied have an empty file, or the word "uninitialized", in its place. */
function readMachineId(files: RootedFiles, findings: Findings): string | undefined {
  for (const path of ["/etc/machine-id", "/var/lib/dbus/machine-id"]) {
    const id = line(path, files, findings);
    if (id !== undefined && /^[0-9a-f]{32}$/.test(id) && !/^0+$/.test(id)) return id;
  }
  return undefined;
}

/**
 * IPv4 only: IPv6 privacy addresses change by the day, and a fact that changes by the day makes every report a change.
 */
function liveAddresses(): Addresses {
  const found = new Map<string, string[]>();
  for (const [name, list] of Object.entries(networkInterfaces())) {
    const own = (list ?? []).filter((each) => each.family === "IPv4" && !each.internal).map((each) => each.address);
    if (own.length > 0) found.set(name, own.sort());
  }
  return found;
}
