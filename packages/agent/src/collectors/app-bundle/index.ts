/**
 * Purpose: macOS application bundles (`*.app`) below /Applications, /System/Applications and every user's Applications; input methods
 * (ATOK, 搜狗) are bundles too, below /Library/Input Methods and every user's own.
 * Invariants: a bundle is not entered - helpers inside it are no titles; folders are, to depth 3. A bundle whose Info.plist cannot be
 * understood is an error and no title: its folder's name alone does not say what is installed.
 * Left absent on purpose: publisher (a bundle identifier's prefix is a domain, the copyright line free text: neither names a publisher
 * reliably) and the install date where the App Store left no receipt (a bundle's mtime is that of its build, as often as not).
 * Symbolic links inside these folders are not followed: the bundle is found where it lies.
 */
import { closeSync, constants, openSync } from "node:fs";
import type { Collector } from "../collector.ts";
import { createFindings, rfc3339, type Findings } from "../findings.ts";
import { readMachoArchitectures } from "../macho/header.ts";
import { bytesOfFile } from "../pe/bytes.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { maxPlist, parsePlist } from "./plist.ts";

const maxDepth = 3;

export const appBundle: Collector = {
  name: "app-bundle",
  platforms: ["darwin"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const users = findings.attempt("/Users", () => files.list("/Users")) ?? [];
    const homes = users.filter((entry) => entry.isDirectory()).map((entry) => `/Users/${entry.name}`);
    const folders = [
      ...["/Applications", "/System/Applications", "/Library/Input Methods"],
      ...homes.flatMap((home) => [`${home}/Applications`, `${home}/Library/Input Methods`]),
    ];
    for (const folder of folders) collectFolder(files, findings, folder, 1);
    return findings.result();
  },
};

function collectFolder(files: RootedFiles, findings: Findings, folder: string, depth: number): void {
  for (const entry of findings.attempt(folder, () => files.list(folder)) ?? []) {
    if (!entry.isDirectory()) continue;
    const path = `${folder}/${entry.name}`;
    if (/\.app$/i.test(entry.name)) collectBundle(files, findings, path, entry.name);
    else if (depth < maxDepth) collectFolder(files, findings, path, depth + 1);
  }
}

function collectBundle(files: RootedFiles, findings: Findings, path: string, folderName: string): void {
  // Applications of iPhone and iPad keep their bundle below Wrapper.
  const contents = files.exists(`${path}/Contents/Info.plist`) ? `${path}/Contents` : wrapped(files, path);
  if (contents === undefined) return findings.error(path, "malformed", "the bundle has no Info.plist; it was left out");
  const place = `${contents}/Info.plist`;
  const info = findings.attempt(place, () => parsePlist(files.read(place, maxPlist)));
  if (info === undefined) return;
  const text = (key: string): string | undefined => info.get(key)?.trim() || undefined;
  const executable = text("CFBundleExecutable");
  findings.title(place, {
    name: text("CFBundleDisplayName") ?? text("CFBundleName") ?? folderName.slice(0, -".app".length),
    version: text("CFBundleShortVersionString") ?? text("CFBundleVersion"),
    publisher: undefined,
    source: "app-bundle",
    arch: executable === undefined ? undefined : architectures(files, findings, contents, executable),
    identifier: text("CFBundleIdentifier"),
    installedAt: receiptTime(files, contents),
    size: undefined,
    path,
    lastUsedAt: undefined,
  });
}

function wrapped(files: RootedFiles, path: string): string | undefined {
  const wrapper = `${path}/Wrapper`;
  if (!files.exists(wrapper)) return undefined;
  try {
    const inner = files.list(wrapper).find((entry) => entry.isDirectory() && entry.name.endsWith(".app"));
    return inner === undefined ? undefined : `${wrapper}/${inner.name}`;
  } catch {
    return undefined;
  }
}

function architectures(
  files: RootedFiles,
  findings: Findings,
  contents: string,
  executable: string,
): string | undefined {
  if (executable.includes("/") || executable.includes("\0")) return undefined;
  const flat = !contents.endsWith("/Contents");
  const path = flat ? `${contents}/${executable}` : `${contents}/MacOS/${executable}`;
  const found = findings.attempt(path, () => {
    const fd = openSync(files.hostPath(path), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return readMachoArchitectures(bytesOfFile(fd));
    } finally {
      closeSync(fd);
    }
  });
  return found?.join(",");
}

/** The App Store writes the receipt when it installs. */
function receiptTime(files: RootedFiles, contents: string): string | undefined {
  try {
    return rfc3339(files.stat(`${contents}/_MASReceipt/receipt`).mtimeMs);
  } catch {
    return undefined;
  }
}
