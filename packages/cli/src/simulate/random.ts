/** Purpose: numbers that look random and are the same on every run: a function of a seed and of what they are for. */
import { createHash } from "node:crypto";

/** 32 bits for (seed, a, b): murmur's finaliser over the three, good enough to spread titles and cheap enough for 100 draws per report. */
export function mix(seed: number, a: number, b: number): number {
  let h = seed ^ Math.imul(a + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) >>> 0;
}

/** From 0 up to, not including, 1. */
export function fraction(seed: number, a: number, b: number): number {
  return mix(seed, a, b) / 0x1_0000_0000;
}

/** An index below `size`; index k about 1/(k+1) as likely as index 0 (Zipf). */
export function zipf(size: number, at: number): number {
  return Math.min(size - 1, Math.floor(Math.exp(at * Math.log(size + 1))) - 1);
}

/** 32 bytes of a secret or identifier that belongs to this seed and purpose alone. */
export function derive(seed: string, purpose: string, device: number): Buffer {
  return createHash("sha256").update(`daicho-simulate/1\n${seed}\n${purpose}\n${device}`).digest();
}

export function seedNumber(seed: string): number {
  return derive(seed, "fleet", 0).readUInt32BE(0);
}
