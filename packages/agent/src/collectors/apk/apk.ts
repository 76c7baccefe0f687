/**
 * Purpose: Alpine packages, from apk's database of what is installed.
 * Invariants: one title per record (apk keeps no others in this file). apk notes no install date. `m:` is the maintainer, `I:` the
 * installed size in bytes.
 * On failure: an unreadable file is an error; a broken record is an error with its line, the others stay.
 */
import type { Collector } from "../collector.ts";
import { createFindings, nameOfMailbox, type Findings } from "../findings.ts";
import { rootedFiles } from "../rooted-files.ts";
import { stanzas } from "../stanzas.ts";

/** Alpine moved its database below /usr; where one place is a link to the other it is read once. */
const databases = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
const maxBytes = 256 * 1024 * 1024;

export const apk: Collector = {
  name: "apk",
  platforms: ["linux"],
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const seen = new Set<string>();
    for (const database of databases) {
      const real = findings.attempt(database, () => files.realPath(database));
      if (real === undefined || seen.has(real)) continue;
      seen.add(real);
      const text = findings.attempt(database, () => files.readText(database, maxBytes));
      if (text !== undefined) parseInstalled(text, database, findings);
    }
    return findings.result();
  },
};

export function parseInstalled(text: string, place: string, findings: Findings): void {
  // Case matters here: `m:` is the maintainer, `M:` a directory's mode.
  for (const { line, fields, badLine } of stanzas(text, ["P", "V", "A", "I", "m"] as const, true)) {
    if (badLine !== undefined) findings.error(place, "malformed", `line ${badLine}: not a field`);
    if (fields.P === undefined || fields.V === undefined) {
      if (badLine === undefined) findings.error(place, "malformed", `line ${line}: a record without name or version`);
      if (fields.P === undefined) continue;
    }
    findings.title(
      place,
      {
        name: fields.P,
        version: fields.V,
        publisher: nameOfMailbox(fields.m),
        source: "apk",
        arch: fields.A,
        size: fields.I !== undefined && /^\d{1,15}$/.test(fields.I) ? Number(fields.I) : undefined,
      },
      `line ${line}`,
    );
  }
  if (text.length > 0 && !text.endsWith("\n")) {
    findings.error(place, "malformed", "the file ends in the middle of a line; packages may be missing");
  }
}
