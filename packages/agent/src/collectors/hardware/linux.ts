/**
 * Purpose: the hardware of a running Linux machine, read straight from /sys and /proc: a few milliseconds, no subprocess.
 * Invariants: junk identities (junk.ts) are left out; removable, virtual and loop devices are not the machine's hardware. Without root's
 * rights serial number and UUID cannot be read: that is an error in `findings`, everything else stays.
 * On failure: see above; what the kernel does not say stays out.
 */
import type { Hardware } from "@daicho/protocol";
import type { Findings } from "../findings.ts";
import type { RootedFiles } from "../rooted-files.ts";
import { hasHypervisorFlag, parseCpuInfo, type Topology } from "./cpu.ts";
import { isJunkMac, isJunkSerial, isJunkUuid, isPlaceholder } from "./junk.ts";
import { readOs } from "./os-release.ts";
import { readUser } from "./users.ts";
import { chassisWord, hypervisorOf } from "./words.ts";

/** Addresses by interface name; from the operating system, because /proc shows them in no readable form. */
export type Addresses = ReadonlyMap<string, readonly string[]>;

export function readLinuxHardware(files: RootedFiles, addresses: Addresses, findings: Findings): Hardware {
  const read = (path: string, bound = 256): string | undefined => {
    // The device tree ends its texts with a NUL.
    const text = findings
      .attempt(path, () => files.readText(path, 64 * 1024))
      ?.replaceAll("\0", " ")
      .trim();
    return text === undefined || text === "" || text.length > bound ? undefined : text;
  };
  const cpuInfo = findings.attempt("/proc/cpuinfo", () => files.readText("/proc/cpuinfo", 64 * 1024 * 1024)) ?? "";
  const cpu = parseCpuInfo(cpuInfo, sysfsTopology(files));
  const memory = /^MemTotal:\s+(\d{1,12}) kB/m.exec(read("/proc/meminfo", 64 * 1024) ?? "")?.[1];
  const os = readOs(files, findings);
  const kernel = read("/proc/sys/kernel/osrelease", 128);
  const user = readUser(files, os?.arch, findings);
  const disks = readDisks(files, findings, read);
  const network = readNetwork(files, findings, addresses, read);
  return {
    ...readFirmware(files, cpuInfo, read),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(memory !== undefined && { memory: Number(memory) * 1024 }),
    ...(disks.length > 0 && { disks }),
    ...(network.length > 0 && { network }),
    ...((os !== undefined || kernel !== undefined) && {
      os: { family: "linux", ...os, ...(kernel !== undefined && { kernel }) },
    }),
    ...(user !== undefined && user.length <= 256 && { user }),
  };
}

type Read = (path: string, bound?: number) => string | undefined;

const dmi = "/sys/class/dmi/id";

/** Who made the machine and what kind it is: SMBIOS, on boards without it the device tree. */
function readFirmware(files: RootedFiles, cpuInfo: string, read: Read): Partial<Hardware> {
  const field = (name: string): string | undefined => read(`${dmi}/${name}`);
  const vendor = field("sys_vendor");
  const product = field("product_name") ?? read("/proc/device-tree/model");
  const friendly = /^lenovo$/i.test(vendor ?? "") ? field("product_version") : undefined;
  // Lenovo puts the type number where others put the name: 20L50000MC is a ThinkPad T480.
  const model = friendly !== undefined && /^(Think|Idea|Yoga|Legion|Lenovo)/i.test(friendly) ? friendly : product;
  const serials = [field("product_serial"), field("chassis_serial"), read("/proc/device-tree/serial-number")];
  const serial = serials.find((text) => text !== undefined && text.length <= 128 && !isJunkSerial(text));
  const uuid = field("product_uuid");
  const chassisType = Number(field("chassis_type") ?? Number.NaN);

  const container = containerKind(files, read);
  const xen = read("/sys/hypervisor/type") === "xen" && !(read("/proc/xen/capabilities") ?? "").includes("control_d");
  const firmware = [vendor, product, field("board_vendor"), field("chassis_asset_tag")].join(" ");
  // Rented machines without a hypervisor say whose they are just like those with one.
  const simulated = /\.metal\b/.test(product ?? "") ? undefined : (hypervisorOf(firmware) ?? (xen ? "xen" : undefined));
  const vm = simulated !== undefined || (hasHypervisorFlag(cpuInfo) && !isXenHost(read));
  const kind = container ?? simulated;
  const chassis =
    container !== undefined
      ? "container"
      : vm
        ? "vm"
        : Number.isInteger(chassisType)
          ? chassisWord(chassisType)
          : undefined;
  return {
    ...(vendor !== undefined && !isPlaceholder(vendor) && { manufacturer: vendor }),
    ...(model !== undefined && !isPlaceholder(model) && { model }),
    ...(serial !== undefined && { serial }),
    ...(uuid !== undefined && uuid.length <= 64 && !isJunkUuid(uuid) && { uuid: uuid.toLowerCase() }),
    ...(chassis !== undefined && { chassis }),
    virtual: vm || container !== undefined,
    ...(kind !== undefined && { virtualization: kind }),
  };
}

