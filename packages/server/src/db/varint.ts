/** Purpose: LEB128 variable-length numbers, up to 2^53. Writes `value` at `at`, answers the place behind it. */
export function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    out[next++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[next++] = rest;
  return next;
}
