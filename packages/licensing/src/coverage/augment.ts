/**
 * Purpose: exchanges. An installation that nothing covers, although an entitlement reaches it that is used up by others, gets its place if those
 * others can be covered by something that is left over - directly or by further exchanges (augmenting paths).
 * Invariants: an exchange covers everything it covered before and one installation more, or changes nothing; allocations stay where they are.
 * Slots that cover the same licences are alike, so one of each kind is tried; an installation of a kind that failed once fails again: exchanges never
 * make room that was not there. So the search costs pools × kinds, whatever the number of devices.
 */
import { stride, type Ledger, type Pool, type Slot } from "./ledger.ts";
import type { Installation } from "./types.ts";

export function* augment(
  ledger: Ledger,
  /** The slot that the installation could be the free second device of. */
  secondOf: (pool: Pool, place: number) => Slot | undefined,
): Generator<undefined, void> {
  const { pools } = ledger;
  const failed = new Set<string>();
  const kinds = new Map<Pool, Map<string, Set<Slot>>>(pools.map((pool) => [pool, new Map()]));
  let known = 0;
  const licenseAt = (place: number): number => (ledger.installations[place] as Installation).license;
  const kindOf = (slot: Slot): string =>
    [...slot.installations.map(licenseAt).sort(byNumber), "|", ...slot.second.map(licenseAt).sort(byNumber)].join();
  const isMovable = (slot: Slot): boolean => slot.allocation === undefined && slot.cost <= 1 && !slot.pool.unlimited;

  const cover = (places: readonly number[], visited: Set<Pool>, spare: boolean): boolean => {
    const able: { pool: Pool; consumer: number }[] = [];
    for (const pool of pools) {
      const consumer = ledger.consumerOf(pool, places[0] as number);
      if (!places.every((p) => ledger.reaches(pool, p) && ledger.consumerOf(pool, p) === consumer)) continue;
      able.push({ pool, consumer });
      const first = secondOf(pool, places[0] as number);
      if (first !== undefined && sameDevice(ledger, places)) {
        ledger.placeSecond(first, places);
        return true;
      }
      if (ledger.place(pool, consumer, places)) return true;
    }
    if (spare) return false;
    for (const { pool, consumer } of able) {
      if (visited.has(pool)) continue;
      visited.add(pool);
      for (const [, slots] of kinds.get(pool) ?? []) {
        const slot = firstStanding(slots);
        if (slot === undefined) continue;
        const mark = ledger.mark();
        ledger.lift(slot);
        if (ledger.costOf(pool, consumer, places) <= pool.left && recover(slot, visited)) {
          if (ledger.place(pool, consumer, places)) return true;
        }
        ledger.undo(mark);
      }
    }
    return false;
  };

  /** Covers again, by other pools, what the lifted slot covered. */
  const recover = (slot: Slot, visited: Set<Pool>): boolean => {
    // Its own pool must keep the unit that was just freed.
    const { pool } = slot;
    const kept = pool.left;
    pool.left = 0;
    const parts = [slot.installations, slot.second].filter((part) => part.length > 0);
    const done = parts.every(
      (part) =>
        cover(part, visited, false) || (part.length > 1 && part.every((place) => cover([place], visited, false))),
    );
    pool.left += kept;
    return done;
  };

  const firstStanding = (slots: Set<Slot>): Slot | undefined => {
    for (const slot of slots) {
      if (slot.pool.slots.get(slot.consumer) === slot && isMovable(slot)) return slot;
      slots.delete(slot);
    }
    return undefined;
  };

  for (let place = 0; place < ledger.slotOf.length; place++) {
    if (place % stride === 0) yield;
    if (!ledger.isOpen(place)) continue;
    if (cover([place], new Set(), true)) continue;
    const { license, units } = ledger.installations[place] as Installation;
    const kind = `${license}:${units}`;
    if (failed.has(kind)) continue;
    // What was opened since, by exchanges too, can be exchanged.
    for (; known < ledger.fresh.length; known++) {
      if (known % stride === 0) yield;
      const slot = ledger.fresh[known] as Slot;
      if (isMovable(slot)) into(kinds.get(slot.pool) as Map<string, Set<Slot>>, kindOf(slot), slot);
    }
    const mark = ledger.mark();
    if (!cover([place], new Set(), false)) {
      ledger.undo(mark);
      failed.add(kind);
    }
    ledger.forget();
    yield;
  }
}

function into(map: Map<string, Set<Slot>>, kind: string, slot: Slot): void {
  const slots = map.get(kind);
  if (slots === undefined) map.set(kind, new Set([slot]));
  else slots.add(slot);
}

function sameDevice(ledger: Ledger, places: readonly number[]): boolean {
  const device = ledger.installations[places[0] as number]?.device;
  return places.every((place) => ledger.installations[place]?.device === device);
}

function byNumber(a: number, b: number): number {
  return a - b;
}
