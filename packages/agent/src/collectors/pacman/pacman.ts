/**
 * Purpose: Arch Linux packages (and MSYS2's), from the `desc` file that pacman keeps per installed package.
 * Invariants: one directory, one title. Size is in bytes, the install date in Unix seconds.
 * On failure: a broken or unreadable `desc` is an error of that package; the others stay.
 */
import type { Collector } from "../collector.ts";
import { createFindings, nameOfMailbox, rfc3339, type Findings } from "../findings.ts";
import { rootedFiles } from "../rooted-files.ts";

const database = "/var/lib/pacman/local";
const maxBytes = 4 * 1024 * 1024;

export const pacman: Collector = {
  name: "pacman",
  platforms: ["linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    for (const entry of findings.attempt(database, () => files.list(database)) ?? []) {
      if (!entry.isDirectory()) continue; // ALPM_DB_VERSION
      const place = `${database}/${entry.name}/desc`;
      const text = findings.attempt(place, () => files.readText(place, maxBytes));
      if (text !== undefined) parseDesc(text, place, findings);
      else if (!files.exists(place)) findings.error(place, "malformed", "a package directory without its description");
    }
    return findings.result();
  },
};

export function parseDesc(text: string, place: string, findings: Findings): void {
  const fields = sections(text);
  const name = fields.get("NAME");
  const version = fields.get("VERSION");
  if (name === undefined || version === undefined) {
    findings.error(place, "malformed", `no ${name === undefined ? "%NAME%" : "%VERSION%"}`);
    if (name === undefined) return;
  }
  findings.title(place, {
    name,
    version,
    publisher: packager(fields.get("PACKAGER")),
    source: "pacman",
    arch: fields.get("ARCH"),
    size: digits(fields.get("SIZE")),
    installedAt: rfc3339((digits(fields.get("INSTALLDATE")) ?? 0) * 1000),
  });
}

/** `%KEY%` on a line of its own, then values; only the first value is wanted here. */
function sections(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let key: string | undefined;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "") key = undefined;
    else if (key !== undefined) {
      if (!fields.has(key)) fields.set(key, line);
    } else if (/^%[A-Z0-9_]+%$/.test(line)) key = line.slice(1, -1);
  }
  return fields;
}

function packager(text: string | undefined): string | undefined {
  return text === "Unknown Packager" ? undefined : nameOfMailbox(text);
}

function digits(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
