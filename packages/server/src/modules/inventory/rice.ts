/**
 * Purpose: ascending 16-bit numbers as Rice codes of their gaps: how many are between two, its low `k` bits as they are and the rest as so many zeros before
 * a one. Where members are spread evenly that is within a few per cent of the least possible; a byte for each step is a fifth to a half more.
 * Bits are filled from the lowest of each byte on.
 */

const scratch = new Uint8Array(1 << 18);
const view = new DataView(scratch.buffer);
const list = new Uint16Array(65_536);

export function packRice(sorted: Uint16Array): { readonly bytes: Buffer; readonly k: number } {
  const k = bestK(sorted);
  const low = 2 ** k - 1;
  const out = new Uint8Array((bitsWith(sorted, k) + 7) >> 3);
  let at = 0;
  let next = 0;
  for (let i = 0; i < sorted.length; i++) {
    const gap = (sorted[i] as number) - next;
    next += gap + 1;
    at += gap >> k;
    out[at >> 3] = (out[at >> 3] as number) | (1 << (at & 7));
    at++;
    // At most 15 bits, which begin anywhere in a byte.
    for (let bits = (gap & low) << (at & 7), byte = at >> 3; bits !== 0; bits >>= 8, byte++)
      out[byte] = (out[byte] as number) | (bits & 0xff);
    at += k;
  }
  return { bytes: Buffer.from(out.buffer), k };
}

/** `count` numbers, or as many as are there, in a list that the next call fills again; those from `end` on may be left out. */
export function unpackRice(bytes: Uint8Array, k: number, count: number, end = 65_536): Uint16Array {
  // Behind the end come ones, so that no code is longer than what is there.
  scratch.set(bytes);
  scratch.fill(0xff, bytes.length, bytes.length + 8);
  const low = 2 ** k - 1;
  const bits = bytes.length * 8;
  let at = 0;
  let next = 0;
  let i = 0;
  while (i < count && at < bits && next < end) {
    // At least 25 bits are there: several codes, most often.
    let word = view.getUint32(at >> 3, true) >>> (at & 7);
    const last = at + 25;
    for (; i < count && at < bits && next < end; i++) {
      const zeros = 31 - Math.clz32(word & -word);
      const length = zeros + 1 + k;
      // Nothing but zeros is a zero with -1.
      if (zeros < 0 || at + length > last) break;
      const gap = (zeros << k) | ((word >>> (zeros + 1)) & low);
      word >>>= length;
      at += length;
      list[i] = next += gap;
      next++;
    }
    if (i >= count || at >= bits || next >= end || last - at < 25) continue;
    // One that is longer.
    let high = 0;
    while ((word & 0x1ffffff) === 0) {
      high += 25;
      at += 25;
      word = view.getUint32(at >> 3, true) >>> (at & 7);
    }
    const zeros = 31 - Math.clz32(word & -word);
    at += zeros + 1;
    const gap = ((high + zeros) << k) | ((view.getUint32(at >> 3, true) >>> (at & 7)) & low);
    at += k;
    list[i++] = next += gap;
    next++;
  }
  return list.subarray(0, i);
}

function bitsWith(sorted: Uint16Array, k: number): number {
  let bits = sorted.length * (k + 1);
  let next = 0;
  for (let i = 0; i < sorted.length; i++) {
    const gap = (sorted[i] as number) - next;
    next += gap + 1;
    bits += gap >> k;
  }
  return bits;
}

/** Near what evenly spread members would take, the one that these take least with. */
function bestK(sorted: Uint16Array): number {
  if (sorted.length === 0) return 0;
  const mean = ((sorted[sorted.length - 1] as number) + 1) / sorted.length;
  const near = Math.min(15, Math.max(0, Math.round(Math.log2(mean * Math.LN2))));
  let best = near;
  let least = bitsWith(sorted, near);
  for (const step of [1, -1])
    for (let k = near + step; k >= 0 && k <= 15; k += step) {
      const bits = bitsWith(sorted, k);
      if (bits >= least) break;
      [best, least] = [k, bits];
    }
  return best;
}
