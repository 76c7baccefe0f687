/**
 * Purpose: installed snaps: snapd's own state, and `meta/snap.yaml` of the mounted revisions.
 * Invariants: one title per snap, for its current revision; bases and operating system snaps (core22, snapd) are snaps like others.
 * The version stands only inside the snap: on an offline disk, where nothing is mounted, it stays empty. The publisher comes from
 * the store's assertions that snapd keeps.
 * On failure: a broken state file is an error, the mounted snaps remain, and the other way round.
 */
import type { Collector } from "../collector.ts";
import { createFindings, Fault, rfc3339, type Findings } from "../findings.ts";
import { parseObject, record, text } from "../json.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";

const stateFile = "/var/lib/snapd/state.json";
/** Distributions with classic snaps link /snap to the second. */
const mountPlaces = ["/snap", "/var/lib/snapd/snap"];
const assertions = "/var/lib/snapd/assertions/asserts-v0";
const snapName = /^[a-z0-9][a-z0-9-]{0,39}(?:_[a-z0-9]{1,10})?$/;

interface KnownSnap {
  readonly name: string;
  readonly revision?: string | undefined;
  readonly id?: string | undefined;
}

export const snap: Collector = {
  name: "snap",
  platforms: ["linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const state = findings.attempt(stateFile, () => parseState(files.readText(stateFile, 64 * 1024 * 1024), findings));
    const snaps = new Map((state ?? []).map((known) => [known.name, known]));
    const mounts = mountedSnaps(files, findings);
    for (const name of mounts.keys()) if (!snaps.has(name)) snaps.set(name, { name });

    for (const known of [...snaps.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const mount = mounts.get(known.name);
      const yaml = `${mount}/meta/snap.yaml`;
      const meta =
        mount === undefined ? undefined : findings.attempt(yaml, () => parseMeta(files.readText(yaml, 1024 * 1024)));
      if (meta === undefined && state === undefined) continue; // a directory below /snap that is no snap
      const revision = known.revision ?? (mount === undefined ? undefined : currentRevision(mount, files, findings));
      const image = `/var/lib/snapd/snaps/${known.name}_${revision}.snap`;
      const stats = revision === undefined ? undefined : findings.attempt(image, () => files.stat(image));
      findings.title(mount ?? stateFile, {
        name: known.name,
        version: meta?.version,
        publisher: publisherOf(known.id, files),
        source: "snap",
        arch: meta?.arch,
        identifier: known.id,
        size: stats?.size,
        installedAt: stats === undefined ? undefined : rfc3339(stats.mtimeMs),
        path: mount,
      });
    }
    return findings.result();
  },
};

export function parseState(json: string, findings: Findings): KnownSnap[] {
  const snaps = record(record(parseObject(json)["data"])["snaps"]);
  const known: KnownSnap[] = [];
  for (const [name, value] of Object.entries(snaps)) {
    if (!snapName.test(name)) {
      findings.error(stateFile, "malformed", `${JSON.stringify(name.slice(0, 80))} is no snap name; it was left out`);
      continue;
    }
    const entry = record(value);
    const revision = text(entry["current"]);
    const sequence = Array.isArray(entry["sequence"]) ? entry["sequence"].map(sideInfo) : [];
    const current = sequence.find((side) => text(side["revision"]) === revision) ?? sequence.at(-1) ?? {};
    known.push({
      name,
      revision: revision !== undefined && /^x?\d{1,9}$/.test(revision) ? revision : undefined,
      id: text(current["snap-id"]),
    });
  }
  return known;
}

/** Newer snapd wraps what older ones state directly. */
function sideInfo(value: unknown): Record<string, unknown> {
  const entry = record(value);
  return "snap" in entry ? record(entry["snap"]) : entry;
}

function mountedSnaps(files: RootedFiles, findings: Findings): Map<string, string> {
  const found = new Map<string, string>();
  for (const place of mountPlaces) {
    for (const entry of findings.attempt(place, () => files.list(place)) ?? []) {
      if (!entry.isDirectory() || entry.name === "bin" || !snapName.test(entry.name) || found.has(entry.name)) continue;
      const current = `${place}/${entry.name}/current`;
      if (files.exists(`${current}/meta/snap.yaml`)) found.set(entry.name, current);
    }
  }
  return found;
}

function currentRevision(mount: string, files: RootedFiles, findings: Findings): string | undefined {
  const host = findings.attempt(mount, () => files.realPath(mount));
  const revision = host?.split(/[\\/]/).at(-1);
  return revision !== undefined && /^x?\d{1,9}$/.test(revision) ? revision : undefined;
}

/** The two top-level scalars wanted; snap.yaml is YAML, but snapcraft writes these as plain or quoted one-line scalars. */
export function parseMeta(yaml: string): { version: string; arch: string | undefined } {
  const version = scalar(yaml, "version");
  if (scalar(yaml, "name") === undefined || version === undefined)
    throw new Fault("malformed", "no name or no version");
  const architectures = /^architectures:\s*(?:\[\s*|\n\s*-\s*)["']?([A-Za-z0-9_-]+)/m.exec(yaml)?.[1];
  return { version, arch: architectures };
}

function scalar(yaml: string, key: string): string | undefined {
  const value = new RegExp(`^${key}:[ \\t]+(.*)$`, "m").exec(yaml)?.[1]?.trim();
  if (value === undefined || value === "") return undefined;
  const quoted = /^'((?:[^']|'')*)'/.exec(value)?.[1]?.replaceAll("''", "'") ?? /^"([^"\\]*)"/.exec(value)?.[1];
  return quoted ?? value.replace(/\s+#.*$/, "");
}

/** Two signed text files: the snap's declaration names the account, the account its display name. */
function publisherOf(id: string | undefined, files: RootedFiles): string | undefined {
  if (id === undefined || !/^[A-Za-z0-9]{32}$/.test(id)) return undefined;
  const header = (place: string, key: string): string | undefined => {
    try {
      return scalar(files.readText(place, 1024 * 1024), key);
    } catch {
      return undefined; // an optional extra: without the store's word the snap has no publisher
    }
  };
  const account = header(`${assertions}/snap-declaration/16/${id}/active`, "publisher-id");
  if (account === undefined || !/^[A-Za-z0-9-]{2,64}$/.test(account)) return undefined;
  return header(`${assertions}/account/${account}/active`, "display-name") ?? account;
}
