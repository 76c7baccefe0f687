/**
 * Purpose: the top-level dictionary of a property list written as XML. A scanner of its own: property lists are a dozen tags, files
 * are read synchronously in the middle of a walk, and a general parser takes longer to load than a scan of a small machine takes.
 * Invariants: one pass, linear in the text; elements must be closed in order; a document type declaration is passed over when it only
 * refers elsewhere and is a Fault when it declares anything, so entities are the five and character references, and no more.
 */
import { Fault } from "../findings.ts";
import { unescape } from "../xml.ts";

interface Tag {
  readonly kind: "open" | "close" | "empty";
  readonly name: string;
  /** The character data since the tag before. */
  readonly before: string;
}

const scalars = new Set(["string", "integer", "real", "date"]);
const maxDepth = 512;

export function parseXmlPlist(bytes: Buffer): Map<string, string> {
  const entries = new Map<string, string>();
  const open: string[] = [];
  let key: string | undefined;
  let simple = false;
  for (const { kind, name, before } of tags(decode(bytes))) {
    if (kind !== "close") {
      if (open.length === 0 && name !== "plist") throw new Fault("malformed", "is no property list");
      if (open.length === 1 && name !== "dict") throw new Fault("malformed", "the property list is no dictionary");
      if (open.length >= maxDepth) throw new Fault("malformed", "the property list is nested too deeply");
      simple = true;
      open.push(name);
      if (kind === "open") continue;
    }
    if (open.pop() !== name) throw new Fault("malformed", `the property list's <${name}> is closed out of order`);
    if (open.length === 1) return entries;
    const text = simple && kind === "close" ? unescape(before).trim() : "";
    const leaf = simple;
    simple = false;
    if (open.length !== 2) continue;
    if (name === "key") {
      key = leaf ? text : undefined;
      continue;
    }
    const value = name === "true" || name === "false" ? name : scalars.has(name) && leaf ? text : undefined;
    if (key !== undefined && value !== undefined) entries.set(key, value);
    key = undefined;
  }
  throw new Fault("malformed", "the property list breaks off");
}

const tagPattern = /<(\/?)([A-Za-z][\w.-]*)(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>/y;

function* tags(text: string): Generator<Tag> {
  let at = 0;
  let before = "";
  const skipTo = (end: string, from: number): number => {
    const found = text.indexOf(end, from);
    if (found === -1) throw new Fault("malformed", "the property list breaks off");
    return found + end.length;
  };
  for (let start = text.indexOf("<"); start !== -1; start = text.indexOf("<", at)) {
    before += text.slice(at, start);
    if (text.startsWith("<!--", start)) {
      at = skipTo("-->", start + 4);
    } else if (text.startsWith("<![CDATA[", start)) {
      at = skipTo("]]>", start);
      before += text.slice(start + 9, at - 3).replaceAll("&", "&amp;");
    } else if (text.startsWith("<?", start)) {
      at = skipTo("?>", start);
    } else if (text.startsWith("<!", start)) {
      at = skipTo(">", start);
      if (text.slice(start, at).includes("[")) {
        throw new Fault("unsupported", "document type declarations of one's own are not read");
      }
    } else {
      tagPattern.lastIndex = start;
      const [whole, slash, name = "", empty] = tagPattern.exec(text) ?? [];
      if (whole === undefined) throw new Fault("malformed", "the property list is not well-formed XML");
      at = start + whole.length;
      yield { kind: slash === "/" ? "close" : empty === "/" ? "empty" : "open", name, before };
      before = "";
    }
  }
}

function decode(bytes: Buffer): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}
