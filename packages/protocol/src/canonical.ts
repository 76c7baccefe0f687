/**
 * Purpose: one byte form for what is hashed or signed. Object keys sorted by code unit, no white space, `undefined` left out.
 */
import * as crypto from "node:crypto";

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((v) => canonicalJson(v === undefined ? null : v)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const object = value as Record<string, unknown>;
    const parts: string[] = [];
    for (const key of Object.keys(object).sort()) {
      const v = object[key];
      if (v !== undefined) parts.push(`${JSON.stringify(key)}:${canonicalJson(v)}`);
    }
    return `{${parts.join(",")}}`;
  }
  return JSON.stringify(value);
}

// One call instead of three objects (Node 20.12): a third of the time for a title's line.
const oneShot = (
  crypto as {
    hash?: ((algorithm: string, data: string | Uint8Array, encoding: "buffer") => Buffer) &
      ((algorithm: string, data: string | Uint8Array) => string);
  }
).hash;

export const sha256: (data: string | Uint8Array) => Buffer =
  oneShot === undefined
    ? (data) => crypto.createHash("sha256").update(data).digest()
    : (data) => oneShot("sha256", data, "buffer");

export const sha256Hex: (data: string | Uint8Array) => string =
  oneShot === undefined ? (data) => sha256(data).toString("hex") : (data) => oneShot("sha256", data);
