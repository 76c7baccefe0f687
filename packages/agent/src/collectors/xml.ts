/**
 * Purpose: small XML files of strangers (SWID tags, AppStream metadata, MSIX manifests) as plain objects: children by name,
 * attributes as `@name`, text as `#text`, name spaces dropped, every value text.
 * Own reader, because these formats need little of XML, the files may be hostile, and loading a general parser costs a scan of a machine
 * that has no such file more than the scan.
 * Invariants: one pass, no recursion, nesting of at most 64; a document type declaration is passed over when it only refers elsewhere and
 * is a Fault when it declares anything, hence no entities but the five and character references. What is read is bounded by the caller's read of the file.
 * On failure: throws a Fault (malformed with the line, unsupported).
 */
import { Fault } from "./findings.ts";

export type XmlNode = string | XmlNode[] | { [key: string]: XmlNode };

interface Element {
  readonly name: string;
  readonly content: Map<string, XmlNode>;
  text: string;
}

const maxDepth = 64;
const nameAt = /[\p{L}_][\p{L}\p{N}._\-·]*(?::[\p{L}_][\p{L}\p{N}._\-·]*)?/uy;
const attributeAt = /\s+([\p{L}_][\p{L}\p{N}._:\-·]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/uy;
const tagEndAt = /\s*(\/?)>/y;

export function parseXml(bytes: Buffer): XmlNode {
  const text = decode(bytes);
  const open: Element[] = [{ name: "", content: new Map(), text: "" }];
  let at = text.startsWith("\ufeff") ? 1 : 0;

  const fail = (message: string): never => {
    const line = text.slice(0, at).split("\n").length;
    throw new Fault("malformed", `line ${line}: is not well-formed XML (${message})`);
  };
  const skipPast = (end: string, what: string): number => {
    const found = text.indexOf(end, at);
    return found === -1 ? fail(`${what} without an end`) : found + end.length;
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  const close = (element: Element): void => {
    const parent = open.at(-1);
    if (parent !== undefined) add(parent, element.name, valueOf(element));
  };

  while (at < text.length) {
    const current = open.at(-1);
    if (current === undefined) break;
    const next = text.indexOf("<", at);
    const upTo = next === -1 ? text.length : next;
    if (open.length > 1) current.text += unescape(text.slice(at, upTo));
    else if (text.slice(at, upTo).trim() !== "") fail("text outside of the document");
    at = upTo;
    if (at === text.length) break;

    if (text.startsWith("<!--", at)) at = skipPast("-->", "a comment");
    else if (text.startsWith("<?", at)) at = skipPast("?>", "a processing instruction");
    else if (text.startsWith("<![CDATA[", at)) {
      const end = skipPast("]]>", "a CDATA section");
      if (open.length === 1) fail("text outside of the document");
      current.text += text.slice(at + 9, end - 3);
      at = end;
    } else if (text.startsWith("<!", at)) {
      const end = skipPast(">", "a document type declaration");
      if (text.slice(at, end).includes("["))
        throw new Fault("unsupported", "document type declarations of one's own are not read");
      at = end;
    } else if (text.startsWith("</", at)) {
      at += 2;
      const name = local(match(nameAt)?.[0] ?? "");
      if (open.length === 1 || name !== current.name || match(tagEndAt)?.[1] !== "")
        fail("an end tag that ends nothing");
      open.pop();
      close(current);
    } else {
      at += 1;
      const name = match(nameAt)?.[0] ?? fail("a tag without a name");
      const element: Element = { name: local(name), content: new Map(), text: "" };
      for (let found = match(attributeAt); found !== null; found = match(attributeAt)) {
        const key = found[1] ?? "";
        // `xmlns:x` and `x:name` are both cut to what follows; the first attribute of a name counts.
        const attributeName = `@${local(key)}`;
        if (key === "xmlns" || key.startsWith("xmlns:") || element.content.has(attributeName)) continue;
        element.content.set(attributeName, found[2] ?? found[3] ?? "");
      }
      const end = match(tagEndAt) ?? fail("a tag without an end");
      if (open.length === 1 && current.content.size > 0) fail("a second document");
      if (end[1] === "/") close(element);
      else if (open.push(element) > maxDepth) fail("nested too deeply");
    }
  }
  const [document, unclosed] = open;
  if (unclosed !== undefined) fail(`the element ${unclosed.name.slice(0, 40)} has no end`);
  if (document === undefined || document.content.size === 0) return fail("there is no element");
  return Object.fromEntries(document.content);
}

function add({ content }: Element, name: string, value: XmlNode): void {
  const others = content.get(name);
  if (others === undefined) content.set(name, value);
  else if (Array.isArray(others)) others.push(value);
  else content.set(name, [others, value]);
}

/** An element of text alone is that text. */
function valueOf({ content, text }: Element): XmlNode {
  if (content.size === 0) return text;
  return Object.fromEntries(text.trim() === "" ? content : content.set("#text", text));
}

function local(name: string): string {
  return name.slice(name.indexOf(":") + 1);
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
  return typeof value === "string" ? value.trim() || undefined : undefined;
}

function decode(bytes: Buffer): string {
  const label = encodingOf(bytes);
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    throw new Fault("unsupported", `the encoding ${label} is not known`);
  }
}

function encodingOf(bytes: Buffer): string {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0x3c && bytes[1] === 0)) return "utf-16le";
  if ((bytes[0] === 0xfe && bytes[1] === 0xff) || (bytes[0] === 0 && bytes[1] === 0x3c)) return "utf-16be";
  const declared = /^<\?xml[^>]{0,100}encoding=["']([A-Za-z0-9._-]{1,40})["']/.exec(
    bytes.toString("latin1", 0, 200),
  )?.[1];
  return declared ?? "utf-8";
}

const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

export function unescape(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(
    /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/g,
    (whole: string, hex: string | undefined, decimal: string | undefined, name: string | undefined) => {
      if (name !== undefined) return named[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
    },
  );
}
