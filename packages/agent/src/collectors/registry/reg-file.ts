/**
 * Purpose: the text that `reg export` and regedit write ("Windows Registry Editor Version 5.00" and REGEDIT4), as events.
 * Invariants: a broken line costs itself and never another: values below a key line that cannot be read belong to no key and are
 * left out, a string or a list of bytes that is never closed ends where the next entry begins. A value is handed on whole or not at
 * all. Every fault has its line. Time is linear in the size of the text; one value is at most `maxValue` characters.
 * Grammar beyond the obvious: regedit writes line breaks inside strings as they are; `[-KEY]` and `"x"=-` delete; the last `]` of a
 * line ends the key, because names may hold brackets.
 */
import { isUtf8 } from "node:buffer";
import { createLineReader, type LineReader } from "./reg-lines.ts";
import { decodeValue, numberValue, stringValue, type RegistryValue } from "./tree.ts";

export interface RegHandler {
  /** From here on values belong to `path`. False: this key's values are of no interest. */
  key(path: string): boolean;
  value(value: RegistryValue): void;
  deleteKey(path: string): void;
  deleteValue(name: string): void;
  fault(line: number, message: string): void;
}

export const maxValue = 1024 * 1024;

/** A value that goes on in the next line. */
interface Open {
  readonly kind: "text" | "bytes";
  readonly line: number;
  readonly name: string;
  readonly type: number;
  readonly parts: string[];
  length: number;
}

