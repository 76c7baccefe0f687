/**
 * Purpose: the hardware of Windows and macOS, through targeted calls of systeminformation. Never getAllData, inetLatency or
 * inetChecksite: those contact hosts on the internet.
 * Invariants: junk identities are left out; one call that fails costs only its own fields and is an error in `findings`.
 * The library is loaded only here, because loading it alone costs a Linux scan more than the scan.
 */
import type { Hardware } from "@daicho/protocol";
import type { Findings } from "../findings.ts";
import { isJunkMac, isJunkSerial, isJunkUuid, isPlaceholder } from "./junk.ts";
import { compact } from "./os-release.ts";
import { chassisOfName, hypervisorOf } from "./words.ts";

/** The part of systeminformation that is used. */
export interface SystemInformation {
  system(): Promise<{
    manufacturer: string;
    model: string;
    serial: string;
    uuid: string;
    virtual: boolean;
    virtualHost?: string;
  }>;
  chassis(): Promise<{ type: string; serial: string }>;
  cpu(): Promise<{ manufacturer: string; brand: string; processors: number; physicalCores: number; cores: number }>;
  mem(): Promise<{ total: number }>;
  diskLayout(): Promise<
    { device: string; name: string; serialNum: string; size: number; type: string; interfaceType: string }[]
  >;
  networkInterfaces(): Promise<unknown>;
  osInfo(): Promise<{ distro: string; release: string; build: string; arch: string; kernel: string; hostname: string }>;
  users(): Promise<{ user: string; tty: string; ip: string; date: string; time: string }[]>;
  uuid(): Promise<{ os: string }>;
  /** One PowerShell for all calls instead of one for each; Windows only. */
  powerShellStart?(): void;
  powerShellRelease?(): void;
}

export interface PortableFacts {
  readonly hardware: Hardware;
  readonly hostname: string | undefined;
  readonly machineId: string | undefined;
}

export async function readPortableHardware(
  information: SystemInformation,
  platform: NodeJS.Platform,
  findings: Findings,
): Promise<PortableFacts> {
  const ask = async <T>(what: string, question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      findings.error(`hardware:${what}`, "command-failed", `cannot be asked for (${reason})`);
      return undefined;
    }
  };
  if (platform === "win32") information.powerShellStart?.();
  try {
    const [system, chassis, cpu, mem, disks, cards, os, users, ids] = await Promise.all([
      ask("system", () => information.system()),
      ask("chassis", () => information.chassis()),
      ask("cpu", () => information.cpu()),
      ask("memory", () => information.mem()),
      ask("disks", () => information.diskLayout()),
      ask("network", () => information.networkInterfaces()),
      ask("os", () => information.osInfo()),
      ask("users", () => information.users()),
      ask("uuid", () => information.uuid()),
    ]);
    const hardware: Hardware = {
      ...ofSystem(system, chassis),
      ...(cpu !== undefined && ofCpu(cpu)),
      ...(mem !== undefined && isCount(mem.total) && mem.total > 0 && { memory: mem.total }),
      ...(disks !== undefined && ofDisks(disks)),
      ...ofCards(cards),
      ...(os !== undefined && ofOs(os, platform)),
      ...(users !== undefined && ofUsers(users)),
    };
    return { hardware, hostname: known(os?.hostname, 255), machineId: known(ids?.os, 128) };
  } finally {
    if (platform === "win32") information.powerShellRelease?.();
  }
}

type Answer<K extends keyof SystemInformation> = SystemInformation[K] extends (() => Promise<infer T>) | undefined
  ? T
  : never;

function ofSystem(system: Answer<"system"> | undefined, chassis: Answer<"chassis"> | undefined): Partial<Hardware> {
  const manufacturer = told(system?.manufacturer, 256);
  const model = told(system?.model, 256);
  const serial = [system?.serial, chassis?.serial].find(
    (text) => known(text, 128) !== undefined && !isJunkSerial(text ?? ""),
  );
  const uuid = known(system?.uuid, 64);
  const kind =
    system?.virtual === true
      ? (hypervisorOf(system.virtualHost ?? "") ?? hypervisorOf(`${manufacturer} ${model}`))
      : undefined;
  const virtual = system?.virtual;
  const chassisWord = virtual === true ? "vm" : chassis === undefined ? undefined : chassisOfName(chassis.type);
  return {
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
    ...(serial !== undefined && { serial: serial.trim() }),
    ...(uuid !== undefined && !isJunkUuid(uuid) && { uuid: uuid.toLowerCase() }),
    ...(chassisWord !== undefined && { chassis: chassisWord }),
    ...(virtual !== undefined && { virtual }),
    ...(kind !== undefined && { virtualization: kind }),
  };
}

