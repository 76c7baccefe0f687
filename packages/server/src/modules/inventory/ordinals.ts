/**
 * Purpose: sets of device ordinals as containers of 65,536, the form postings are stored and answered in.
 * A container is a kind byte (0 = sorted 16-bit numbers, 1 = bitmap of 8,192 bytes) and its payload; the kind is told by the byte, never
 * by the length. A set of ordinals is a map chunk → container.
 */

export const chunkSize = 65_536;
const arrayLimit = 4096;
const bitmapBytes = chunkSize / 8;

/** The members of a container (numbers below 65,536), ascending. */
export function* members(container: Uint8Array): Generator<number> {
  if (container[0] === 1) {
    for (let byte = 0; byte < bitmapBytes; byte++) {
      let bits = container[byte + 1] as number;
      while (bits !== 0) {
        yield byte * 8 + (31 - Math.clz32(bits & -bits));
        bits &= bits - 1;
      }
    }
  } else
    for (let at = 1; at + 1 < container.length; at += 2)
      yield (container[at] as number) | ((container[at + 1] as number) << 8);
}

export function containerSize(container: Uint8Array): number {
  if (container[0] !== 1) return (container.length - 1) / 2;
  let count = 0;
  for (let at = 1; at <= bitmapBytes; at++) count += popcount(container[at] as number);
  return count;
}

/** Applies (offset → present?) to a container; undefined where the result is empty. */
export function changeContainer(
  container: Uint8Array | undefined,
  changes: ReadonlyMap<number, boolean>,
): Buffer | undefined {
  const bits = new Uint8Array(bitmapBytes);
  if (container?.[0] === 1) bits.set(container.subarray(1));
  else if (container !== undefined)
    for (const member of members(container)) bits[member >> 3] = (bits[member >> 3] as number) | (1 << (member & 7));
  for (const [offset, present] of changes) {
    const byte = bits[offset >> 3] as number;
    bits[offset >> 3] = present ? byte | (1 << (offset & 7)) : byte & ~(1 << (offset & 7));
  }
  let count = 0;
  for (const byte of bits) count += popcount(byte);
  if (count === 0) return undefined;
  if (count > arrayLimit) return Buffer.concat([Buffer.of(1), bits]);
  const out = Buffer.alloc(1 + count * 2);
  let at = 1;
  for (let byte = 0; byte < bitmapBytes; byte++)
    for (let rest = bits[byte] as number; rest !== 0; rest &= rest - 1)
      at = out.writeUInt16LE(byte * 8 + (31 - Math.clz32(rest & -rest)), at);
  return out;
}

function popcount(byte: number): number {
  let n = byte;
  n -= (n >> 1) & 0x55;
  n = (n & 0x33) + ((n >> 2) & 0x33);
  return (n + (n >> 4)) & 0x0f;
}
