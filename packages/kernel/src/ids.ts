import { randomBytes } from "node:crypto";

/** 26 characters that sort by time of making: 48 bits of milliseconds, 80 random bits, Crockford's base 32. */
export function newId(now: number, random: (bytes: number) => Buffer = randomBytes): string {
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  let time = "";
  for (let rest = now, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = alphabet.charAt(rest % 32) + time;
  let tail = "";
  for (const byte of random(16)) tail += alphabet.charAt(byte & 31);
  return time + tail;
}

/** A secret with 256 random bits, for tokens. */
export function newSecret(random: (bytes: number) => Buffer = randomBytes): string {
  return random(32).toString("base64url");
}