function ofCpu(cpu: Answer<"cpu">): Pick<Hardware, "cpu"> {
  const model = known(cpu.brand, 256);
  const manufacturer = known(cpu.manufacturer, 256);
  return {
    cpu: {
      ...(model !== undefined && { model }),
      ...(manufacturer !== undefined && { manufacturer }),
      ...(within(cpu.processors, 65_536) && { sockets: cpu.processors }),
      ...(within(cpu.physicalCores, 1_048_576) && { cores: cpu.physicalCores }),
      ...(within(cpu.cores, 1_048_576) && { threads: cpu.cores }),
    },
  };
}

function ofDisks(disks: Answer<"diskLayout">): Partial<Hardware> {
  const found = disks
    .filter((disk) => isCount(disk.size) && disk.size > 0 && !/^usb$/i.test(disk.interfaceType))
    .slice(0, 256)
    .map((disk) => {
      const [name, model, serial, type] = [
        known(disk.device, 256),
        told(disk.name, 256),
        known(disk.serialNum, 256),
        known(disk.type, 64),
      ];
      return {
        ...(name !== undefined && { name }),
        ...(model !== undefined && { model }),
        ...(serial !== undefined && !isJunkSerial(serial) && { serial }),
        size: disk.size,
        ...(type !== undefined && { type }),
      };
    });
  return found.length === 0 ? {} : { disks: found };
}

/** The library's type allows a single interface or a list; virtual and internal ones are not the machine's hardware. */
function ofCards(answer: unknown): Partial<Hardware> {
  const found: NonNullable<Hardware["network"]> = [];
  for (const card of (Array.isArray(answer) ? answer : [answer]) as unknown[]) {
    if (typeof card !== "object" || card === null || found.length === 256) continue;
    const fields = card as Record<string, unknown>;
    const text = (key: string, bound: number): string | undefined => known(fields[key], bound);
    const mac = text("mac", 64)?.toLowerCase();
    if (fields["internal"] === true || fields["virtual"] === true || mac === undefined || isJunkMac(mac)) continue;
    const name = text("ifaceName", 256) ?? text("iface", 256);
    const address = text("ip4", 64);
    found.push({ ...(name !== undefined && { name }), mac, ...(address !== undefined && { addresses: [address] }) });
  }
  return found.length === 0 ? {} : { network: found };
}

function ofOs(os: Answer<"osInfo">, platform: NodeJS.Platform): Pick<Hardware, "os"> {
  const windows = platform === "win32";
  return {
    os: compact({
      family: windows ? "windows" : platform === "darwin" ? "macos" : platform,
      name: os.distro,
      version: os.release,
      edition: windows ? /Windows (?:Server )?[\d.]+(?: R2)? (.+)$/.exec(os.distro)?.[1] : undefined,
      build: os.build,
      arch: os.arch,
      kernel: os.kernel,
    }),
  };
}

/** The person at the console before one from afar, then whoever came last. */
function ofUsers(users: Answer<"users">): Pick<Hardware, "user"> | Record<string, never> {
  const weight = (user: (typeof users)[number]): number =>
    (/^console/i.test(user.tty) ? 4 : 0) + (known(user.ip, 64) === undefined ? 2 : 0) + (user.user === "root" ? 0 : 8);
  const when = (user: (typeof users)[number]): string => `${user.date} ${user.time}`;
  const [first] = users
    .filter((user) => known(user.user, 256) !== undefined)
    .sort((a, b) => weight(b) - weight(a) || (when(a) < when(b) ? 1 : -1));
  return first === undefined ? {} : { user: first.user };
}

function known(value: unknown, bound: number): string | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text === "" || text === "-" || text.length > bound || text.includes("\0") ? undefined : text;
}

/** Known and no placeholder. */
function told(value: unknown, bound: number): string | undefined {
  const text = known(value, bound);
  return text === undefined || isPlaceholder(text) ? undefined : text;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function within(value: unknown, bound: number): boolean {
  return isCount(value) && value > 0 && value <= bound;
}
