/**
 * Purpose: what system lies below a root: os-release on Linux, SystemVersion.plist on macOS, and the processor it is made for (from
 * the header of its shell, because an offline disk need not fit the scanning machine).
 * On failure: an unreadable file is an error in `findings`; what is not said stays out.
 */
import type { Hardware } from "@daicho/protocol";
import { parsePlist } from "../app-bundle/plist.ts";
import type { Findings } from "../findings.ts";
import type { RootedFiles } from "../rooted-files.ts";

type Os = NonNullable<Hardware["os"]>;

export function readOs(files: RootedFiles, findings: Findings): Os | undefined {
  const os = readLinux(files, findings) ?? readMac(files, findings);
  if (os === undefined) return undefined;
  const arch = findings.attempt("/bin/sh", () =>
    files.open("/bin/sh", (file) => elfMachine(file.readAt(0, Math.min(20, file.size)))),
  );
  return arch === undefined ? os : { ...os, arch };
}

function readLinux(files: RootedFiles, findings: Findings): Os | undefined {
  const read = (path: string): string | undefined => findings.attempt(path, () => files.readText(path, 64 * 1024));
  const text = read("/etc/os-release") ?? read("/usr/lib/os-release");
  const fields = text === undefined ? ofRedHatRelease(read("/etc/redhat-release")) : parseOsRelease(text);
  if (fields === undefined) return undefined;
  const point = fields.get("ID") === "debian" ? read("/etc/debian_version")?.trim() : undefined;
  return compact({
    family: "linux",
    name: fields.get("NAME") ?? fields.get("ID"),
    version: fields.get("VERSION_ID") ?? fields.get("VERSION"),
    edition: fields.get("VARIANT") ?? fields.get("VARIANT_ID"),
    build: fields.get("BUILD_ID") ?? point,
  });
}

/** Assignments as a shell reads them: one per line, quotes and backslashes, comments. */
export function parseOsRelease(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Z][A-Z0-9_]*)=(.*)$/.exec(line);
    const [, key, raw] = match ?? [];
    if (key === undefined || raw === undefined) continue;
    const value = raw.trim();
    const quoted = /^"((?:[^"\\]|\\.)*)"|^'([^']*)'/.exec(value);
    fields.set(key, quoted === null ? value : (quoted[2] ?? (quoted[1] ?? "").replace(/\\(.)/g, "$1")));
  }
  return fields;
}

/** Systems from before os-release: "CentOS release 6.10 (Final)". */
function ofRedHatRelease(text: string | undefined): Map<string, string> | undefined {
  const match = /^(.+?) release (\S+)/.exec(text ?? "");
  const [, name, version] = match ?? [];
  if (name === undefined || version === undefined) return undefined;
  return new Map([
    ["NAME", name],
    ["VERSION_ID", version],
  ]);
}

function readMac(files: RootedFiles, findings: Findings): Os | undefined {
  const place = "/System/Library/CoreServices/SystemVersion.plist";
  const plist = findings.attempt(place, () => parsePlist(files.read(place, 64 * 1024)));
  if (plist === undefined) return undefined;
  return compact({
    family: "macos",
    name: plist.get("ProductName"),
    version: plist.get("ProductVersion"),
    build: plist.get("ProductBuildVersion"),
  });
}

/** By e_machine, named as `uname -m` does. */
const machines: Readonly<Record<number, string>> = {
  0x03: "i686",
  0x15: "ppc64le",
  0x16: "s390x",
  0x28: "armv7l",
  0x3e: "x86_64",
  0xb7: "aarch64",
  0xf3: "riscv64",
  0x102: "loongarch64",
};

export function elfMachine(head: Buffer): string | undefined {
  if (head.length < 20 || head.toString("latin1", 0, 4) !== "\x7fELF") return undefined;
  return machines[head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18)];
}

const bounds: Readonly<Record<keyof Os, number>> = {
  family: 32,
  name: 256,
  version: 128,
  edition: 128,
  build: 128,
  arch: 32,
  kernel: 128,
  installedAt: 40,
};

/** Without what is not known or beyond the bounds of the schema. */
export function compact(fields: { [K in keyof Os]: Os[K] | undefined }): Os {
  const os: Os = {};
  for (const key of Object.keys(bounds) as (keyof Os)[]) {
    const value = fields[key]?.trim();
    if (value !== undefined && value !== "" && value.length <= bounds[key] && !value.includes("\0")) os[key] = value;
  }
  return os;
}
