/**
 * Purpose: whom a reversal takes back from what a purchase run gave, when rights were moved on since (domain.md §6, §7): from the department itself as
 * far as it has rights, the rest from those its rights went to.
 * Invariants: where every department had what its runs gave it, it has so after every move, newest run first; a claim moves with rights only, never
 * more of it than of them, so what is gone by other hands stays gone where it went; claims are neither made nor lost.
 */

/** In the order in which they happened. */
export type RightsMove =
  | {
      readonly from: number;
      readonly to: number;
      readonly license: number;
      readonly rights: number;
      readonly left: number;
    }
  /** `to` took over all of it. */
  | { readonly from: number; readonly to: number; readonly license?: undefined };

/** What a run gave a department; below 0 = idle rights it took. */
export interface RunClaim {
  readonly run: string;
  readonly department: number;
  readonly license: number;
  readonly rights: number;
}

/** A part of a claim that is held against `to` instead of `from`. */
export interface ClaimMove {
  readonly run: string;
  readonly license: number;
  readonly from: number;
  readonly to: number;
  readonly rights: number;
}

/** `newest`: the runs, newest first. */
export function followClaims(
  moves: Iterable<RightsMove>,
  claims: Iterable<RunClaim>,
  newest: readonly string[],
): ClaimMove[] {
  const book = new Map<number, Map<number, Map<string, number>>>();
  const add = (department: number, license: number, run: string, rights: number): void => {
    let licenses = book.get(department);
    if (licenses === undefined) book.set(department, (licenses = new Map()));
    let runs = licenses.get(license);
    if (runs === undefined) licenses.set(license, (runs = new Map()));
    runs.set(run, (runs.get(run) ?? 0) + rights);
  };
  for (const { department, license, run, rights } of claims) add(department, license, run, rights);

  const moved: ClaimMove[] = [];
  for (const move of moves) {
    const { from, to, license } = move;
    if (from === to) continue;
    if (license === undefined) {
      const taken = book.get(from) ?? new Map<number, Map<string, number>>();
      book.delete(from);
      for (const [of, runs] of taken) for (const [run, rights] of runs) add(to, of, run, rights);
      continue;
    }
    const own = book.get(from)?.get(license);
    if (own === undefined) continue;
    let rest = move.rights;
    // What reversing this run and every newer one takes back.
    let together = 0;
    for (const run of newest) {
      const claim = own.get(run) ?? 0;
      together += claim;
      const rights = Math.min(together - move.left, claim, rest);
      if (rights <= 0) continue;
      add(from, license, run, -rights);
      add(to, license, run, rights);
      moved.push({ run, license, from, to, rights });
      together -= rights;
      rest -= rights;
    }
  }
  return moved;
}
