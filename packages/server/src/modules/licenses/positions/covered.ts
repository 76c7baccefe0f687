/**
 * Purpose: a cube with what attached rights and allocations make of it at a time (coverage): an installation that a right covers counts as used of the
 * licence that covers it, in its own department; a free second device counts nothing.
 * Invariants: without attached rights and allocations the cube comes back as it is; otherwise used = installed + difference in every row, `installed`
 * being what the repository counted. Worked out once for as long as it stays so.
 */
import type { AllocationTotals } from "@daicho/licensing";
import { effectAt, type CoverageEffect } from "../coverage/index.ts";
import type { Cube, CubeRows } from "./cube.ts";

export interface Covered {
  /** By department, then by place of the licence: used − installed. */
  readonly differences: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** By place of the licence, for licences of which something is allocated. */
  readonly allocations: ReadonlyMap<number, AllocationTotals>;
}

const known = new WeakMap<Cube, { readonly effect: CoverageEffect; readonly cube: Cube }>();

export async function withCoverage(cube: Cube, at: number): Promise<Cube> {
  if (cube.coverage === undefined) return cube;
  const effect = await effectAt(cube.coverage, at);
  const before = known.get(cube);
  if (before?.effect === effect) return before.cube;
  const made = applied(cube, effect);
  known.set(cube, { effect, cube: made });
  return made;
}

function applied(cube: Cube, effect: CoverageEffect): Cube {
  const places = new Map(cube.licenses.map(({ ordinal }, place) => [ordinal, place]));
  const differences = new Map<number, ReadonlyMap<number, number>>();
  const rows = new Map(cube.rows);
  for (const [department, byLicense] of effect.differences) {
    const byPlace = new Map([...byLicense].map(([license, by]) => [places.get(license) ?? -1, by]));
    differences.set(department, byPlace);
    rows.set(department, moved(cube.rows.get(department), byPlace));
  }
  const allocations = new Map([...effect.allocations].map(([license, totals]) => [places.get(license) ?? -1, totals]));
  return { ...cube, rows, covered: { differences, allocations } };
}

function moved(rows: CubeRows | undefined, differences: ReadonlyMap<number, number>): CubeRows {
  const there = rows ?? { license: new Int32Array(0), numbers: new Float64Array(0) };
  const absent = [...differences.keys()].filter((place) => !there.license.includes(place));
  const places = absent.length === 0 ? there.license : Int32Array.from([...there.license, ...absent]).sort();
  const numbers = new Float64Array(places.length * 4);
  for (let to = 0, from = 0; to < places.length; to++) {
    const place = places[to] as number;
    if (there.license[from] === place) numbers.set(there.numbers.subarray(from * 4, ++from * 4), to * 4);
    numbers[to * 4] = (numbers[to * 4] as number) + (differences.get(place) ?? 0);
  }
  return { license: places, numbers };
}
