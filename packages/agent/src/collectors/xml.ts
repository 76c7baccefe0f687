/**
 * Purpose: small XML files of strangers (SWID tags, AppStream metadata) as plain objects.
 * Invariants: no document type declaration, hence no entities but the five and character references; nesting and size bounded by
 * the caller's read; attributes are `@name`, text is `#text`, every value stays text, name spaces are dropped.
 * On failure: throws a Fault (malformed, unsupported).
 */
import { XMLParser } from "fast-xml-parser";
import { Fault } from "./findings.ts";

export type XmlNode = string | XmlNode[] | { [key: string]: XmlNode };

export function parseXml(bytes: Buffer): XmlNode {
  const text = decode(bytes);
  if (text.includes("<!DOCTYPE") || text.includes("<!ENTITY")) {
    throw new Fault("unsupported", "document type declarations are not read");
  }
  if (!text.trimStart().startsWith("<")) throw new Fault("malformed", "is not XML");
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: "@",
    removeNSPrefix: true,
    parseTagValue: false,
    parseAttributeValue: false,
    processEntities: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    maxNestedTags: 64,
  });
  try {
    const parsed: unknown = parser.parse(text, true);
    return isNode(parsed) ? parsed : "";
  } catch (error) {
    throw new Fault(
      "malformed",
      `is not well-formed XML (${error instanceof Error ? error.message.slice(0, 200) : "unknown"})`,
    );
  }
}

/** The element's children of that name; none where it has none. */
export function children(node: XmlNode | undefined, name: string): XmlNode[] {
  if (node === undefined || typeof node === "string") return [];
  if (Array.isArray(node)) return node.flatMap((item) => children(item, name));
  const value = Object.hasOwn(node, name) ? node[name] : undefined;
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

export function attribute(node: XmlNode | undefined, name: string): string | undefined {
  const value = children(node, `@${name}`)[0];
  return typeof value === "string" ? unescape(value).trim() || undefined : undefined;
}

/** The element's own text. */
export function textOf(node: XmlNode | undefined): string | undefined {
  const value = typeof node === "string" ? node : children(node, "#text")[0];
  return typeof value === "string" ? unescape(value).trim() || undefined : undefined;
}

function decode(bytes: Buffer): string {
  const declared = /^<\?xml[^>]{0,100}encoding=["']([A-Za-z0-9._-]{1,40})["']/.exec(
    bytes.toString("latin1", 0, 200),
  )?.[1];
  const label =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? "utf-16le"
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? "utf-16be"
        : bytes[0] === 0x3c && bytes[1] === 0
          ? "utf-16le"
          : (declared ?? "utf-8");
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    throw new Fault("unsupported", `the encoding ${label} is not known`);
  }
}

const named: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescape(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/g, (whole, hex, decimal, name) => {
    if (typeof name === "string") return named[name] ?? whole;
    const code = typeof hex === "string" ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}

function isNode(value: unknown): value is XmlNode {
  return typeof value === "string" || (typeof value === "object" && value !== null);
}
