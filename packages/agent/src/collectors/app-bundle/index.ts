/**
 * Purpose: macOS application bundles (`*.app`) below /Applications, /System/Applications and every user's Applications; input methods
 * (ATOK, 搜狗) are bundles too, below /Library/Input Methods and every user's own.
 * Invariants: a bundle is not entered - helpers inside it are no titles; folders are, to depth 3. A bundle whose Info.plist cannot be
 * understood is an error and no title: its folder's name alone does not say what is installed.
 * Left absent on purpose: publisher (a bundle identifier's prefix is a domain, the copyright line free text: neither names a publisher
 * reliably) and the install date where the App Store left no receipt (a bundle's mtime is that of its build, as often as not).
 * A bundle is one title where it lies. A link to one that lies elsewhere counts like it (macOS keeps Safari on a volume of its own and
 * links to it); links to folders are not followed.
 */
import { basename } from "node:path/posix";
import type { Collector } from "../collector.ts";
import { createFindings, rfc3339, type Findings } from "../findings.ts";
import { readMachoArchitectures } from "../macho/header.ts";
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
    const found = folders.flatMap((folder) => bundlesIn(files, findings, folder, 1));
    const seen = new Set<string>();
    for (const { path, linked } of [...found].sort((a, b) => Number(a.linked) - Number(b.linked))) {
      const real = findings.attempt(path, () => files.realPath(path));
      if (real === undefined || seen.has(real)) continue;
      seen.add(real);
      if (!linked || isBundle(files, findings, path, real)) collectBundle(files, findings, path);
    }
    return findings.result();
  },
};

interface Found {
  readonly path: string;
  readonly linked: boolean;
}

function bundlesIn(files: RootedFiles, findings: Findings, folder: string, depth: number): Found[] {
  return (findings.attempt(folder, () => files.list(folder)) ?? []).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    const linked = entry.isSymbolicLink();
    if (!linked && !entry.isDirectory()) return [];
    if (/\.app$/i.test(entry.name)) return [{ path, linked }];
    return !linked && depth < maxDepth ? bundlesIn(files, findings, path, depth + 1) : [];
  });
}

/** Does the link lead to a bundle, and not to a part of one? */
function isBundle(files: RootedFiles, findings: Findings, path: string, real: string): boolean {
  const above = real.slice(files.realPath("/").length).split(/[\\/]/).slice(0, -1);
  return (
    !above.some((name) => /\.app$/i.test(name)) && findings.attempt(path, () => files.stat(path).isDirectory()) === true
  );
}

function collectBundle(files: RootedFiles, findings: Findings, path: string): void {
  // Applications of iPhone and iPad keep their bundle below Wrapper.
  const contents = files.exists(`${path}/Contents/Info.plist`) ? `${path}/Contents` : wrapped(files, findings, path);
  if (contents === undefined) return findings.error(path, "malformed", "the bundle has no Info.plist; it was left out");
  const place = `${contents}/Info.plist`;
  const info = findings.attempt(place, () => parsePlist(files.read(place, maxPlist)));
  if (info === undefined) return;
  const text = (key: string): string | undefined => info.get(key)?.trim() || undefined;
  const executable = text("CFBundleExecutable");
  findings.title(place, {
    name: text("CFBundleDisplayName") ?? text("CFBundleName") ?? basename(path).slice(0, -".app".length),
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

function wrapped(files: RootedFiles, findings: Findings, path: string): string | undefined {
  const wrapper = `${path}/Wrapper`;
  const inner = findings
    .attempt(wrapper, () => files.list(wrapper))
    ?.find((entry) => entry.isDirectory() && entry.name.endsWith(".app"));
  return inner === undefined ? undefined : `${wrapper}/${inner.name}`;
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
    return files.open(path, ({ size, readAt }) => readMachoArchitectures({ size, read: readAt }));
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
