/**
 * Purpose: rpm packages: from `rpm -qa` on the live machine, else from the database itself - SQLite, ndb or Berkeley DB.
 * Invariants: the version is `epoch:version-release`, the epoch only where there is one other than 0. `gpg-pubkey` entries are keys,
 * not packages. A database reachable by two paths is read once; in a directory with several formats the newest one counts.
 * On failure: a broken package is an error, the others stay; if `rpm` fails the database is read and the failure is an error.
 */
import type { CollectContext, Collector } from "../collector.ts";
import { createFindings, Fault, rfc3339, type Findings } from "../findings.ts";
import { rootedFiles, type OpenFile, type RootedFiles } from "../rooted-files.ts";
import { bdbValues } from "./bdb.ts";
import { parseHeader, type RpmHeader } from "./header.ts";
import { ndbBlobs } from "./ndb.ts";
import { parseQuery, queryArguments } from "./query.ts";
import { tableBlobs } from "./sqlite.ts";

/** The last is where image-based systems (ostree) keep it. */
const directories = ["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];
/** Newest format first: what a conversion leaves behind is the older one. */
const formats = ["rpmdb.sqlite", "Packages.db", "Packages"] as const;
type Format = (typeof formats)[number];

export const rpm: Collector = {
  name: "rpm",
  platforms: ["linux"],
  async collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const databases = findDatabases(files);
    // Without a database nothing is asked: `rpm -qa` on a Debian machine would make an empty one.
    if (databases.length === 0 || (await queryLive(context, databases[0]?.path ?? "/", findings)))
      return findings.result();
    for (const { path, format } of databases) readDatabase(path, format, files, findings);
    return findings.result();
  },
};

function findDatabases(files: RootedFiles): { path: string; format: Format }[] {
  const found: { path: string; format: Format; real: string }[] = [];
  for (const directory of directories) {
    const present = formats.filter((name) => files.exists(`${directory}/${name}`));
    const format = present.find((name) => !isEmpty(`${directory}/${name}`, files)) ?? present[0];
    if (format === undefined) continue;
    const path = `${directory}/${format}`;
    const real = realOrPath(path, files);
    if (!found.some((other) => other.real === real)) found.push({ path, format, real });
  }
  return found;
}

function isEmpty(path: string, files: RootedFiles): boolean {
  try {
    return files.stat(path).size === 0;
  } catch {
    return false;
  }
}

function realOrPath(path: string, files: RootedFiles): string {
  try {
    return files.realPath(path);
  } catch {
    return path;
  }
}

/** True when `rpm` has answered. */
async function queryLive(context: CollectContext, database: string, findings: Findings): Promise<boolean> {
  if (!context.live || context.exec === undefined) return false;
  const answer = await context.exec("rpm", queryArguments, { timeoutMs: 60_000, maxBytes: 64 * 1024 * 1024 });
  if (answer.status === 0) {
    parseQuery(answer.stdout, database, (header, where) => addTitle(header, database, where, findings), findings);
    return true;
  }
  if (answer.reason !== "ENOENT") {
    const why = answer.reason ?? (answer.stderr.trim().split("\n")[0] || `status ${answer.status}`);
    findings.error(database, "command-failed", `rpm -qa failed (${why}); the database was read instead`);
  }
  return false;
}

export function readDatabase(path: string, format: Format, files: RootedFiles, findings: Findings): void {
  findings.attempt(path, () =>
    files.open(path, (opened) => {
      const file = readOnce(opened);
      const fault = (message: string): void => findings.error(path, "malformed", message);
      if (format === "Packages.db") return addAll(ndbBlobs(file, fault), path, findings);
      if (format === "Packages") return addAll(bdbValues(file, fault), path, findings);
      const addFrom = (wal?: OpenFile): void => addAll(tableBlobs(file, wal, "Packages", fault), path, findings);
      const walPath = `${path}-wal`;
      let read = false;
      findings.attempt(walPath, () =>
        files.open(walPath, (wal) => {
          read = true;
          findings.attempt(path, () => addFrom(readOnce(wal)));
        }),
      );
      if (!read) addFrom();
    }),
  );
}

/** A sound database is read about once; one whose records share their pages would cost hours, so what is read is limited. */
function readOnce(file: OpenFile): OpenFile {
  let left = file.size * 3 + 1024 * 1024;
  return {
    size: file.size,
    readAt(offset, length) {
      left -= length;
      if (left < 0) throw new Fault("malformed", "the database contradicts itself: its records overlap");
      return file.readAt(offset, length);
    },
  };
}

function addAll(blobs: Iterable<Buffer>, path: string, findings: Findings): void {
  let index = 0;
  for (const blob of blobs) {
    index++;
    findings.attempt(path, () => addTitle(parseHeader(blob), path, `package ${index}`, findings));
  }
}

function addTitle(header: RpmHeader, place: string, where: string, findings: Findings): void {
  const { name, version, release, epoch, vendor, packager, arch, size, installTime } = header;
  if (name === "gpg-pubkey") return;
  if (version === undefined) findings.error(place, "malformed", `${where}: a package without a version`);
  const full = [version, release].filter((part) => part !== undefined).join("-");
  findings.title(
    place,
    {
      name,
      version: epoch === undefined || epoch === 0 ? full : `${epoch}:${full}`,
      publisher: vendor ?? packager,
      source: "rpm",
      arch,
      size,
      installedAt: rfc3339((installTime ?? 0) * 1000),
    },
    where,
  );
}
