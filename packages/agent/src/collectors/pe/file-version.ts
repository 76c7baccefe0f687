/**
 * Purpose: version, product and company of a program file for the conditions `file(version …, product …, company …)`: a PE file's
 * version resource; for a Mach-O program the Info.plist of the bundle it lies in. The file decides by its first bytes, not its name.
 * Invariants: nothing is run; links are not followed; some headers are read and no more. Any other kind of file says nothing.
 * On failure: throws an errno error or a Fault.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { maxPlist, parsePlist } from "../app-bundle/plist.ts";
import { Fault } from "../findings.ts";
import { readMachoArchitectures } from "../macho/header.ts";
import { bytesOfFile } from "./bytes.ts";
import { readVersionResource, type VersionResource } from "./version-resource.ts";

export type FileVersion = VersionResource;

const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
const bundleName = /\.(?:app|framework|bundle|plugin|appex|xpc|kext|prefPane)$/i;
const maxLevels = 8;

/** undefined: no kind of file that has a version. */
export function readFileVersion(path: string): FileVersion | undefined {
  const fd = openSync(path, flags);
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const file = bytesOfFile(fd);
    const resource = readVersionResource(file);
    if (resource !== undefined) return resource;
    return readMachoArchitectures(file) === undefined ? undefined : readBundleVersion(path);
  } finally {
    closeSync(fd);
  }
}

function readBundleVersion(path: string): FileVersion | undefined {
  let folder = dirname(path);
  for (let level = 0; level < maxLevels && folder !== dirname(folder); level++, folder = dirname(folder)) {
    if (!bundleName.test(basename(folder))) continue;
    for (const place of ["Contents/Info.plist", "Resources/Info.plist", "Info.plist"]) {
      const bytes = readPlist(join(folder, place));
      if (bytes === undefined) continue;
      const info = parsePlist(bytes);
      const version = info.get("CFBundleShortVersionString") ?? info.get("CFBundleVersion");
      const product = info.get("CFBundleName") ?? info.get("CFBundleDisplayName");
      return { ...(version === undefined ? {} : { version }), ...(product === undefined ? {} : { product }) };
    }
  }
  return undefined;
}

function readPlist(path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return undefined;
    if (stats.size > maxPlist) throw new Fault("too-large", "the bundle's Info.plist is too big");
    const bytes = Buffer.alloc(stats.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}
