/**
 * Purpose: Debian packages, from dpkg's own status file; in distroless images, from the files of status.d.
 * Invariants: a title is a package that is installed now - not one of which only configuration is left, nor one half way in. What a
 * running or broken-off dpkg has noted in `updates` and not yet written into the status file counts, as it does for dpkg itself.
 * Copies for several architectures are titles of their own. The install date is the mtime of the package's file list, which dpkg
 * writes at every installation and upgrade.
 * On failure: an unreadable file is an error and no titles; a broken stanza is an error with its line, the others stay. Two records of one package
 * (dpkg itself stops there) are an error and one package: the later record.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Collector } from "../collector.ts";
import { createFindings, nameOfMailbox, rfc3339, type Findings } from "../findings.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { stanzas } from "../stanzas.ts";

const statusFile = "/var/lib/dpkg/status";
const updatesDirectory = "/var/lib/dpkg/updates";
const statusDirectory = "/var/lib/dpkg/status.d";
const infoDirectory = "/var/lib/dpkg/info";
const maxBytes = 256 * 1024 * 1024;
const maxRecordBytes = 1024 * 1024;

export const dpkg: Collector = {
  name: "dpkg",
  platforms: ["linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();

    const text = findings.attempt(statusFile, () => files.readText(statusFile, maxBytes));
    if (text !== undefined) {
      const info = findings.attempt(infoDirectory, () => files.hostPath(infoDirectory));
      const installDate = info === undefined ? () => undefined : listDates(info);
      const updates = readUpdates(files, findings);
      parseStatus(text, statusFile, findings, { installDate, updated: (key) => updates.has(key) });
      for (const { place, record } of updates.values()) parseStatus(record, place, findings, { installDate });
    }

    for (const entry of findings.attempt(statusDirectory, () => files.list(statusDirectory)) ?? []) {
      if (entry.name.endsWith(".md5sums") || entry.name.startsWith(".")) continue;
      collectDistroless(`${statusDirectory}/${entry.name}`, files, findings);
    }
    return findings.result();
  },
};

type InstallDate = (name: string, arch: string, multiArch: boolean) => string | undefined;

interface StatusReading {
  readonly installDate?: InstallDate;
  /** Is there a newer record of this package elsewhere? */
  readonly updated?: (key: string) => boolean;
  /** A stanza without a Status field is installed. */
  readonly bare?: boolean;
}

const wanted = ["Package", "Status", "Version", "Architecture", "Multi-Arch", "Maintainer", "Installed-Size"] as const;
type Fields = Partial<Record<(typeof wanted)[number], string>>;

/** Adds the installed packages of a status file. */
export function parseStatus(
  text: string,
  place: string,
  findings: Findings,
  { installDate = () => undefined, updated = () => false, bare = false }: StatusReading = {},
): void {
  const records = new Map<string, { line: number; fields: Fields }>();
  for (const { line, fields, badLine } of stanzas(text, wanted)) {
    if (badLine !== undefined)
      findings.error(place, "malformed", `line ${badLine}: neither a field nor its continuation`);
    const name = fields.Package;
    if (name === undefined || (fields.Status === undefined && !bare)) {
      if (badLine === undefined) findings.error(place, "malformed", `line ${line}: a record without Package or Status`);
      continue;
    }
    const key = `${name}:${fields.Architecture}`;
    const earlier = records.get(key);
    if (earlier !== undefined)
      findings.error(
        place,
        "malformed",
        `line ${line}: ${name} again, after line ${earlier.line}; the later one counts`,
      );
    records.set(key, { line, fields });
  }
  for (const { line, fields } of records.values()) {
    if ((fields.Status !== undefined && !isInstalled(fields.Status)) || updated(keyOf(fields))) continue;
    if (fields.Version === undefined)
      findings.error(place, "malformed", `line ${line}: an installed package without Version`);
    const { Package: name = "", Architecture: arch } = fields;
    findings.title(
      place,
      {
        name,
        version: fields.Version,
        publisher: nameOfMailbox(fields.Maintainer),
        source: "dpkg",
        arch,
        size: kibibytes(fields["Installed-Size"]),
        installedAt: installDate(name, arch ?? "", fields["Multi-Arch"] === "same"),
      },
      `line ${line}`,
    );
  }
  if (text.length > 0 && !text.endsWith("\n") && !bare) {
    findings.error(place, "malformed", "the file ends in the middle of a line; packages may be missing");
  }
}

/** The newest noted record of each package. dpkg gives each change a file of its own, numbered in their order. */
function readUpdates(files: RootedFiles, findings: Findings): Map<string, { place: string; record: string }> {
  const updates = new Map<string, { place: string; record: string }>();
  for (const { name } of findings.attempt(updatesDirectory, () => files.list(updatesDirectory)) ?? []) {
    if (!/^\d{1,9}$/.test(name)) continue;
    const place = `${updatesDirectory}/${name}`;
    const record = findings.attempt(place, () => files.readText(place, maxRecordBytes));
    for (const { fields } of stanzas(record ?? "", wanted)) {
      if (record !== undefined && fields.Package !== undefined) updates.set(keyOf(fields), { place, record });
    }
  }
  return updates;
}

/** Packages of one name for several architectures are several only where they say so. */
function keyOf(fields: Fields): string {
  return fields["Multi-Arch"] === "same" ? `${fields.Package}:${fields.Architecture}` : `${fields.Package}`;
}

/** `want flag state`. A package that only waits for another one's triggers is installed. */
function isInstalled(status: string): boolean {
  const state = status.split(/\s+/)[2];
  return state === "installed" || state === "triggers-pending" || state === "triggers-awaited";
}

function kibibytes(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) * 1024 : undefined;
}

function listDates(infoHostPath: string): InstallDate {
  const dateOf = (file: string): string | undefined => {
    const stats = lstatSync(join(infoHostPath, file), { throwIfNoEntry: false });
    return stats === undefined ? undefined : rfc3339(stats.mtimeMs);
  };
  return (name, arch, multiArch) => {
    // The name becomes part of a path, so it must be a package name.
    if (!/^[A-Za-z0-9][A-Za-z0-9+.-]*$/.test(name) || !/^[A-Za-z0-9-]*$/.test(arch)) return undefined;
    const plain = `${name}.list`;
    const qualified = `${name}:${arch}.list`;
    return multiArch ? (dateOf(qualified) ?? dateOf(plain)) : (dateOf(plain) ?? dateOf(qualified));
  };
}

function collectDistroless(place: string, files: RootedFiles, findings: Findings): void {
  const text = findings.attempt(place, () => files.readText(place, maxRecordBytes));
  if (text !== undefined) parseStatus(text, place, findings, { bare: true });
}
