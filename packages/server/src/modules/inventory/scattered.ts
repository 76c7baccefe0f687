/** 32 bits that follow from the number and look like chance: what is laid over each other or dealt out by them comes out evenly. */
export function scattered(number: number): number {
  let h = Math.imul(number ^ 0x9e3779b9, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
