/**
 * Purpose: which licences an entitlement may be used for - attached rights and version paths together - and which licences are thereby linked, so
 * that they have to be looked at as one group.
 * Invariants: a right names licences of the caller's list or nothing; an entitlement never reaches its own licence by a right; a licence that no right
 * links to another, and that has no second device, is in no group and costs nothing.
 */
import type { Metric } from "@daicho/protocol";
import type { AttachedRight } from "./rights.ts";
import type { CoverRight, Reach } from "./types.ts";

/** Licence codes, oldest first. */
export type VersionPath = readonly string[];

export const noReach: Reach = Object.freeze({ licenses: new Map(), titles: 1, secondDevice: false });

/** A chassis on which a second copy may stand (hardware.chassis, as the agent words it). */
const portableChassis = new Set([
  "laptop",
  "notebook",
  "subnotebook",
  "portable",
  "handheld",
  "otherhandheld",
  "tablet",
  "convertible",
  "detachable",
]);

export function isPortable(chassis: string | undefined): boolean {
  return chassis !== undefined && portableChassis.has(chassis.toLowerCase().replace(/[\s_-]+/g, ""));
}

/** Where several rights reach one licence, the first of suite, downgrade, upgrade names it. */
export function reachOf(
  own: { readonly code: string; readonly metric: Metric },
  rights: readonly AttachedRight[],
  paths: readonly VersionPath[],
  ordinalOf: (code: string) => number | undefined,
): Reach {
  if (rights.length === 0) return noReach;
  const licenses = new Map<number, Exclude<CoverRight, "direct">>();
  const add = (codes: readonly string[], right: Exclude<CoverRight, "direct">): void => {
    for (const code of codes) {
      const license = code === own.code ? undefined : ordinalOf(code);
      if (license !== undefined && !licenses.has(license)) licenses.set(license, right);
    }
  };
  const of = (word: AttachedRight["right"]): AttachedRight | undefined => rights.find(({ right }) => right === word);
  const suite = of("suite");
  if (suite !== undefined) add(suite.licenses ?? [], "suite");
  const titles = 1 + licenses.size;
  for (const word of ["downgrade", "upgrade"] as const) {
    const right = of(word);
    if (right === undefined) continue;
    if (right.licenses !== undefined) add(right.licenses, word);
    else
      for (const path of paths) {
        const at = path.indexOf(own.code);
        if (at !== -1) add(word === "downgrade" ? path.slice(0, at).reverse() : path.slice(at + 1), word);
      }
  }
  // A second device is a device: where people, cores or nothing is counted there is none.
  return { licenses, titles, secondDevice: own.metric === "device" && of("second-device") !== undefined };
}

/**
 * Groups of licences that rights link; each sorted, in the order of their first. A licence that has only a second device is a group of its own.
 */
export function linkedGroups(
  entitlements: Iterable<{ readonly license: number; readonly reach: Reach }>,
): readonly (readonly number[])[] {
  const parent = new Map<number, number>();
  const rootOf = (license: number): number => {
    let root = license;
    for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root)) root = up;
    parent.set(license, root);
    return root;
  };
  for (const { license, reach } of entitlements) {
    if (reach.licenses.size === 0 && !reach.secondDevice) continue;
    const root = rootOf(license);
    for (const other of reach.licenses.keys()) parent.set(rootOf(other), root);
  }
  const groups = new Map<number, number[]>();
  for (const license of [...parent.keys()].sort((a, b) => a - b)) {
    const root = rootOf(license);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [license]);
    else group.push(license);
  }
  return [...groups.values()];
}
