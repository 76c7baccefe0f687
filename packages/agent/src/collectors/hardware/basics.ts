/**
 * Purpose: what the operating system says of its machine without any program being started; fills in where systeminformation fails.
 * Never serial numbers or UUIDs: nothing here is unique but network cards.
 */
import { arch, cpus, hostname, networkInterfaces, release, totalmem, version } from "node:os";
import type { Hardware } from "@daicho/protocol";
import { isJunkMac } from "./junk.ts";
import { compact } from "./os-release.ts";

export interface Basics {
  readonly hostname: string;
  readonly hardware: Pick<Hardware, "cpu" | "memory" | "os">;
  readonly network: NonNullable<Hardware["network"]>;
}

export function readBasics(platform: NodeJS.Platform): Basics {
  const threads = cpus();
  const model = threads[0]?.model.trim().slice(0, 256) ?? "";
  const windows = platform === "win32";
  return {
    hostname: hostname().slice(0, 255),
    hardware: {
      cpu: { ...(model !== "" && { model }), ...(threads.length > 0 && { threads: threads.length }) },
      memory: totalmem(),
      os: compact({
        family: windows ? "windows" : platform === "darwin" ? "macos" : platform,
        // On a Mac this names the kernel, not the system.
        name: windows ? version() : undefined,
        version: windows ? release() : undefined,
        edition: undefined,
        build: undefined,
        arch: arch(),
        kernel: release(),
      }),
    },
    network: cards(),
  };
}

function cards(): NonNullable<Hardware["network"]> {
  const found: NonNullable<Hardware["network"]> = [];
  for (const [name, list] of Object.entries(networkInterfaces())) {
    const [first] = list ?? [];
    if (first === undefined || first.internal || isJunkMac(first.mac) || found.length === 64) continue;
    const addresses = (list ?? []).filter((each) => each.family === "IPv4").map((each) => each.address);
    found.push({
      name: name.slice(0, 256),
      mac: first.mac.toLowerCase(),
      ...(addresses.length > 0 && { addresses: addresses.sort().slice(0, 64) }),
    });
  }
  return found;
}
