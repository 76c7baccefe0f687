/**
 * Purpose: sockets, cores and threads from /proc/cpuinfo - licence metrics are counted in them, so guessing is not allowed: where the
 * kernel does not say which processor sits where, sysfs is asked, and where that is silent too the number stays out.
 * Invariants: pure; `topology` answers for one processor number.
 */
import type { Hardware } from "@daicho/protocol";

type Cpu = NonNullable<Hardware["cpu"]>;
export type Topology = (processor: number) => { readonly socket: string; readonly core: string } | undefined;

const vendors: Readonly<Record<string, string>> = {
  GenuineIntel: "Intel",
  AuthenticAMD: "AMD",
  HygonGenuine: "Hygon",
  CentaurHauls: "VIA",
  "IBM/S390": "IBM",
  "0x41": "ARM",
  "0x43": "Cavium",
  "0x48": "HiSilicon",
  "0x4e": "NVIDIA",
  "0x51": "Qualcomm",
  "0x61": "Apple",
  "0xc0": "Ampere",
};

export function parseCpuInfo(text: string, topology: Topology): Cpu {
  const sockets = new Set<string>();
  const cores = new Set<string>();
  let threads = 0;
  let everyPlaceKnown = true;
  let model: string | undefined;
  let vendor: string | undefined;
  for (const block of text.split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    }
    model ??= fields.get("model name") ?? fields.get("cpu model") ?? fields.get("cpu") ?? fields.get("Model Name");
    vendor ??= fields.get("vendor_id") ?? fields.get("CPU implementer");
    const processor = fields.get("processor");
    if (processor === undefined || !/^\d+$/.test(processor)) continue;
    threads++;
    const socket = fields.get("physical id");
    const core = fields.get("core id");
    const place = socket === undefined || core === undefined ? topology(Number(processor)) : { socket, core };
    if (place === undefined) everyPlaceKnown = false;
    else {
      sockets.add(place.socket);
      cores.add(`${place.socket}/${place.core}`);
    }
  }
  const counted = everyPlaceKnown && threads > 0;
  return {
    ...(usable(model) && { model }),
    ...(usable(vendor) && { manufacturer: vendors[vendor] ?? vendor }),
    ...(counted && { sockets: sockets.size, cores: cores.size }),
    ...(threads > 0 && { threads }),
  };
}

export function hasHypervisorFlag(text: string): boolean {
  return /^flags\s*:.*\bhypervisor\b/m.test(text);
}

function usable(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.length <= 256;
}