function isXenHost(read: Read): boolean {
  return (read("/proc/xen/capabilities") ?? "").includes("control_d");
}

function containerKind(files: RootedFiles, read: Read): string | undefined {
  const told = read("/run/systemd/container", 64);
  if (told !== undefined && /^[a-z][a-z0-9-]*$/.test(told)) return told;
  if (files.exists("/run/.containerenv")) return "podman";
  if (files.exists("/.dockerenv")) return "docker";
  return /microsoft/i.test(read("/proc/sys/kernel/osrelease") ?? "") ? "wsl" : undefined;
}

function sysfsTopology(files: RootedFiles): Topology {
  return (processor) => {
    const place = `/sys/devices/system/cpu/cpu${processor}/topology`;
    try {
      const socket = files.readText(`${place}/physical_package_id`, 64).trim();
      const core = files.readText(`${place}/core_id`, 64).trim();
      return /^\d+$/.test(socket) && /^\d+$/.test(core) ? { socket, core } : undefined;
    } catch {
      return undefined; // the kernel does not say; then nobody knows
    }
  };
}

/** loop, ram and zram are files and memory; dm and md are made of others; sr and fd are drives without a disk. */
const notDisks = /^(?:loop|ram|zram|dm-|md|sr|fd|nbd|drbd|mtdblock|mmcblk\d+(?:boot|rpmb))/;

function readDisks(files: RootedFiles, findings: Findings, read: Read): NonNullable<Hardware["disks"]> {
  const disks: NonNullable<Hardware["disks"]> = [];
  for (const { name } of findings.attempt("/sys/block", () => files.list("/sys/block")) ?? []) {
    const place = `/sys/block/${name}`;
    const sectors = Number(read(`${place}/size`) ?? Number.NaN);
    if (
      notDisks.test(name) ||
      read(`${place}/removable`) === "1" ||
      !Number.isSafeInteger(sectors * 512) ||
      sectors <= 0
    )
      continue;
    if (disks.length === 256 || name.length > 256) break;
    const model = read(`${place}/device/model`);
    const serial =
      read(`${place}/device/serial`) ?? read(`${place}/serial`) ?? scsiSerial(files, `${place}/device/vpd_pg80`);
    const turning = read(`${place}/queue/rotational`);
    const type = name.startsWith("nvme") ? "NVMe" : turning === "1" ? "HDD" : turning === "0" ? "SSD" : undefined;
    disks.push({
      name,
      ...(model !== undefined && { model }),
      ...(serial !== undefined && !isJunkSerial(serial) && { serial }),
      size: sectors * 512,
      ...(type !== undefined && { type }),
    });
  }
  return disks;
}

/** SCSI "unit serial number" page: four bytes of header, then text. */
function scsiSerial(files: RootedFiles, path: string): string | undefined {
  try {
    const text = files.read(path, 4096).toString("latin1", 4).trim();
    return /^[\x21-\x7e][\x20-\x7e]{0,255}$/.test(text) ? text : undefined;
  } catch {
    return undefined; // most disks do not offer the page
  }
}

function readNetwork(
  files: RootedFiles,
  findings: Findings,
  addresses: Addresses,
  read: Read,
): NonNullable<Hardware["network"]> {
  const cards: NonNullable<Hardware["network"]> = [];
  for (const { name } of findings.attempt("/sys/class/net", () => files.list("/sys/class/net")) ?? []) {
    // Bridges, tunnels and the like have no device behind them.
    const place = `/sys/class/net/${name}`;
    if (!files.exists(`${place}/device`) || cards.length === 256) continue;
    const mac = read(`${place}/address`, 64)?.toLowerCase();
    if (mac === undefined || isJunkMac(mac)) continue;
    const own = addresses.get(name) ?? [];
    cards.push({ name, mac, ...(own.length > 0 && { addresses: own.slice(0, 64) }) });
  }
  return cards;
}
