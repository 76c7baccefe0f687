/** Purpose: LEB128 variable-length numbers, up to 2^53. Writes `value` at `at`, answers the place behind it. */
export function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest > 0x7fffffff) {
    out[next++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    out[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[next++] = rest;
  return next;
}

/** The number at `at` and the place behind it. */
export function readVarint(bytes: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  let next = at;
  for (let factor = 1; next < bytes.length; factor *= 128) {
    const byte = bytes[next++] as number;
    value += (byte & 0x7f) * factor;
    if ((byte & 0x80) === 0) break;
  }
  return [value, next];
}
