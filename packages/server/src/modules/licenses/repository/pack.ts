/** Purpose: a device's licences as bytes: (licence ordinal difference, count) pairs as variable-length numbers, sorted by ordinal. */
import type { LicenseCount } from "@daicho/licensing";
import { writeVarint } from "../../../db/varint.ts";

export function packLicenses(licenses: readonly LicenseCount[]): Buffer {
  const sorted = [...licenses].sort((a, b) => a[0] - b[0]);
  const out = Buffer.alloc(sorted.length * 10);
  let at = 0;
  let previous = 0;
  for (const [license, count] of sorted) {
    at = writeVarint(out, at, license - previous);
    at = writeVarint(out, at, count);
    previous = license;
  }
  return Buffer.from(out.subarray(0, at));
}

export function unpackLicenses(bytes: Uint8Array): LicenseCount[] {
  const numbers: number[] = [];
  let value = 0;
  let factor = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * factor;
    if ((byte & 0x80) !== 0) {
      factor *= 128;
      continue;
    }
    numbers.push(value);
    value = 0;
    factor = 1;
  }
  const out: LicenseCount[] = [];
  let license = 0;
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    license += numbers[i] as number;
    out.push([license, numbers[i + 1] as number]);
  }
  return out;
}

/** Calls `work` for each (licence, count) pair; makes nothing. */
export function eachPacked(bytes: Uint8Array, work: (license: number, count: number) => void): void {
  let value = 0;
  let factor = 1;
  let license = 0;
  let isCount = false;
  for (const byte of bytes) {
    value += (byte & 0x7f) * factor;
    if ((byte & 0x80) !== 0) {
      factor *= 128;
      continue;
    }
    if (isCount) work(license, value);
    else license += value;
    isCount = !isCount;
    value = 0;
    factor = 1;
  }
}
