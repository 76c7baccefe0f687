/**
 * Purpose: SWID tags (ISO/IEC 19770-2, editions 2009 and 2015) in the directories where installers leave them.
 * Invariants: a tag is a title unless it says that it is a patch, a supplement to another tag or the tag of an installation medium
 * (corpus). A tag reachable by two ways (links) is read once. The directories are searched by fixed patterns, never by a walk.
 * On failure: a broken tag is an error of that file; the others stay.
 */
import type { Dirent } from "node:fs";
import type { Collector } from "../collector.ts";
import { createFindings, Fault, type Findings, type TitleFields } from "../findings.ts";
import { rootedFiles, type RootedFiles } from "../rooted-files.ts";
import { attribute, children, parseXml, textOf, type XmlNode } from "../xml.ts";

/** `*` stands for one directory of any name. Tags lie in the directory itself or one below it (one per tag creator). */
const places = [
  "/usr/lib/swidtag",
  "/usr/share/swidtag",
  "/usr/share/*/swidtag",
  "/usr/share/regid.*",
  "/usr/local/lib/swidtag",
  "/usr/local/share/swidtag",
  "/usr/local/share/*/swidtag",
  "/var/lib/swidtag",
  "/etc/swid/swidtags.d",
  "/opt/swidtag",
  "/opt/*/swidtag",
  "/opt/*/*/swidtag",
  "/ProgramData/regid.*",
  "/ProgramData/swidtag",
  "/ProgramData/*/swidtag",
  "/Program Files/*/swidtag",
  "/Program Files/*/*/swidtag",
  "/Program Files (x86)/*/swidtag",
  "/Program Files (x86)/*/*/swidtag",
  "/Library/Application Support/regid.*",
  "/Library/Application Support/swidtag",
  "/Library/Application Support/*/swidtag",
  "/Applications/*/Contents/swidtag",
  "/Applications/*/Contents/Resources/swidtag",
];
/** Payload and Evidence list files, so tags can be long; those with more are not inventories of software but of disks. */
const maxBytes = 4 * 1024 * 1024;
const maxTags = 20_000;

export const swid: Collector = {
  name: "swid",
  collect(context) {
    const files = rootedFiles(context.root, context.live);
    const findings = createFindings();
    const seen = new Set<string>();
    for (const pattern of places) {
      for (const place of expand(pattern, files, findings)) collectDirectory(place, 1, files, findings, seen);
    }
    return findings.result();
  },
};

function expand(pattern: string, files: RootedFiles, findings: Findings): string[] {
  let found = [""];
  for (const segment of pattern.split("/").slice(1)) {
    if (!segment.includes("*")) {
      found = found.map((place) => `${place}/${segment}`);
      continue;
    }
    const prefix = segment.slice(0, -1);
    found = found.flatMap((place) =>
      (findings.attempt(place, () => files.list(place)) ?? [])
        .filter(
          (entry) => entry.name.startsWith(prefix) && isDirectory(`${place}/${entry.name}`, entry, files, findings),
        )
        .map((entry) => `${place}/${entry.name}`),
    );
  }
  return found;
}

/** Links are followed here, so that one in a circle and a name that is no text are told as what they are. */
function isDirectory(path: string, entry: Dirent, files: RootedFiles, findings: Findings): boolean {
  if (entry.isDirectory() && !entry.name.includes("\ufffd")) return true;
  if (!entry.isDirectory() && !entry.isSymbolicLink()) return false;
  return findings.attempt(path, () => files.stat(path).isDirectory()) === true;
}

function collectDirectory(
  place: string,
  depth: number,
  files: RootedFiles,
  findings: Findings,
  seen: Set<string>,
): void {
  for (const entry of findings.attempt(place, () => files.list(place)) ?? []) {
    const path = `${place}/${entry.name}`;
    if (/\.swidtag$/i.test(entry.name)) {
      const host = findings.attempt(path, () => files.realPath(path));
      if (host === undefined || seen.has(host)) continue;
      if (seen.size >= maxTags)
        return findings.error(place, "too-large", `more than ${maxTags} tags; the rest was not read`);
      seen.add(host);
      findings.attempt(path, () => {
        const fields = parseTag(files.read(path, maxBytes));
        if (fields !== undefined) findings.title(path, { ...fields, path });
      });
    } else if (depth > 0 && isDirectory(path, entry, files, findings)) {
      collectDirectory(path, depth - 1, files, findings, seen);
    }
  }
}

/** The title a tag states; `undefined` for a tag that is no title. Throws a Fault for what is no tag. */
export function parseTag(bytes: Buffer): TitleFields | undefined {
  const document = parseXml(bytes);
  const edition2015 = children(document, "SoftwareIdentity")[0];
  if (edition2015 !== undefined) return identity2015(edition2015);
  const edition2009 = children(document, "software_identification_tag")[0];
  if (edition2009 !== undefined) return identity2009(edition2009);
  throw new Fault("malformed", "is no SWID tag (neither SoftwareIdentity nor software_identification_tag)");
}

function identity2015(tag: XmlNode): TitleFields | undefined {
  if (["patch", "supplemental", "corpus"].some((flag) => isTrue(attribute(tag, flag)))) return undefined;
  const entities = children(tag, "Entity");
  const creator =
    entities.find((entity) => hasRole(entity, "softwareCreator")) ??
    entities.find((entity) => hasRole(entity, "tagCreator"));
  return fieldsOf({
    name: attribute(tag, "name"),
    version: attribute(tag, "version"),
    publisher: attribute(creator, "name"),
    identifier: attribute(tag, "tagId"),
  });
}

function identity2009(tag: XmlNode): TitleFields | undefined {
  // The 2009 edition has no patch flag; suppliers of updates mark them in the optional element of this name.
  if (isTrue(textOf(children(tag, "patch")[0])) || isTrue(textOf(children(tag, "supplemental")[0]))) return undefined;
  const version = children(tag, "product_version")[0];
  const id = children(tag, "software_id")[0];
  return fieldsOf({
    name: textOf(children(tag, "product_title")[0]),
    version: textOf(children(version, "name")[0]) ?? numericVersion(children(version, "numeric")[0]),
    publisher: textOf(children(children(tag, "software_creator")[0], "name")[0]),
    identifier: textOf(children(id, "unique_id")[0]),
  });
}

function fieldsOf(found: Record<"name" | "version" | "publisher" | "identifier", string | undefined>): TitleFields {
  if (found.name === undefined) throw new Fault("malformed", "the tag names no product");
  return { ...found, name: found.name, source: "swid" };
}

function numericVersion(node: XmlNode | undefined): string | undefined {
  const parts = ["major", "minor", "build", "review"].map((part) => textOf(children(node, part)[0]));
  const known = parts.slice(0, parts.indexOf(undefined) >>> 0);
  return known.length === 0 ? undefined : known.join(".");
}

function hasRole(entity: XmlNode, role: string): boolean {
  return (attribute(entity, "role") ?? "").split(/\s+/).some((word) => word.toLowerCase() === role.toLowerCase());
}

function isTrue(text: string | undefined): boolean {
  return text === "true" || text === "1";
}
