/**
 * Purpose: the port through which everything here sees a Windows registry, live or exported.
 * Invariants: paths are full (`HKEY_LOCAL_MACHINE\SOFTWARE\…`), without a trailing backslash, and compared without regard to case;
 * the 64-bit view is what is seen, the 32-bit one lies below WOW6432Node. Methods never throw: a key that is not there has no
 * subkeys and no values; one that cannot be read is a fault, kept until `takeFaults` hands it over.
 */
import type { ScanError } from "@daicho/protocol";

export type RegistryKind = "string" | "multi" | "number" | "binary";

export interface RegistryValue {
  /** `""` is the key's default value. */
  readonly name: string;
  readonly kind: RegistryKind;
  /** Strings up to their first NUL, lists joined by line feeds, numbers in decimal, anything else as hexadecimal digits. */
  readonly text: string;
}

export interface RegistryTree {
  /** Names of the keys directly below `path`; `""` stands above the roots. */
  subkeys(path: string): readonly string[];
  values(path: string): readonly RegistryValue[];
  /** Full paths of the existing keys that lie at `suffix` below any machine or user hive, in both views: 64-bit, then 32-bit. */
  below(suffix: string): readonly string[];
  takeFaults(): ScanError[];
}

/** One value of a key as text; absent, empty and what is neither text nor number are the same. */
export function valueText(values: readonly RegistryValue[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  const value = values.find((one) => one.name.toLowerCase() === wanted);
  return value === undefined || value.text === "" || value.kind === "binary" ? undefined : value.text;
}

const types = { none: 0, sz: 1, expand: 2, dword: 4, dwordBigEndian: 5, multi: 7, qword: 11 } as const;

/** The bytes of a value of the given REG_ type, as Windows stores them (`.reg` files of version 4: single-byte text). */
export function decodeValue(name: string, type: number, bytes: Buffer, narrow = false): RegistryValue {
  if (type === types.sz || type === types.expand) {
    const [text = ""] = decodeText(bytes, narrow).split("\0", 1);
    return { name, kind: "string", text };
  }
  if (type === types.multi) {
    const texts = decodeText(bytes, narrow).split("\0");
    return { name, kind: "multi", text: texts.filter((text) => text !== "").join("\n") };
  }
  if (type === types.dword && bytes.length === 4) return numberValue(name, bytes.readUInt32LE(0));
  if (type === types.dwordBigEndian && bytes.length === 4) return numberValue(name, bytes.readUInt32BE(0));
  if (type === types.qword && bytes.length === 8) return numberValue(name, bytes.readBigUInt64LE(0));
  return { name, kind: "binary", text: bytes.toString("hex") };
}

export function stringValue(name: string, text: string): RegistryValue {
  return { name, kind: "string", text: text.split("\0", 1)[0] ?? "" };
}

export function numberValue(name: string, number: number | bigint): RegistryValue {
  return { name, kind: "number", text: String(number) };
}

function decodeText(bytes: Buffer, narrow: boolean): string {
  return narrow ? bytes.toString("utf8") : bytes.subarray(0, bytes.length & ~1).toString("utf16le");
}
