/**
 * Purpose: what an AppxManifest.xml says about its package.
 * Invariants: a name that is only a reference into resources (`ms-resource:…`) is no name; the identity's is used instead.
 * On failure: throws a Fault.
 */
import { Fault } from "../findings.ts";
import { attribute, children, parseXml, textOf, type XmlNode } from "../xml.ts";

export interface Manifest {
  readonly name: string;
  readonly displayName: string;
  readonly version: string;
  readonly arch: string | undefined;
  readonly publisher: string | undefined;
  /** A framework, a resource package or an optional package: part of other packages, no title. */
  readonly auxiliary: boolean;
}

export function parseManifest(bytes: Buffer): Manifest {
  const root = children(parseXml(bytes), "Package")[0];
  const identity = children(root, "Identity")[0];
  const name = attribute(identity, "Name");
  if (name === undefined) throw new Fault("malformed", "the manifest has no identity");
  const properties = children(root, "Properties")[0];
  const isTrue = (property: string): boolean => textOf(children(properties, property)[0])?.toLowerCase() === "true";
  return {
    name,
    displayName: literal(properties, "DisplayName") ?? name,
    version: attribute(identity, "Version") ?? "",
    arch: attribute(identity, "ProcessorArchitecture")?.toLowerCase(),
    publisher: literal(properties, "PublisherDisplayName") ?? commonName(attribute(identity, "Publisher")),
    auxiliary:
      isTrue("Framework") ||
      isTrue("ResourcePackage") ||
      children(children(root, "Dependencies")[0], "MainPackageDependency").length > 0,
  };
}

function literal(properties: XmlNode | undefined, name: string): string | undefined {
  const text = textOf(children(properties, name)[0]);
  return text === undefined || /^ms-resource:/i.test(text) ? undefined : text;
}

/** `CN=Contoso, O=…` → `Contoso`. A name that is only a GUID or hash is the Store's, not a publisher's. */
function commonName(distinguished: string | undefined): string | undefined {
  const name = /(?:^|,\s*)CN=(?:"([^"]+)"|([^,]+))/i.exec(distinguished ?? "");
  const text = (name?.[1] ?? name?.[2])?.trim();
  return text === undefined || text === "" || /^[0-9A-F-]{36}$/i.test(text) ? undefined : text;
}
