/** Purpose: chance that can be repeated. The seed of a run is DAICHO_SEED, else the test's own. */
export interface Chance {
  /** 0 ≤ x < 1 */
  next(): number;
  /** 0 ≤ n < below */
  whole(below: number): number;
  pick<T>(list: readonly T[]): T;
}

/** `nth`: the seed that many further on, for one of many alike. */
export function createChance(seed: number, nth = 0): Chance {
  let state = (Number(process.env["DAICHO_SEED"] ?? seed) + nth) >>> 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const whole = (below: number): number => Math.floor(next() * below);
  return {
    next,
    whole,
    pick(list) {
      const chosen = list[whole(list.length)];
      if (chosen === undefined) throw new RangeError("nothing to pick from");
      return chosen;
    },
  };
}
