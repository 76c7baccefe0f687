/**
 * Purpose: the cube as if so many more of some licences had been bought, for a purchase run that must know what everyone will use afterwards: what is
 * bought covers installations of its own licence, and an attached right that covered one of them before covers another one then - in another
 * department, perhaps.
 * Invariant: only what attached rights and allocations are worked out from is changed; `held` stays what it is.
 */
import { reachOf } from "@daicho/licensing";
import type { Cube } from "./cube.ts";

/** Licence (ordinal) → quantity. The same cube where none of them is one that rights link. */
export function withBought(cube: Cube, bought: ReadonlyMap<number, number>): Cube {
  const { coverage } = cube;
  if (coverage === undefined) return cube;
  const { rules } = coverage;
  const more = [...bought].flatMap(([ordinal, units]) => {
    const license = rules.licenses.get(ordinal);
    return license === undefined
      ? []
      : [
          {
            // Sorts behind every id there is, as what is bought last does.
            id: `~${license.code}`,
            license: ordinal,
            metric: license.metric,
            units,
            startsAt: null,
            expiresAt: null,
            reach: reachOf(license, [], [], () => undefined),
          },
        ];
  });
  if (more.length === 0) return cube;
  return { ...cube, coverage: { ...coverage, rules: { ...rules, entitlements: [...rules.entitlements, ...more] } } };
}
