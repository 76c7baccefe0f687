/**
 * Purpose: version, product and company of a Windows program, from its version resource. Nothing is run, and only headers, the
 * resource directory's path to RT_VERSION and that resource are read.
 * Invariants: no loops and no recursion - three directory levels, counted entries, every offset checked against the file; whatever
 * does not fit is a Fault. A program without a version resource is a program that says nothing.
 * Source: Microsoft PE Format; VS_VERSIONINFO, StringFileInfo in the Windows documentation.
 */
import { Fault } from "../findings.ts";
import type { FileBytes } from "./bytes.ts";

export interface VersionResource {
  /** The numeric file version, `1.2.3.4`; the text only where there is no number. */
  readonly version?: string;
  readonly product?: string;
  readonly company?: string;
}

const versionType = 16;
const maxEntries = 4096;
const maxSections = 96;
const maxResource = 64 * 1024;

/** undefined: not a PE file. */
export function readVersionResource(file: FileBytes): VersionResource | undefined {
  if (file.size < 64) return undefined;
  const dos = file.read(0, 64);
  if (dos.toString("latin1", 0, 2) !== "MZ") return undefined;
  const header = dos.readUInt32LE(60);
  if (header + 24 > file.size) return undefined; // a DOS program
  const coff = file.read(header, 24);
  if (coff.toString("latin1", 0, 4) !== "PE\0\0") return undefined;

  const optionalSize = coff.readUInt16LE(20);
  const directory = resourceDirectory(file.read(header + 24, optionalSize));
  if (directory === undefined) return {};
  const sections = readSections(file, header + 24 + optionalSize, coff.readUInt16LE(6));
  const base = toOffset(sections, directory);
  const leaf = findVersionLeaf(file, base);
  if (leaf === undefined) return {};
  const size = Math.min(leaf.size, maxResource);
  return parseVersionInfo(file.read(toOffset(sections, leaf.address), size));
}

interface Section {
  readonly address: number;
  readonly length: number;
  readonly offset: number;
}

/** The address of the resource directory; undefined where there is none. */
function resourceDirectory(optional: Buffer): number | undefined {
  if (optional.length < 2) return undefined;
  const wide = optional.readUInt16LE(0) === 0x20b;
  const directories = wide ? 112 : 96;
  const entry = directories + 2 * 8;
  if (optional.length < entry + 8 || optional.readUInt32LE(directories - 4) < 3) return undefined;
  const address = optional.readUInt32LE(entry);
  return address === 0 ? undefined : address;
}

function readSections(file: FileBytes, offset: number, count: number): Section[] {
  if (count > maxSections) throw new Fault("malformed", `${count} sections are too many for a program`);
  const table = file.read(offset, count * 40);
  return Array.from({ length: count }, (_, i) => ({
    address: table.readUInt32LE(i * 40 + 12),
    length: table.readUInt32LE(i * 40 + 16),
    offset: table.readUInt32LE(i * 40 + 20),
  }));
}

function toOffset(sections: readonly Section[], address: number): number {
  const section = sections.find((s) => address >= s.address && address < s.address + s.length);
  if (section === undefined) throw new Fault("malformed", "the resource directory refers to no section");
  return section.offset + (address - section.address);
}

/** Type 16, then the first name, then the first language. */
function findVersionLeaf(file: FileBytes, base: number): { address: number; size: number } | undefined {
  const type = readEntries(file, base).find((entry) => entry.id === versionType);
  if (type === undefined) return undefined;
  const name = readEntries(file, base + childDirectory(type.target))[0];
  if (name === undefined) return undefined;
  const language = readEntries(file, base + childDirectory(name.target))[0];
  if (language === undefined) return undefined;
  const leaf = file.read(base + language.target, 16);
  return { address: leaf.readUInt32LE(0), size: leaf.readUInt32LE(4) };
}

function childDirectory(target: number): number {
  if (target < 0x80000000) throw new Fault("malformed", "the version resource lies where a directory should be");
  return target - 0x80000000;
}

function readEntries(file: FileBytes, offset: number): { id: number; target: number }[] {
  const head = file.read(offset, 16);
  const count = head.readUInt16LE(12) + head.readUInt16LE(14);
  if (count > maxEntries) throw new Fault("malformed", `a resource directory of ${count} entries`);
  const table = file.read(offset + 16, count * 8);
  return Array.from({ length: count }, (_, i) => ({
    id: table.readUInt32LE(i * 8),
    target: table.readUInt32LE(i * 8 + 4),
  }));
}

/** One node of VS_VERSIONINFO: length, value length, type, key, value, children. */
interface Block {
  readonly key: string;
  readonly value: Buffer;
  readonly children: Buffer;
}

export function parseVersionInfo(bytes: Buffer): VersionResource {
  const root = blocks(bytes)[0];
  if (root?.key !== "VS_VERSION_INFO") throw new Fault("malformed", "the version resource has no VS_VERSION_INFO");
  const texts = new Map<string, string>();
  for (const info of blocks(root.children)) {
    if (info.key !== "StringFileInfo") continue;
    for (const table of blocks(info.children)) {
      for (const { key, value } of blocks(table.children)) {
        const text = value.toString("utf16le").split("\0", 1)[0]?.trim() ?? "";
        if (text !== "" && !texts.has(key)) texts.set(key, text.slice(0, 512));
      }
    }
  }
  const version = fixedVersion(root.value) ?? texts.get("FileVersion") ?? texts.get("ProductVersion");
  const product = texts.get("ProductName");
  const company = texts.get("CompanyName");
  return {
    ...(version === undefined ? {} : { version }),
    ...(product === undefined ? {} : { product }),
    ...(company === undefined ? {} : { company }),
  };
}

function fixedVersion(value: Buffer): string | undefined {
  if (value.length < 16 || value.readUInt32LE(0) !== 0xfeef04bd) return undefined;
  const [high, low] = [value.readUInt32LE(8), value.readUInt32LE(12)];
  if (high === 0 && low === 0) return undefined;
  return [high >>> 16, high & 0xffff, low >>> 16, low & 0xffff].join(".");
}

/** The sibling nodes in `bytes`; ends at the first that does not fit. */
function blocks(bytes: Buffer): Block[] {
  const found: Block[] = [];
  for (let at = 0; at + 6 <= bytes.length && found.length < maxEntries;) {
    const length = bytes.readUInt16LE(at);
    if (length < 6 || at + length > bytes.length) break;
    const block = bytes.subarray(at, at + length);
    let keyEnd = 6;
    while (keyEnd + 2 <= block.length && block.readUInt16LE(keyEnd) !== 0) keyEnd += 2;
    const start = Math.min(align(keyEnd + 2), block.length);
    // Of text the length is counted in characters, of anything else in bytes; some compilers count bytes all the same.
    const unit = block.readUInt16LE(4) === 1 ? 2 : 1;
    const end = Math.min(start + block.readUInt16LE(2) * unit, block.length);
    found.push({
      key: block.toString("utf16le", 6, keyEnd),
      value: block.subarray(start, end),
      children: block.subarray(Math.min(align(end), block.length)),
    });
    at += align(length);
  }
  return found;
}

function align(offset: number): number {
  return (offset + 3) & ~3;
}
