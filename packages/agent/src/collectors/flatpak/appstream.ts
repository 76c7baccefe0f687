/**
 * Purpose: what an application's AppStream file says of it: name, newest release, developer.
 * Invariants: the untranslated name counts. Releases are written newest first, but not always, so dates decide where all have one.
 * On failure: a Fault for what is no XML; a file without the elements gives none.
 */
import { attribute, children, parseXml, textOf, type XmlNode } from "../xml.ts";

export interface AppStream {
  readonly name: string | undefined;
  readonly version: string | undefined;
  readonly developer: string | undefined;
}

export function appStreamPlaces(id: string): string[] {
  return ["export", "files"].flatMap((base) => [
    `${base}/share/metainfo/${id}.metainfo.xml`,
    `${base}/share/metainfo/${id}.appdata.xml`,
    `${base}/share/appdata/${id}.appdata.xml`,
    `${base}/share/appdata/${id}.metainfo.xml`,
  ]);
}

export function parseAppStream(bytes: Buffer): AppStream {
  const document = parseXml(bytes);
  const component = children(document, "component")[0] ?? children(document, "application")[0];
  return {
    name: untranslated(children(component, "name")),
    version: newestRelease(children(children(component, "releases")[0], "release")),
    developer:
      untranslated(children(component, "developer_name")) ??
      untranslated(children(children(component, "developer")[0], "name")),
  };
}

function untranslated(nodes: readonly XmlNode[]): string | undefined {
  return textOf(nodes.find((node) => attribute(node, "lang") === undefined));
}

function newestRelease(releases: readonly XmlNode[]): string | undefined {
  const dated = releases.map((release) => ({ version: attribute(release, "version"), at: dateOf(release) }));
  if (dated.some(({ at }) => Number.isNaN(at))) return dated[0]?.version;
  return dated.reduce<(typeof dated)[number] | undefined>(
    (newest, release) => (newest === undefined || release.at > newest.at ? release : newest),
    undefined,
  )?.version;
}

function dateOf(release: XmlNode): number {
  const timestamp = attribute(release, "timestamp");
  return timestamp === undefined ? Date.parse(attribute(release, "date") ?? "") : Number(timestamp) * 1000;
}
