/**
 * Purpose: what an exported registry, or that of a mounted disk, says about the machine it comes from: its name, its id, its Windows.
 */
import type { Hardware } from "@daicho/protocol";
import { installDateOfRegistry } from "../collectors/hardware/index.ts";
import { valueText, type RegistryTree } from "../collectors/registry/tree.ts";
import type { MachineIdentity } from "./device.ts";

export interface ExportedMachine {
  readonly identity: MachineIdentity;
  readonly os: NonNullable<Hardware["os"]> | undefined;
}

export function exportedMachine(tree: RegistryTree, now: number): ExportedMachine {
  const first = (suffix: string, name: string): string | undefined => {
    for (const path of tree.below(suffix)) {
      const text = valueText(tree.values(path), name);
      if (text !== undefined) return text;
    }
    return undefined;
  };
  return {
    identity: {
      hostname: first("Control\\ComputerName\\ComputerName", "ComputerName"),
      machineId: first("Microsoft\\Cryptography", "MachineGuid"),
    },
    os: windowsOf((name) => first("Microsoft\\Windows NT\\CurrentVersion", name), installDateOfRegistry(tree, now)),
  };
}

function windowsOf(read: (name: string) => string | undefined, installedAt: string | undefined): ExportedMachine["os"] {
  const product = read("ProductName");
  const build = read("CurrentBuildNumber") ?? read("CurrentBuild");
  if (product === undefined && build === undefined) return undefined;
  const major = read("CurrentMajorVersionNumber");
  const minor = read("CurrentMinorVersionNumber") ?? "0";
  // CurrentVersion stayed at 6.3 when Windows became 10.
  const kernel = major !== undefined ? `${major}.${minor}` : Number(build) >= 10240 ? "10.0" : read("CurrentVersion");
  const fields = {
    family: "windows",
    // Windows 11 still calls itself Windows 10 here; the build number tells them apart.
    name: Number(build) >= 22000 ? product?.replace(/^Windows 10\b/, "Windows 11") : product,
    version: kernel === undefined || build === undefined ? kernel : `${kernel}.${build}`,
    edition: read("EditionID"),
    build,
    arch: { amd64: "x64", x86: "x86", arm64: "arm64" }[
      /\.(amd64|x86|arm64)fre\./i.exec(read("BuildLabEx") ?? "")?.[1]?.toLowerCase() ?? ""
    ],
  };
  const bounds = { family: 32, name: 256, version: 128, edition: 128, build: 128, arch: 32 } as const;
  const os: NonNullable<Hardware["os"]> = {};
  for (const key of Object.keys(bounds) as (keyof typeof bounds)[]) {
    const text = fields[key];
    if (text !== undefined) os[key] = text.slice(0, bounds[key]);
  }
  return { ...os, ...(installedAt !== undefined && { installedAt }) };
}