export function createRegReader(handler: RegHandler): LineReader {
  let headerSeen = false;
  let narrow = false;
  /** `lost`: the key line could not be read. */
  let section: "none" | "wanted" | "unwanted" | "lost" = "none";
  let open: Open | undefined;

  const lines = createLineReader({
    line(text, number) {
      if (open !== undefined && carriesOn(open, text)) return;
      begin(text, number);
    },
    fault(number, message, opening) {
      if (open !== undefined) abandon(open);
      if (opening === "[") section = "lost";
      handler.fault(number, message);
    },
  });

  return {
    write: lines.write,
    end() {
      lines.end();
      if (open !== undefined) abandon(open);
      if (!headerSeen)
        handler.fault(1, "this is no registry export: its first line must name the registry editor's version");
    },
  };

  function begin(line: string, number: number): void {
    const text = line.trim();
    if (text === "" || text.startsWith(";") || text.startsWith("#")) return;
    if (/^(?:Windows Registry Editor Version 5\.00|REGEDIT4)$/i.test(text)) {
      headerSeen = true;
      narrow = text.toUpperCase() === "REGEDIT4";
      return;
    }
    if (!headerSeen) {
      headerSeen = true;
      handler.fault(number, 'the first line is neither "Windows Registry Editor Version 5.00" nor "REGEDIT4"');
    }
    if (text.startsWith("[")) return beginKey(text, number);
    // Leading space is the only space that never belongs to a value: a string may end in the next line.
    if (text.startsWith('"') || text.startsWith("@")) return beginValue(line.trimStart(), number);
    handler.fault(number, "neither a key, a value nor a comment; the line was left out");
  }

  function beginKey(text: string, number: number): void {
    const end = text.lastIndexOf("]");
    const remove = text.startsWith("[-");
    const path = text.slice(remove ? 2 : 1, end).replace(/^\\+|\\+$/g, "");
    if (end === -1 || path === "" || path.includes("\0")) {
      section = "lost";
      handler.fault(number, end === -1 ? "the key is not closed by ]" : "the key has no usable name");
    } else if (remove) {
      section = "unwanted";
      handler.deleteKey(path);
    } else {
      section = handler.key(path) ? "wanted" : "unwanted";
    }
  }

  function beginValue(text: string, number: number): void {
    if (section === "none") return handler.fault(number, "a value before the first key; it was left out");
    const nameEnd = text.startsWith("@") ? 0 : closingQuote(text, 1);
    const equals = nameEnd === -1 ? null : /^\s*=\s*/.exec(text.slice(nameEnd + 1, nameEnd + 64));
    if (equals === null) return handler.fault(number, "a value must read name=data; it was left out");
    const name = nameEnd === 0 ? "" : unescape(text.slice(1, nameEnd));
    const data = text.slice(nameEnd + 1 + equals[0].length);

    if (data.startsWith('"')) {
      const started: Open = { kind: "text", line: number, name, type: 1, parts: [], length: 0 };
      return takeText(started, data.slice(1));
    }
    const bytes = /^hex(?:\(([0-9a-f]{1,8})\))?:/i.exec(data);
    if (bytes !== null) {
      const type = bytes[1] === undefined ? 3 : parseInt(bytes[1], 16);
      const started: Open = { kind: "bytes", line: number, name, type, parts: [], length: 0 };
      return takeBytes(started, data.slice(bytes[0].length));
    }
    const number32 = /^dword:\s*([0-9a-f]{1,8})\s*(?:;.*)?$/i.exec(data);
    if (number32?.[1] !== undefined) return complete(numberValue(name, parseInt(number32[1], 16)));
    if (/^-\s*(?:;.*)?$/.test(data)) {
      if (section === "wanted") handler.deleteValue(name);
      return;
    }
    handler.fault(number, "the data is neither a string, dword:, hex: nor -; the value was left out");
  }

  /** Does the line belong to the open value? If not, the value was never closed. */
  function carriesOn(value: Open, text: string): boolean {
    const belongs =
      value.kind === "text"
        ? !/^\s*(?:\[-?(?:HK|\\)|@\s*=|"(?:[^"\\]|\\.){0,1024}"\s*=)/i.test(text)
        : /^[\s0-9a-f,]*\\?\s*$/i.test(text) && text.trim() !== "";
    if (!belongs) {
      abandon(value);
      return false;
    }
    if (value.kind === "text") {
      value.parts.push("\r\n");
      takeText(value, text);
    } else {
      takeBytes(value, text);
    }
    return true;
  }

  function takeText(value: Open, text: string): void {
    open = undefined;
    const end = closingQuote(text, 0);
    if (end === -1) {
      keepOpen(value, text);
    } else if (!/^\s*(?:;.*)?$/.test(text.slice(end + 1))) {
      handler.fault(value.line, "there is text after the closing quote; the value was left out");
    } else {
      keep(value, text.slice(0, end));
      if (fits(value)) complete(stringValue(value.name, unescape(value.parts.join(""))));
    }
  }

  function takeBytes(value: Open, text: string): void {
    open = undefined;
    const trimmed = text.trim();
    if (trimmed.endsWith("\\")) return keepOpen(value, trimmed.slice(0, -1));
    keep(value, trimmed);
    if (section !== "wanted" || !fits(value)) return;
    const bytes = parseBytes(value.parts.join(""));
    const isText = value.type === 1 || value.type === 2 || value.type === 7;
    if (bytes === undefined) handler.fault(value.line, "the bytes are not hexadecimal; the value was left out");
    else if (narrow && isText && !isUtf8(bytes))
      handler.fault(value.line, "the text is in an old code page; the value was left out");
    else complete(decodeValue(value.name, value.type, bytes, narrow));
  }

  function keepOpen(value: Open, text: string): void {
    keep(value, text);
    open = value;
  }

  function keep(value: Open, text: string): void {
    value.length += text.length;
    if (section === "wanted" && value.length <= maxValue) value.parts.push(text);
  }

  function fits(value: Open): boolean {
    if (value.length <= maxValue || section !== "wanted") return true;
    handler.fault(value.line, `the value is longer than ${maxValue} characters; it was left out`);
    return false;
  }

  function complete(value: RegistryValue): void {
    if (section === "wanted") handler.value(value);
  }

  function abandon(value: Open): void {
    open = undefined;
    const what = value.kind === "text" ? "the string is never closed" : "the list of bytes breaks off";
    handler.fault(value.line, `${what}; the value was left out`);
  }
}

/** Where the string ends that began before `from`; a quote after a backslash is part of it. */
function closingQuote(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5c) i++;
    else if (code === 0x22) return i;
  }
  return -1;
}

/** `\\` and `\"` everywhere; `\n`, `\r`, `\0` as Wine writes them. */
function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([\\"nr0])/g, (_, escaped: string) => escapes[escaped] ?? escaped);
}
const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", "0": "\0" };

function parseBytes(text: string): Buffer | undefined {
  const digits = text.replace(/[\s,]+$/, "");
  if (digits.trim() === "") return Buffer.alloc(0);
  const parts = digits.split(",");
  const bytes = Buffer.alloc(parts.length);
  for (let i = 0; i < parts.length; i++) {
    const part = (parts[i] ?? "").trim();
    if (!/^[0-9a-f]{1,2}$/i.test(part)) return undefined;
    bytes[i] = parseInt(part, 16);
  }
  return bytes;
}
